"""Search clusters, compiled: compare the codes of the rings that may be near a query.

The algorithm is that of `hashret.indexes.clusters`. Clusters are in the outer loop and queries in
the inner one, so that a cluster's codes are read from memory once for a block of queries. A k-NN
search begins the other way round: each query goes to its own nearest clusters first, to lower its
limit.

The arrays of an index of n distinct codes in m clusters are its `columns`, `references`, `rings`
and `reach` (`hashret.indexes.clusters`), and the `run_limits` and `members` of its runs
(`hashret.indexes.distinct`). A place is the position of a code in `columns` and `references`.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.kernels.distances import (
    band_of,
    column_distances,
    distance_of,
    lowest_of,
    mask_of,
)
from hashret.kernels.intrinsics import INT, INTS, LANES, ROWS, WORDS_2D, popcount
from hashret.kernels.runs import length_of, put_in_order, spread
from hashret.kernels.selecting import grouped, grown_table, without_gaps

_QUERIES = 256  # queries of a block, for which a cluster is read once
_FIRST_CLUSTERS = 8  # nearest clusters that each query of a block searches first
_FIRST_FOUND = 1 << 16  # codes found that an array has room for at first; it grows
_SPARE_ROOM = 1024  # candidates of a query that there is room for, beside twice its hits
_CANDIDATES = 1 << 22  # candidates that there is room for, for all queries of a block together
_DONE = np.uint16(65535)  # bits; more than any distance, for a cluster already searched

_INDEX = (WORDS_2D, ROWS, ROWS, INTS, ROWS, ROWS)


@njit((WORDS_2D, WORDS_2D), cache=True, nogil=True)
def assign(
    codes: np.ndarray,  # (n, n_words) uint64
    centres: np.ndarray,  # (n_words, m) uint64, m > 0
) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each code, (n,) uint32, and its distance in bits, (n,) uint16.

    Of several nearest centres the first one counts.
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
    query_columns: np.ndarray,  # (n_words, n_queries) uint64
    radii: np.ndarray,  # (n_queries,) int64, bits, inclusive
    n_bits: int,
    columns: np.ndarray,  # (n_words, n + LANES) uint64
    rings: np.ndarray,  # (m * (n_bits + 1) + 1,) uint32
    reach: np.ndarray,  # (m,) int64
    found: np.ndarray,  # (room, 3) uint32, written
    count: int,
    work: np.ndarray,  # (2,) int64, added to
) -> tuple[int, int, np.int64]:
    """Append (query, distance, place) of the codes within the radii, from one cluster on.

    This ends with the last cluster, or before one that may have more codes than there is room for.
    `work` counts the bands searched and the codes compared. Returns the next cluster, the new
    count, and the room that the next cluster needs.
    """
    near = np.empty(len(queries), np.uint16)
    bands = np.empty((len(queries), 3), np.int64)  # query, first place, end
    while cluster < len(reach):
        near[:] = 0
        for word in range(len(query_columns)):
            centre = centres[word, cluster]
            for query in range(len(near)):
                near[query] += popcount(query_columns[word, query] ^ centre)
        n_bands, room, before = 0, np.int64(0), count
        for query in range(len(queries)):
            # without a branch, which the processor could not predict
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
        # in a loop of its own: above, each distance would wait for a mispredicted branch
        for i in range(before, count):
            found_query, place = np.int64(found[i, 0]), np.int64(found[i, 2])
            found[i, 1] = distance_of(columns, place, queries, found_query)
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
    """All rows within the radius of each query: limits, rows and distances as in `Neighbors`.

    The fourth result, (2,) int64, is the number of bands searched and of codes compared in them.
    """
    query_columns = np.ascontiguousarray(queries.T)
    width = 1
    for radius in radii:
        width = max(width, radius + 1)
    found = np.empty((_FIRST_FOUND, 3), np.uint32)
    cluster, count = 0, 0
    work = np.zeros(2, np.int64)
    while cluster < len(reach):
        cluster, count, room = _find_within(
            cluster,
            centres,
            queries,
            query_columns,
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
    # in a loop of its own, whose random reads the processor can overlap
    for i in range(count):
        found[i, 2] = references[found[i, 2]]
    limits, found_references, distances = grouped(found[:count], len(queries), width)
    return *spread(limits, found_references, distances, run_limits, members), work


@njit(cache=True, nogil=True)
def _by_distance(
    away: np.ndarray,  # (m,) uint16, bits
    places: np.ndarray,  # (n_bits + 2,) int64, overwritten
    order: np.ndarray,  # (m,) int64, written
) -> None:
    """Write the clusters in the order of their distance: a counting sort."""
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
    best_rows: np.ndarray,  # (n_queries, max_hits) int64, written
    best: np.ndarray,  # (n_queries, max_hits) int32, written
    work: np.ndarray,  # (2,) int64, added to
) -> None:
    """Write the nearest max_hits rows of each query of a block, by distance and row.

    `work` counts the bands searched and the codes compared.
    """
    m, size, max_hits = centres.shape[1], len(queries), best.shape[1]
    away = np.empty((size, m), np.uint16)  # bits between query and centre
    found_references = np.empty((size, room), np.uint32)  # the candidates of each query
    found = np.empty((size, room), np.uint16)  # their distances
    count = np.zeros(size, np.int64)  # their number
    limit = np.full(size, n_bits, np.int64)  # bits; no farther code can be a hit
    inside = np.zeros(size, np.int64)  # rows seen within the limit
    seen = np.zeros((size, n_bits + 1), np.int64)  # rows seen at each distance
    places, order = np.empty(n_bits + 2, np.int64), np.empty(m, np.int64)
    ordered, filled = np.empty(room, np.int64), np.empty(2 * max_hits, np.int64)
    n_first = m if size == 1 else min(m, _FIRST_CLUSTERS)
    for turn in range(size + m):
        # first each query searches its nearest clusters, then each cluster is searched for all
        by_query = turn < size
        if by_query:
            column_distances(centres, 0, queries[turn], away[turn])
            _by_distance(away[turn], places, order)
        for step in range(n_first if by_query else size):
            query = turn if by_query else step
            cluster = order[step] if by_query else turn - size
            distance = np.int64(away[query, cluster])
            if distance > reach[cluster] + limit[query]:
                continue
            if by_query:
                away[query, cluster] = _DONE
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
                    found_references[query, count[query]] = references[place]
                    found[query, count[query]] = distance
                    count[query] += 1
                    n_rows = min(length_of(references[place], run_limits), max_hits)
                    seen[query, distance] += n_rows
                    inside[query] += n_rows
                    while inside[query] - seen[query, limit[query]] >= k:
                        inside[query] -= seen[query, limit[query]]
                        limit[query] -= 1
                if seen[query, 0] >= max_hits:
                    limit[query] = -1  # done: all codes equal to the query are in this ring, by row
                    break
                if count[query] + LANES > room:
                    n_best = put_in_order(
                        found_references[query, : count[query]],
                        found[query],
                        places,
                        ordered,
                        filled,
                        run_limits,
                        members,
                        best_rows[query],
                        best[query],
                    )
                    found_references[query, :n_best] = best_rows[query, :n_best]
                    found[query, :n_best] = best[query, :n_best]
                    count[query] = n_best
    for query in range(size):
        put_in_order(
            found_references[query, : count[query]],
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
    max_hits: int,
    n_bits: int,
    columns: np.ndarray,  # (n_words, n + LANES) uint64
    references: np.ndarray,  # (n,) uint32
    rings: np.ndarray,  # (m * (n_bits + 1) + 1,) uint32
    reach: np.ndarray,  # (m,) int64
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
    n_rows: int,
) -> tuple[tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool], np.ndarray]:
    """The k nearest rows of each query, and those that tie with the k-th, up to `max_hits`.

    1 <= k <= max_hits <= n_rows. Returns the results of `hashret.kernels.scan.nearest`,
    and the work as `within` does.
    """
    n_queries = len(queries)
    best_rows = np.empty((n_queries, max_hits), np.int64)
    best = np.full((n_queries, max_hits), n_bits + 1, np.int32)
    work = np.zeros(2, np.int64)
    room = 2 * max_hits + _SPARE_ROOM
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
    return without_gaps(best_rows, best, k, n_rows, n_bits), work
