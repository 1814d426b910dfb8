"""What a writer does to a small collection, and what a reader then sees: for the crash harnesses."""

import hashlib
import json
import sqlite3
from pathlib import Path

import numpy as np

from hashret import Collection
from hashret.errors import DamagedError, NotACollectionError
from hashret.items import Item
from hashret.sparse import dense_rows
from hashret.store.catalog.tables import FORMAT_VERSION
from hashret.store.layout import Layout
from hashret.store.repair import plan as repair
from indexer import Indexer
from tests.torture.bases import items_of

WORKLOADS = ("index", "add", "remove")
STEPPED = (*WORKLOADS, "compact", "repair", "rebuild")  # what is killed, and failed, at every step
REWRITE = "rewrite"  # of a collection of the former format, which is the base then
N = 24


def run(workload: str, path: Path, base: Path) -> None:
    """Carry out a workload on the collection at `path`; "index" learns nothing but takes base's."""
    items = items_of("vector", N)
    if workload in ("repair", "rebuild"):
        repair.apply(Layout.find(path))
        return
    if workload == "index":
        with Collection.open(base) as known:
            coder, training = known.coder, known.description["training"]
        with Indexer(path, "vector") as indexer:
            indexer._pending.adopt(coder, training)
            indexer.add(items)
            indexer.commit()
        return
    if workload == REWRITE:
        Indexer(path).close()
        with sqlite3.connect(path / "catalog.sqlite") as connection:
            found = connection.execute("SELECT value FROM meta WHERE key = 'format'").fetchone()
        connection.close()
        assert found == (str(FORMAT_VERSION),), found
        return
    with Indexer(path) as indexer:
        if workload == "add":
            changed = [Item(item.id, item.payload, {"n": -1}) for item in items[:5]]
            new = [
                Item(f"new-{i}", item.payload[::-1].copy(), {}) for i, item in enumerate(items[:6])
            ]
            indexer.add([*changed, *new])
            indexer.commit()
        elif not removed(path):
            indexer.remove([item.id for item in items[3:12]])
            indexer.commit()
        if workload == "compact":
            indexer.compact()


def removed(path: Path) -> bool:
    """Whether the items are gone that two of the workloads remove."""
    with Collection.open(path) as collection:
        return items_of("vector", N)[3].id not in collection


def state(path: Path) -> str:
    """A digest of everything that a reader sees, answers included; "nothing" without a commit."""
    try:
        with Collection.open(path) as collection:
            if collection.commit == 0:
                return "nothing"
            seen = [
                (item.id, item.code, dict(item.metadata), item.preview)
                for item in collection.items()
            ]
            asked = items_of(collection.kind, N)[0].payload
            hits = [
                (hit.id, hit.distance, round(hit.score, 9)) for hit in collection.query(asked, 5)
            ]
            near = [(hit.id, hit.distance) for hit in collection.within(asked, 8)]
            kept = b""
            n_coded = len(collection.codes)
            if collection.has_features and n_coded:
                kept = dense_rows(collection.features(np.arange(n_coded))).tobytes()
            features = hashlib.sha256(kept).hexdigest()
            text = json.dumps([seen, hits, near, features, len(collection)])
    except NotACollectionError:
        return "nothing"
    except DamagedError:
        return "damaged"
    return hashlib.sha256(text.encode()).hexdigest()


def fresh(path: Path, base: Path, workload: str) -> None:
    """The collection that a workload starts from, at `path`."""
    import shutil

    shutil.rmtree(path, ignore_errors=True)
    if workload != "index":
        shutil.copytree(base, path)
    if workload == "repair":  # the codes of all, and their features
        for suffix in (".npy", ".safetensors"):
            (file,) = path.glob(f"segments/*{suffix}")
            file.write_bytes(file.read_bytes()[:-1])
    if workload == "rebuild":  # the catalog's first page
        catalog = path / "catalog.sqlite"
        catalog.write_bytes(bytes(4096) + catalog.read_bytes()[4096:])


def finish(workload: str, path: Path, base: Path) -> None:
    """What a user does after a crash: the same once more, unless it was done."""
    run(workload, path, base)
