"""Searching clusters, compiled: of each cluster the rings that may hold what is near a query.

The algorithm is that of `hashret.indexes.clusters`. Clusters are outside and queries inside, so
that a cluster's codes are read from memory once for a block of queries; only what draws the limits
of the nearest in goes query by query.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.indexes.kernels.distances import (
    band_of,
    column_distances,
    distance_of,
    lowest_of,
    mask_of,
)
from hashret.indexes.kernels.intrinsics import INT, INTS, LANES, ROWS, WORDS_2D, popcount
from hashret.indexes.kernels.runs import length_of, put_in_order, spread
from hashret.indexes.kernels.selecting import grouped, grown_table, without_gaps

_QUERIES = 256  # that share a cluster
_FIRST = 8  # clusters that each query of many goes to first, nearest first
_FOUND = 1 << 16  # that there is room for at first
_ROOM = 1024  # more than are kept of a query before what is beyond is dropped
_CANDIDATES = 1 << 22  # kept at once for all queries of a block
_PASSED = np.uint16(65535)  # the distance of a cluster that needs no look

_INDEX = (WORDS_2D, ROWS, ROWS, INTS, ROWS, ROWS)


@njit((WORDS_2D, WORDS_2D), cache=True, nogil=True)
def assign(codes: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Of each of `codes` (n, n_words) the nearest centre, the first of equals, and its distance.

    `centres` (n_words, m), m > 0. Returns (n,) uint32 and uint16.
    """
    n, m = len(codes), centres.shape[1]
    clusters, distances = np.empty(n, np.uint32), np.empty(n, np.uint16)
    near = np.empty(m, np.uint16)
    for row in range(n):
        column_distances(centres, 0, codes[row], near)
        least = near[0]
        for centre in range(1, m):
            least = min(least, near[centre])
        first = 0
        while near[first] != least:
            first += 1
        clusters[row], distances[row] = first, least
    return clusters, distances


@njit(cache=True, nogil=True)
def _find_within(
    cluster: int,
    centres: np.ndarray,  # (n_words, m) uint64
    queries: np.ndarray,  # (n_queries, n_words) uint64
    asked: np.ndarray,  # (n_words, n_queries) uint64
    radii: np.ndarray,  # (n_queries,) int64, bits, inclusive
    n_bits: int,
    columns: np.ndarray,  # (n_words, n + LANES) uint64
    rings: np.ndarray,  # (m * (n_bits + 1) + 1,) uint32
    reach: np.ndarray,  # (m,) int64
    found: np.ndarray,  # (room, 3) uint32, written
    count: int,
    work: np.ndarray,  # (2,) int64, added to
) -> tuple[int, int, np.int64]:
    """Append (query, distance, place) from a cluster on, while there is room for all it may hold.

    `asked` are the columns of the queries. Returns the cluster that is next, the count, and how
    much room the next needs.
    """
    near = np.empty(len(queries), np.uint16)
    bands = np.empty((len(queries), 3), np.int64)  # of this cluster: query, first place, end
    while cluster < len(reach):
        near[:] = 0
        for word in range(len(asked)):
            centre = centres[word, cluster]
            for query in range(len(near)):
                near[query] += popcount(asked[word, query] ^ centre)
        n_bands, room, before = 0, np.int64(0), count
        for query in range(len(queries)):
            # no branch, which nobody could foresee
            bands[n_bands, 0] = query
            n_bands += np.int64(near[query]) <= reach[cluster] + radii[query]
        for i in range(n_bands):
            query = bands[i, 0]
            low, high = band_of(rings, cluster, n_bits, np.int64(near[query]), radii[query])
            bands[i, 1], bands[i, 2] = low, high
            room += high - low
        if count + room > len(found):
            return cluster, count, room
        work[1] += room
        for i in range(n_bands):
            query, low, high = bands[i, 0], bands[i, 1], bands[i, 2]
            work[0] += low < high
            for start in range(low, high, LANES):
                mask = mask_of(columns, start, high, queries, query, radii[query])
                while mask:
                    found[count, 0] = query
                    found[count, 2] = start + lowest_of(mask)
                    mask &= mask - np.uint64(1)
                    count += 1
        # not above, where each would wait for a branch that was guessed wrong
        for i in range(before, count):
            asking, place = np.int64(found[i, 0]), np.int64(found[i, 2])
            found[i, 1] = distance_of(columns, place, queries, asking)
        cluster += 1
    return cluster, count, np.int64(0)


@njit((WORDS_2D, WORDS_2D, INTS, INT, *_INDEX), cache=True, nogil=True)
def within(
    centres: np.ndarray,  # (n_words, m) uint64
    queries: np.ndarray,  # (n_queries, n_words) uint64
    radii: np.ndarray,  # (n_queries,) int64, bits, inclusive
    n_bits: int,
    columns: np.ndarray,  # (n_words, n + LANES) uint64
    references: np.ndarray,  # (n,) uint32
    rings: np.ndarray,  # (m * (n_bits + 1) + 1,) uint32
    reach: np.ndarray,  # (m,) int64
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """All rows within each radius (int64): limits, rows and distances as in `Neighbors`.

    `centres` (n_words, m) and `columns` (n_words, n + LANES) uint64, `references` (n,) uint32,
    `rings` and `reach` as in `hashret.indexes.clusters`, what the references of runs mean as in
    `hashret.indexes.distinct`. Also returns how many bands were looked into, and how many codes
    these have.
    """
    asked = np.ascontiguousarray(queries.T)
    width = 1
    for radius in radii:
        width = max(width, radius + 1)
    found = np.empty((_FOUND, 3), np.uint32)
    cluster, count = 0, 0
    work = np.zeros(2, np.int64)
    while cluster < len(reach):
        cluster, count, room = _find_within(
            cluster,
            centres,
            queries,
            asked,
            radii,
            n_bits,
            columns,
            rings,
            reach,
            found,
            count,
            work,
        )
        found = grown_table(found, count, count + room)
    # here, where one wait for memory does not hold up the next
    for i in range(count):
        found[i, 2] = references[found[i, 2]]
    limits, named, distances = grouped(found[:count], len(queries), width)
    return *spread(limits, named, distances, run_limits, members), work


@njit(cache=True, nogil=True)
def _by_distance(away: np.ndarray, places: np.ndarray, order: np.ndarray) -> None:
    """Write which clusters are nearest, the nearest first; `places` (n_bits + 2,) is written to."""
    places[:] = 0
    for cluster in range(len(away)):
        places[np.int64(away[cluster]) + 1] += 1
    for distance in range(1, len(places)):
        places[distance] += places[distance - 1]
    for cluster in range(len(away)):
        order[places[away[cluster]]] = cluster
        places[away[cluster]] += 1


@njit(cache=True, nogil=True)
def _nearest_block(
    centres: np.ndarray,  # (n_words, m) uint64
    queries: np.ndarray,  # (n_queries, n_words) uint64
    k: int,
    room: int,
    n_bits: int,
    columns: np.ndarray,  # (n_words, n + LANES) uint64
    references: np.ndarray,  # (n,) uint32
    rings: np.ndarray,  # (m * (n_bits + 1) + 1,) uint32
    reach: np.ndarray,  # (m,) int64
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
    best_rows: np.ndarray,  # (n_queries, kept) int64, written
    best: np.ndarray,  # (n_queries, kept) int32, written
    work: np.ndarray,  # (2,) int64, added to
) -> None:
    m, size, kept = centres.shape[1], len(queries), best.shape[1]
    away = np.empty((size, m), np.uint16)
    named, found = np.empty((size, room), np.uint32), np.empty((size, room), np.uint16)
    count = np.zeros(size, np.int64)
    # what was seen up to the limit, and how much of that at each distance
    limit, inside = np.full(size, n_bits, np.int64), np.zeros(size, np.int64)
    seen = np.zeros((size, n_bits + 1), np.int64)
    places, order = np.empty(n_bits + 2, np.int64), np.empty(m, np.int64)
    ordered, filled = np.empty(room, np.int64), np.empty(2 * kept, np.int64)
    n_first = m if size == 1 else min(m, _FIRST)
    for turn in range(size + m):
        # first each query to its nearest clusters, then each cluster for all queries
        first = turn < size
        if first:
            column_distances(centres, 0, queries[turn], away[turn])
            _by_distance(away[turn], places, order)
        for step in range(n_first if first else size):
            query = turn if first else step
            cluster = order[step] if first else turn - size
            distance = np.int64(away[query, cluster])
            if distance > reach[cluster] + limit[query]:
                continue
            if first:
                away[query, cluster] = _PASSED
            low, high = band_of(rings, cluster, n_bits, distance, limit[query])
            if low >= high:
                continue
            work[0] += 1
            work[1] += high - low
            for start in range(low, high, LANES):
                mask = mask_of(columns, start, high, queries, query, limit[query])
                while mask:
                    place = start + lowest_of(mask)
                    mask &= mask - np.uint64(1)
                    distance = distance_of(columns, place, queries, query)
                    if distance > limit[query]:
                        continue
                    named[query, count[query]] = references[place]
                    found[query, count[query]] = distance
                    count[query] += 1
                    n_rows = min(length_of(references[place], run_limits), kept)
                    seen[query, distance] += n_rows
                    inside[query] += n_rows
                    while inside[query] - seen[query, limit[query]] >= k:
                        inside[query] -= seen[query, limit[query]]
                        limit[query] -= 1
                if seen[query, 0] >= kept:
                    limit[query] = -1  # equal codes are all in one ring, by row
                    break
                if count[query] + LANES > room:
                    held = put_in_order(
                        named[query, : count[query]],
                        found[query],
                        places,
                        ordered,
                        filled,
                        run_limits,
                        members,
                        best_rows[query],
                        best[query],
                    )
                    named[query, :held] = best_rows[query, :held]
                    found[query, :held] = best[query, :held]
                    count[query] = held
    for query in range(size):
        put_in_order(
            named[query, : count[query]],
            found[query],
            places,
            ordered,
            filled,
            run_limits,
            members,
            best_rows[query],
            best[query],
        )


@njit((WORDS_2D, WORDS_2D, INT, INT, INT, *_INDEX, INT), cache=True, nogil=True)
def nearest(
    centres: np.ndarray,  # (n_words, m) uint64
    queries: np.ndarray,  # (n_queries, n_words) uint64
    k: int,
    kept: int,
    n_bits: int,
    columns: np.ndarray,  # (n_words, n + LANES) uint64
    references: np.ndarray,  # (n,) uint32
    rings: np.ndarray,  # (m * (n_bits + 1) + 1,) uint32
    reach: np.ndarray,  # (m,) int64
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
    n: int,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool], np.ndarray]:
    """The k nearest rows of each query as in `Neighbors`, or up to `kept` of them if they tie.

    What is given and how much was done are as for `within`, the answer as in
    `hashret.indexes.kernels.scan.nearest`; 1 <= k <= kept <= n, which is the number of rows.
    """
    n_queries = len(queries)
    best_rows = np.empty((n_queries, kept), np.int64)
    best = np.full((n_queries, kept), n_bits + 1, np.int32)
    work = np.zeros(2, np.int64)
    room = 2 * kept + _ROOM
    block = max(1, min(_QUERIES, _CANDIDATES // room))
    for start in range(0, n_queries, block):
        end = min(start + block, n_queries)
        _nearest_block(
            centres,
            queries[start:end],
            k,
            room,
            n_bits,
            columns,
            references,
            rings,
            reach,
            run_limits,
            members,
            best_rows[start:end],
            best[start:end],
            work,
        )
    return without_gaps(best_rows, best, k, n, n_bits), work
