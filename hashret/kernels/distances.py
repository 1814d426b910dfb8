"""Compute the Hamming distances of one code from many, in vector instructions.

The compiler vectorises a loop that only counts bits over a contiguous column. So each loop here
does nothing else, and selecting by distance has loops of its own
(`hashret.kernels.selecting`). A column is one word of each of n codes; `near` (n,) uint16
has their distances from the query, in bits.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.kernels.intrinsics import LANES, near_mask, popcount


@njit(cache=True, nogil=True)
def fill_columns(
    words: np.ndarray,  # (n, n_words) uint64
    columns: np.ndarray,  # (n_words, n or more) uint64, written
) -> None:
    """Write the transpose of `words` to the first n columns."""
    for word in range(words.shape[1]):
        for i in range(len(words)):
            columns[word, i] = words[i, word]


@njit(cache=True, nogil=True)
def _count(column: np.ndarray, query: int, near: np.ndarray) -> None:
    for i in range(len(near)):
        near[i] = popcount(column[i] ^ query)


@njit(cache=True, nogil=True)
def _count_two(
    column: np.ndarray, query: int, other: np.ndarray, other_query: int, near: np.ndarray
) -> None:
    # two words in one loop: narrowing the counts to 16 bits takes as long as counting does
    for i in range(len(near)):
        near[i] = popcount(column[i] ^ query) + popcount(other[i] ^ other_query)


@njit(cache=True, nogil=True)
def _add(column: np.ndarray, query: int, near: np.ndarray) -> None:
    for i in range(len(near)):
        near[i] += popcount(column[i] ^ query)


@njit(cache=True, nogil=True)
def _add_two(
    column: np.ndarray, query: int, other: np.ndarray, other_query: int, near: np.ndarray
) -> None:
    for i in range(len(near)):
        near[i] += popcount(column[i] ^ query) + popcount(other[i] ^ other_query)


@njit(cache=True, nogil=True)
def _count_pairs(words: np.ndarray, query: int, other_query: int, near: np.ndarray) -> None:
    # codes of two words, row by row: the compiler would not vectorise a loop over the words
    for i in range(len(near)):
        near[i] = popcount(words[2 * i] ^ query) + popcount(words[2 * i + 1] ^ other_query)


@njit(cache=True, nogil=True)
def _count_rows(tile: np.ndarray, query: np.ndarray, near: np.ndarray) -> None:
    for i in range(len(near)):
        ones = np.uint64(0)
        for word in range(len(query)):
            ones += popcount(tile[i, word] ^ query[word])
        near[i] = ones


@njit(cache=True, nogil=True)
def column_distances(
    columns: np.ndarray,  # (n_words, n) uint64
    start: int,
    query: np.ndarray,  # (n_words,) uint64
    near: np.ndarray,  # (at most n - start,) uint16, written
) -> None:
    """Write the distances of the len(near) codes from position `start` on."""
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
    tile: np.ndarray,  # (n, n_words) uint64
    columns: np.ndarray,  # (n_words, n or more) uint64: the same codes, or (0, any) for none
    query: np.ndarray,  # (n_words,) uint64
    near: np.ndarray,  # (n,) uint16, written
) -> None:
    """Write the distances of the tile's codes, by columns if these are given."""
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
    columns: np.ndarray,  # (n_words, n + LANES) uint64
    place: int,
    end: int,
    queries: np.ndarray,  # (n_queries, n_words) uint64
    query: int,  # a row of `queries`
    limit: int,  # bits, inclusive
) -> np.uint64:
    """A mask of LANES bits: bit i is set if place + i < end and that code is within the limit."""
    mask = near_mask(columns, place, queries, query, np.uint64(limit))
    if end - place < LANES:
        mask &= (np.uint64(1) << np.uint64(end - place)) - np.uint64(1)
    return mask


@njit(inline="always")
def lowest_of(mask: np.uint64) -> np.int64:
    """The position of the lowest set bit of a mask that is not 0."""
    return np.int64(popcount((mask & (~mask + np.uint64(1))) - np.uint64(1)))


@njit(inline="always")
def distance_of(
    columns: np.ndarray,  # (n_words, n) uint64
    place: int,
    queries: np.ndarray,  # (n_queries, n_words) uint64
    query: int,  # a row of `queries`
) -> np.int64:
    """The distance in bits of the code at position `place` from the query."""
    ones = np.uint64(0)
    for word in range(queries.shape[1]):
        ones += popcount(columns[word, place] ^ queries[query, word])
    return np.int64(ones)


@njit(inline="always")
def band_of(
    rings: np.ndarray,  # (m * (n_bits + 1) + 1,) uint32
    cluster: int,
    n_bits: int,
    distance: int,  # bits between the query and the cluster's centre
    radius: int,  # bits, inclusive
) -> tuple[np.int64, np.int64]:
    """The first position and the end of the codes of a cluster that may be within the radius."""
    first = cluster * (n_bits + 1)
    low = rings[first + max(0, distance - radius)]
    high = rings[first + min(n_bits, distance + radius) + 1]
    return np.int64(low), np.int64(high)
