"""Comparing every code, compiled: the distances of a tile at a time."""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.indexes.kernels.distances import fill_columns, write_distances
from hashret.indexes.kernels.intrinsics import INT, INTS, WORDS_2D
from hashret.indexes.kernels.selecting import (
    LANES,
    bound,
    choose,
    drop_beyond,
    grouped,
    grown_table,
    kth_distance,
    put_nearest,
    without_gaps,
)

_TILE = 2048  # codes compared at once: their columns and distances stay in the first cache
_QUERIES = 128  # queries that share a tile
_FEW = 2  # for so few queries no columns are made: that takes longer than comparing
_CANDIDATES = 1 << 22  # kept at once for all queries of a block


@njit(cache=True, nogil=True)
def _nearest_block(
    words: np.ndarray,  # (n, n_words) uint64
    queries: np.ndarray,  # (n_queries, n_words) uint64
    n_bits: int,
    room: int,
    rows: np.ndarray,  # (n_queries, kept) int64, written
    distances: np.ndarray,  # (n_queries, kept) int32, written
) -> None:
    n, k = len(words), rows.shape[1]
    kept_rows = np.empty((len(queries), room), np.uint32)
    kept = np.empty((len(queries), room), np.uint16)
    count = np.zeros(len(queries), np.int64)
    limit = np.full(len(queries), n_bits, np.int64)
    seen = np.zeros((len(queries), n_bits + 1), np.int64)
    in_columns = words.shape[1] > 1 and len(queries) > _FEW
    columns = np.empty((words.shape[1] if in_columns else 0, _TILE), np.uint64)
    near = np.empty(_TILE, np.uint16)
    lanes = np.empty(LANES, np.uint16)
    for start in range(0, n, _TILE):
        size = min(_TILE, n - start)
        tile = words[start : start + size]
        if in_columns:
            fill_columns(tile, columns)
        for query in range(len(queries)):
            if limit[query] < 0:
                continue
            write_distances(tile, columns, queries[query], near[:size])
            if start == 0 and k <= LANES:
                limit[query] = bound(near[:size], lanes, k, n_bits)
            before = count[query]
            after = choose(near[:size], limit[query], start, before, kept_rows[query], kept[query])
            for i in range(before, after):
                seen[query, kept[query, i]] += 1
            count[query] = after
            if after > before and after >= k:
                kth = kth_distance(seen[query], k, n_bits)
                # a later row at the k-th distance loses to those before it
                limit[query] = kth - 1
                if after + _TILE > room:
                    count[query] = drop_beyond(kept_rows[query], kept[query], after, kth, k)
    for query in range(len(queries)):
        put_nearest(
            kept_rows[query, : count[query]],
            kept[query],
            seen[query],
            rows[query],
            distances[query],
        )


@njit((WORDS_2D, WORDS_2D, INT, INT, INT), cache=True, nogil=True)
def nearest(
    words: np.ndarray, queries: np.ndarray, k: int, kept: int, n_bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    """The k nearest rows of each query as in `Neighbors`, or up to `kept` of them if they tie.

    `words` (n, n_words) and `queries` (n_queries, n_words) uint64; 1 <= k <= kept <= n. Returns
    limits, rows, distances, the radius up to which each answer is complete, and whether more rows
    may lie at the k-th distance than were kept.
    """
    n, n_queries = len(words), len(queries)
    rows = np.empty((n_queries, kept), np.int64)
    distances = np.empty((n_queries, kept), np.int32)
    room = 2 * kept + _TILE
    block = max(1, min(_QUERIES, _CANDIDATES // room))
    for start in range(0, n_queries, block):
        end = min(start + block, n_queries)
        _nearest_block(
            words, queries[start:end], n_bits, room, rows[start:end], distances[start:end]
        )
    return without_gaps(rows, distances, k, n, n_bits)


@njit((WORDS_2D, WORDS_2D, INTS, INT), cache=True, nogil=True)
def within(
    words: np.ndarray, queries: np.ndarray, radii: np.ndarray, n_bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """All rows within each radius (int64): limits, rows and distances as in `Neighbors`."""
    n = len(words)
    # one number for query, distance and row; a row is a position, so it fits 32 bits
    found = np.empty((_TILE, 3), np.uint32)
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
