"""The codes of a band, sixteen at a time: which are near, as the bits of a mask, and how near.

Inlined, because an array that is passed on costs 10 ns, and a short band takes 30.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.indexes.compiled.intrinsics import LANES, near_mask, popcount


@njit(inline="always")
def mask_of(
    columns: np.ndarray, place: int, end: int, queries: np.ndarray, query: int, limit: int
) -> np.uint64:
    """Bit i says that the code at place + i < end is at most `limit` from the query."""
    mask = near_mask(columns, place, queries, query, np.uint64(limit))
    if end - place < LANES:
        mask &= (np.uint64(1) << np.uint64(end - place)) - np.uint64(1)
    return mask


@njit(inline="always")
def lowest_of(mask: np.uint64) -> np.int64:
    """Which bit of the mask is the lowest that is set."""
    return np.int64(popcount((mask & (~mask + np.uint64(1))) - np.uint64(1)))


@njit(inline="always")
def distance_of(columns: np.ndarray, place: int, queries: np.ndarray, query: int) -> np.int64:
    """How far the code at a place is from the query."""
    ones = np.uint64(0)
    for word in range(queries.shape[1]):
        ones += popcount(columns[word, place] ^ queries[query, word])
    return np.int64(ones)


@njit(inline="always")
def band_of(
    rings: np.ndarray, cluster: int, n_bits: int, distance: int, radius: int
) -> tuple[np.int64, np.int64]:
    """Where the codes of a cluster begin and end that may be within the radius."""
    first = cluster * (n_bits + 1)
    low = rings[first + max(0, distance - radius)]
    high = rings[first + min(n_bits, distance + radius) + 1]
    return np.int64(low), np.int64(high)
