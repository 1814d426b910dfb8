"""Distances of one code from many, in vector instructions.

A loop that only counts bits, over columns without gaps, is what the compiler turns into vectors;
choosing among the distances is a loop of its own (`hashret.indexes.kernels.selecting`).
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.indexes.kernels.intrinsics import LANES, near_mask, popcount


@njit(cache=True, nogil=True)
def fill_columns(words: np.ndarray, columns: np.ndarray) -> None:
    """Write words (n, n_words) to the first n of columns (n_words, n or more)."""
    for word in range(words.shape[1]):
        for i in range(len(words)):
            columns[word, i] = words[i, word]


@njit(cache=True, nogil=True)
def _count(column: np.ndarray, query: int, near: np.ndarray) -> None:
    for i in range(len(near)):
        near[i] = popcount(column[i] ^ query)


@njit(cache=True, nogil=True)
def _count_two(
    column: np.ndarray, query: int, other: np.ndarray, query_there: int, near: np.ndarray
) -> None:
    # two words at once: narrowing the counts to 16 bits takes as long as counting
    for i in range(len(near)):
        near[i] = popcount(column[i] ^ query) + popcount(other[i] ^ query_there)


@njit(cache=True, nogil=True)
def _add(column: np.ndarray, query: int, near: np.ndarray) -> None:
    for i in range(len(near)):
        near[i] += popcount(column[i] ^ query)


@njit(cache=True, nogil=True)
def _add_two(
    column: np.ndarray, query: int, other: np.ndarray, query_there: int, near: np.ndarray
) -> None:
    for i in range(len(near)):
        near[i] += popcount(column[i] ^ query) + popcount(other[i] ^ query_there)


@njit(cache=True, nogil=True)
def _count_pairs(words: np.ndarray, query: int, query_there: int, near: np.ndarray) -> None:
    # rows of two words: the compiler makes vectors of this, not of a loop within the loop
    for i in range(len(near)):
        near[i] = popcount(words[2 * i] ^ query) + popcount(words[2 * i + 1] ^ query_there)


@njit(cache=True, nogil=True)
def _count_rows(tile: np.ndarray, query: np.ndarray, near: np.ndarray) -> None:
    for i in range(len(near)):
        ones = np.uint64(0)
        for word in range(len(query)):
            ones += popcount(tile[i, word] ^ query[word])
        near[i] = ones


@njit(cache=True, nogil=True)
def column_distances(columns: np.ndarray, start: int, query: np.ndarray, near: np.ndarray) -> None:
    """Write the distances of len(near) codes from `start` on, of `columns` (n_words, n)."""
    n_words, end = len(query), start + len(near)
    if n_words == 1:
        _count(columns[0, start:end], query[0], near)
        return
    _count_two(columns[0, start:end], query[0], columns[1, start:end], query[1], near)
    for word in range(2, n_words - 1, 2):
        first, second = columns[word, start:end], columns[word + 1, start:end]
        _add_two(first, query[word], second, query[word + 1], near)
    if n_words % 2:
        _add(columns[n_words - 1, start:end], query[n_words - 1], near)


@njit(cache=True, nogil=True)
def write_distances(
    tile: np.ndarray, columns: np.ndarray, query: np.ndarray, near: np.ndarray
) -> None:
    """Write the distances of the tile's codes; `columns` are its words, or none."""
    n_words = len(query)
    if n_words == 1:
        _count(tile.reshape(-1), query[0], near)
    elif len(columns):
        column_distances(columns, 0, query, near)
    elif n_words == 2:
        _count_pairs(tile.reshape(-1), query[0], query[1], near)
    else:
        _count_rows(tile, query, near)


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
