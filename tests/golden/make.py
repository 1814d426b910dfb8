"""Make the golden collections of today's format anew: ``python -m tests.golden.make``.

One folder a format version, with a tiny collection of every kind and what it must answer. A folder
of a version that was released is never made again: it is what that release wrote.
"""

import json
import shutil
from pathlib import Path

import numpy as np

from hashret import Collection, Item
from hashret.store.catalog_tables import FORMAT_VERSION
from indexer import Indexer
from tests.corpora import clustered_vectors, topic_items
from tests.torture.bases import KINDS, quick

HERE = Path(__file__).parent
_QUERIES = 6


def items_of(kind: str) -> list[Item]:
    """The items of the golden collection of a kind; never change them."""
    if kind == "text":
        return topic_items(24)
    if kind == "vector":
        return [Item(f"v-{i}", v, {"n": i}) for i, v in enumerate(clustered_vectors(24, 8))]
    pixels = np.random.default_rng(3).integers(0, 256, (24, 4, 4), np.uint8)
    return [Item(f"i-{i}", p, {"n": i}) for i, p in enumerate(pixels)]


def answers(path: Path, kind: str) -> dict[str, object]:
    """What a collection says: its items with their codes, and the hits of a few queries."""
    payloads = [item.payload for item in items_of(kind)[:_QUERIES]]
    with Collection.open(path) as collection:
        return {
            "kind": collection.kind,
            "n_bits": collection.n_bits,
            "items": [[i.id, i.code, i.metadata, i.preview] for i in collection.items()],
            "hits": [
                [[hit.id, hit.distance] for hit in hits] for hits in collection.query(payloads, k=9)
            ],
            "encoded": [collection.coder.encode([p]).codes.hex(0) for p in payloads],
        }


def make(folder: Path) -> None:
    """Two commits a kind: most items, then the rest with one removed."""
    shutil.rmtree(folder, ignore_errors=True)
    for kind in KINDS:
        items, path = items_of(kind), folder / kind
        with Indexer(path, kind) as indexer:
            indexer.fit(items, quick(kind))
            indexer.add(items[:20])
            indexer.commit()
        with Indexer(path) as indexer:
            indexer.add(items[20:])
            indexer.remove([items[3].id])
            indexer.commit()
        for lock in path.glob("*.lock"):
            lock.unlink()
        text = json.dumps(answers(path, kind), indent=1, ensure_ascii=False)
        (folder / f"{kind}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(HERE / f"format-{FORMAT_VERSION}")
