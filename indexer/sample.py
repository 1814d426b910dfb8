"""A bounded, seeded sample of a stream of unknown length."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TypeVar

import numpy as np

T = TypeVar("T")


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
