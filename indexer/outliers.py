"""Vectors that are not learned from: so long that a mean and a variance would be theirs alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: Vectors more than this many times as long as the median are not learned from.
MOST = 1000.0


def typical(vectors: Sequence[np.ndarray]) -> list[int]:
    """The positions of the vectors that are at most `MOST` times as long as the median of all.

    They are encoded like any other: only statistics and training go without the rest.
    """
    lengths = np.array([np.linalg.norm(vector.astype(np.float64)) for vector in vectors])
    kept: list[int] = np.flatnonzero(lengths <= MOST * np.median(lengths)).tolist()
    return kept
