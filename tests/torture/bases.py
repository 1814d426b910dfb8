"""Small sound collections of every kind, made in seconds, for harnesses to copy and to attack."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from hashret.items import Item
from indexer import Indexer
from tests.corpora import clustered_vectors, series, topic_items

if TYPE_CHECKING:
    from indexer import TrainingOptions

KINDS = ("text", "image", "vector", "sequence")


def quick(kind: str, seed: int = 0) -> TrainingOptions:
    """As little training as there can be: what codes say is not the matter here."""
    from indexer import TrainingOptions  # loads torch, which most harnesses' processes don't need

    rounds = None if kind == "vector" else 1  # what learns on vectors has no rounds
    return TrainingOptions(
        n_bits=32, seed=seed, device="cpu", epochs=1, rounds=rounds, neighbours=1
    )


def items_of(kind: str, n: int = 60) -> list[Item]:
    """n sound items of a kind, always the same."""
    if kind == "text":
        return topic_items(n)
    if kind == "vector":
        return [Item(f"v-{i:03}", v, {"n": i}) for i, v in enumerate(clustered_vectors(n))]
    if kind == "sequence":
        return [Item(f"s-{i:03}", one, {"n": i}) for i, one in enumerate(series(n))]
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (n, 8, 8, 3), np.uint8)
    return [Item(f"i-{i:03}", p, {"n": i}) for i, p in enumerate(pixels)]


def make(path: Path, kind: str, n: int = 60) -> Path:
    """A collection of n items of `kind` at `path`."""
    items = items_of(kind, n)
    with Indexer(path, kind, store_features=True) as indexer:
        indexer.fit(items, quick(kind))
        indexer.add(items)
        indexer.commit()
    return path
