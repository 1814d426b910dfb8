"""A bounded, seeded sample of a stream of unknown length."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")

#: How many items are learned from, at most, unless it is said otherwise.
MAX_TRAINING_ITEMS = 100_000
#: Vectors are left out of the training if their length exceeds the median times this.
MOST = 1000.0


def reservoir(stream: Iterable[T], size: int, seed: int) -> list[T]:
    """At most `size` members of `stream`, each equally likely, in the order of the stream.

    Memory is linear in `size`. The same stream and seed give the same sample. Source: Vitter,
    "Random sampling with a reservoir", TOMS 1985, algorithm R.
    """
    rng = np.random.default_rng(seed)
    kept: list[tuple[int, T]] = []
    for position, member in enumerate(stream):
        if position < size:
            kept.append((position, member))
        else:
            place = int(rng.integers(0, position + 1))
            if place < size:
                kept[place] = (position, member)
    kept.sort(key=lambda pair: pair[0])
    return [member for _, member in kept]


def typical(vectors: Sequence[np.ndarray]) -> list[int]:
    """The positions of the vectors that are at most `MOST` times as long as the median of all.

    They are encoded like any other: only statistics and training go without the rest.
    """
    lengths = np.array([np.linalg.norm(vector.astype(np.float64)) for vector in vectors])
    kept: list[int] = np.flatnonzero(lengths <= MOST * np.median(lengths)).tolist()
    return kept
