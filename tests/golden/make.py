"""Make the golden collections of today's format anew: ``python -m tests.golden.make [NAME]``.

One folder a format version, with a tiny collection of every kind of items and of model, and what it
must answer; with a name only that one. What was released is never made again: it is what that
release wrote.
"""

import json
import shutil
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from unittest.mock import patch

import numpy as np

from hashret import Collection, Item
from hashret.store.catalog.tables import FORMAT_VERSION
from indexer import Indexer
from indexer.training.presets import PRESETS
from tests.corpora import clustered_vectors, orders, series, topic_items
from tests.torture.bases import quick
from tests.training.recipes import changed

HERE = Path(__file__).parent
#: The kind of items and the preset of each golden collection, by its name.
GOLDEN = {
    "text": ("text", "dense"),
    "text-recursive": ("text", "recursive"),
    "text-recurrent": ("text", "recurrent"),
    "vector": ("vector", "towers"),
    "image": ("image", "dense"),
    "image-patches": ("image", "patches"),
    "image-conv": ("image", "conv"),
    "image-invariant": ("image", "patches"),
    "sequence": ("sequence", "recursive"),
    "sequence-numbers": ("sequence", "recurrent"),
}
#: What codes ignore, by the name of the golden collection.
INVARIANT = {"image-invariant": ("mirror", "rotation")}
_QUERIES = 6


def items_of(name: str) -> list[Item]:
    """The items of the golden collection of this name; never change them."""
    kind, preset = GOLDEN[name]
    if kind == "text":
        return topic_items(24)
    if kind == "vector":
        return [Item(f"v-{i}", v, {"n": i}) for i, v in enumerate(clustered_vectors(24, 8))]
    if kind == "sequence":
        rows = orders(24) if preset == "recursive" else series(24)
        return [Item(f"s-{i}", row, {"n": i}) for i, row in enumerate(rows)]
    shape = (4, 4) if preset == "dense" else (10, 12, 3)
    pixels = np.random.default_rng(3).integers(0, 256, (24, *shape), np.uint8)
    return [Item(f"i-{i}", p, {"n": i}) for i, p in enumerate(pixels)]


def answers(path: Path, name: str) -> dict[str, object]:
    """What a collection says: its items with their codes, and the hits of a few queries."""
    payloads = [item.payload for item in items_of(name)[:_QUERIES]]
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


def make(folder: Path, names: Iterable[str] = GOLDEN) -> None:
    """Two commits a collection: most items, then the rest with one removed."""
    for name in names:
        kind, preset = GOLDEN[name]
        items, path = items_of(name), folder / name
        shutil.rmtree(path, ignore_errors=True)
        row = PRESETS[kind][preset]
        if preset in ("patches", "conv", "recursive", "recurrent"):  # small: they are kept for ever
            small = {"hidden": (32,), "filters": (6, 4), "n_units": 12, "embedding": 10}
            row = row._replace(recipe=changed(row.recipe, **small))
        with patch.dict(PRESETS[kind], {preset: row}), Indexer(path, kind) as indexer:
            options = replace(quick(kind), preset=preset, invariant=INVARIANT.get(name))
            indexer.fit(items, options)
            indexer.add(items[:20])
            indexer.commit()
        with Indexer(path) as indexer:
            indexer.add(items[20:])
            indexer.remove([items[3].id])
            indexer.commit()
        for lock in path.glob("*.lock"):
            lock.unlink()
        text = json.dumps(answers(path, name), indent=1, ensure_ascii=False)
        (folder / f"{name}.json").write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    make(HERE / f"format-{FORMAT_VERSION}", sys.argv[1:] or GOLDEN)
