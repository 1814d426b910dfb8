"""Compare every code, compiled: tile by tile, so that a tile is in the cache for all queries."""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.kernels.distances import fill_columns, write_distances
from hashret.kernels.intrinsics import INT, INTS, WORDS_2D
from hashret.kernels.selecting import (
    N_MINIMA,
    bound,
    choose,
    drop_beyond,
    grouped,
    grown_table,
    kth_distance,
    put_nearest,
    without_gaps,
)

_TILE = 2048  # codes compared at once: their columns and distances stay in the first-level cache
_QUERIES = 128  # queries of a block, for which a tile is read once
_FEW = 2  # queries; for so few, making columns takes longer than comparing rows
_CANDIDATES = 1 << 22  # candidates that there is room for, for all queries of a block together


@njit(cache=True, nogil=True)
def _nearest_block(
    words: np.ndarray,  # (n, n_words) uint64
    queries: np.ndarray,  # (n_queries, n_words) uint64
    n_bits: int,
    room: int,  # candidates of a query
    rows: np.ndarray,  # (n_queries, k) int64, written
    distances: np.ndarray,  # (n_queries, k) int32, written
) -> None:
    """Write the k nearest rows of each query of a block, by distance and row."""
    n, k = len(words), rows.shape[1]
    found_rows = np.empty((len(queries), room), np.uint32)  # the candidates of each query
    found = np.empty((len(queries), room), np.uint16)  # their distances
    count = np.zeros(len(queries), np.int64)  # their number
    limit = np.full(len(queries), n_bits, np.int64)  # bits; no farther code can be a hit
    seen = np.zeros((len(queries), n_bits + 1), np.int64)  # candidates seen at each distance
    in_columns = words.shape[1] > 1 and len(queries) > _FEW
    columns = np.empty((words.shape[1] if in_columns else 0, _TILE), np.uint64)
    near = np.empty(_TILE, np.uint16)
    minima = np.empty(N_MINIMA, np.uint16)
    for start in range(0, n, _TILE):
        size = min(_TILE, n - start)
        tile = words[start : start + size]
        if in_columns:
            fill_columns(tile, columns)
        for query in range(len(queries)):
            if limit[query] < 0:
                continue
            write_distances(tile, columns, queries[query], near[:size])
            if start == 0 and k <= N_MINIMA:
                limit[query] = bound(near[:size], minima, k, n_bits)
            before = count[query]
            after = choose(
                near[:size], limit[query], start, before, found_rows[query], found[query]
            )
            for i in range(before, after):
                seen[query, found[query, i]] += 1
            count[query] = after
            if after > before and after >= k:
                kth = kth_distance(seen[query], k, n_bits)
                # of rows at the k-th distance the first ones are hits, so later ones can't be
                limit[query] = kth - 1
                if after + _TILE > room:
                    count[query] = drop_beyond(found_rows[query], found[query], after, kth, k)
    for query in range(len(queries)):
        put_nearest(
            found_rows[query, : count[query]],
            found[query],
            seen[query],
            rows[query],
            distances[query],
        )


@njit((WORDS_2D, WORDS_2D, INT, INT, INT), cache=True, nogil=True)
def nearest(
    words: np.ndarray,  # (n, n_words) uint64
    queries: np.ndarray,  # (n_queries, n_words) uint64
    k: int,
    max_hits: int,
    n_bits: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    """The k nearest rows of each query, and those that tie with the k-th, up to `max_hits`.

    1 <= k <= max_hits <= n. Returns the limits, rows and distances of `Neighbors`, the radius
    within which each answer is complete, and whether more rows may tie with a k-th hit than there
    was room for.
    """
    n, n_queries = len(words), len(queries)
    rows = np.empty((n_queries, max_hits), np.int64)
    distances = np.empty((n_queries, max_hits), np.int32)
    room = 2 * max_hits + _TILE
    block = max(1, min(_QUERIES, _CANDIDATES // room))
    for start in range(0, n_queries, block):
        end = min(start + block, n_queries)
        _nearest_block(
            words, queries[start:end], n_bits, room, rows[start:end], distances[start:end]
        )
    return without_gaps(rows, distances, k, n, n_bits)


@njit((WORDS_2D, WORDS_2D, INTS, INT), cache=True, nogil=True)
def within(
    words: np.ndarray,  # (n, n_words) uint64
    queries: np.ndarray,  # (n_queries, n_words) uint64
    radii: np.ndarray,  # (n_queries,) int64, bits, inclusive
    n_bits: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rows within the radius of each query: limits, rows and distances of `Neighbors`."""
    n = len(words)
    found = np.empty((_TILE, 3), np.uint32)  # query, distance, row
    count = 0
    in_columns = words.shape[1] > 1 and len(queries) > _FEW
    columns = np.empty((words.shape[1] if in_columns else 0, _TILE), np.uint64)
    near = np.empty(_TILE, np.uint16)
    chosen_rows = np.empty(_TILE, np.uint32)
    chosen = np.empty(_TILE, np.uint16)
    for start in range(0, n, _TILE):
        size = min(_TILE, n - start)
        tile = words[start : start + size]
        if in_columns:
            fill_columns(tile, columns)
        for query in range(len(queries)):
            write_distances(tile, columns, queries[query], near[:size])
            more = choose(near[:size], radii[query], start, 0, chosen_rows, chosen)
            if more:
                found = grown_table(found, count, count + more)
                for i in range(more):
                    found[count, 0] = query
                    found[count, 1] = chosen[i]
                    found[count, 2] = chosen_rows[i]
                    count += 1
    return grouped(found[:count], len(queries), n_bits + 1)
