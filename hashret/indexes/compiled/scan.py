"""Comparing every code, compiled: the distances of a tile at a time, in vector instructions.

A loop that only counts bits, over columns without gaps, is what the compiler turns into vectors;
choosing among the distances is a loop of its own, which looks at most of them only in the sum.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.indexes.compiled.intrinsics import popcount
from hashret.indexes.compiled.shapes import INT, INTS, WORDS_2D

_TILE = 2048  # codes compared at once: their columns and distances stay in the first cache
_CHUNK, _PART = 128, 32  # distances, and parts of these, looked at only if one is small enough
_LANES = 64  # the nearest of so many parts of a tile: the k-th of these bounds the k-th of all
_QUERIES = 128  # queries that share a tile
_FEW = 2  # for so few queries no columns are made: that takes longer than comparing
_CANDIDATES = 1 << 22  # kept at once for all queries of a block
_FAR = np.uint16(65535)  # beyond every distance


@njit(cache=True, nogil=True)
def _columns(words: np.ndarray, columns: np.ndarray) -> None:
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
def _distances(tile: np.ndarray, columns: np.ndarray, query: np.ndarray, near: np.ndarray) -> None:
    """Write the distances of the tile's codes; `columns` are its words, or none."""
    n_words = len(query)
    if n_words == 1:
        _count(tile.reshape(-1), query[0], near)
        return
    if not len(columns):
        if n_words == 2:
            _count_pairs(tile.reshape(-1), query[0], query[1], near)
        else:
            _count_rows(tile, query, near)
        return
    _count_two(columns[0], query[0], columns[1], query[1], near)
    for word in range(2, n_words - 1, 2):
        _add_two(columns[word], query[word], columns[word + 1], query[word + 1], near)
    if n_words % 2:
        _add(columns[n_words - 1], query[n_words - 1], near)


@njit(cache=True, nogil=True)
def _nearest_of(near: np.ndarray) -> np.uint16:
    lowest = _FAR
    for i in range(len(near)):
        lowest = min(lowest, near[i])
    return lowest


@njit(cache=True, nogil=True)
def _bound(near: np.ndarray, lanes: np.ndarray, k: int, n_bits: int) -> int:
    """A distance that at least k <= _LANES of the tile do not exceed; n_bits if it has fewer.

    `lanes` (_LANES,) is written to: the least of every _LANES-th distance.
    """
    lanes[:] = _FAR
    whole = len(near) - len(near) % _LANES
    for start in range(0, whole, _LANES):
        for lane in range(_LANES):
            lanes[lane] = min(lanes[lane], near[start + lane])
    for i in range(whole, len(near)):
        lanes[i - whole] = min(lanes[i - whole], near[i])
    # insertion keeps the k least in order; most lanes are above them
    for lane in range(1, _LANES):
        value, place = lanes[lane], min(lane, k)
        if value >= lanes[place - 1]:
            if lane < k:
                lanes[lane] = value
            continue
        while place > 0 and lanes[place - 1] > value:
            if place < k:
                lanes[place] = lanes[place - 1]
            place -= 1
        lanes[place] = value
    return min(int(lanes[k - 1]), n_bits)


@njit(cache=True, nogil=True)
def _choose(
    near: np.ndarray,
    limit: int,
    first_row: int,
    count: int,
    kept_rows: np.ndarray,
    kept: np.ndarray,
) -> int:
    """Append the rows at most `limit` away to the `count` kept; how many are kept then."""
    at_most = np.uint16(limit)
    for start in range(0, len(near), _CHUNK):
        end = min(start + _CHUNK, len(near))
        if _nearest_of(near[start:end]) > at_most:
            continue
        for part in range(start, end, _PART):
            stop = min(part + _PART, end)
            if _nearest_of(near[part:stop]) <= at_most:
                for i in range(part, stop):
                    if near[i] <= at_most:
                        kept_rows[count] = first_row + i
                        kept[count] = near[i]
                        count += 1
    return count


@njit(cache=True, nogil=True)
def _kth(seen: np.ndarray, k: int) -> int:
    distance, sum_so_far = 0, seen[0]
    while sum_so_far < k:
        distance += 1
        sum_so_far += seen[distance]
    return distance


@njit(cache=True, nogil=True)
def _compact(rows: np.ndarray, distances: np.ndarray, count: int, kth: int, k: int) -> int:
    """Drop what can't be among the k nearest any more; how many stay."""
    below = 0
    for i in range(count):
        below += distances[i] < kth
    ties = k - below
    kept = 0
    for i in range(count):
        if distances[i] < kth or (distances[i] == kth and ties > 0):
            ties -= distances[i] == kth
            rows[kept] = rows[i]
            distances[kept] = distances[i]
            kept += 1
    return kept


@njit(cache=True, nogil=True)
def _put(
    kept_rows: np.ndarray,
    kept: np.ndarray,
    places: np.ndarray,
    rows: np.ndarray,
    distances: np.ndarray,
) -> None:
    """The first len(rows) of what was kept in the order of rows, by distance."""
    places[:] = 0
    for i in range(len(kept_rows)):
        places[kept[i]] += 1
    total = 0
    for distance in range(len(places)):
        total, places[distance] = total + places[distance], total
    for i in range(len(kept_rows)):
        place = places[kept[i]]
        places[kept[i]] += 1
        if place < len(rows):
            rows[place] = kept_rows[i]
            distances[place] = kept[i]


@njit(cache=True, nogil=True)
def _nearest_block(
    words: np.ndarray,
    queries: np.ndarray,
    n_bits: int,
    room: int,
    rows: np.ndarray,
    distances: np.ndarray,
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
    lanes = np.empty(_LANES, np.uint16)
    for start in range(0, n, _TILE):
        size = min(_TILE, n - start)
        tile = words[start : start + size]
        if in_columns:
            _columns(tile, columns)
        for query in range(len(queries)):
            if limit[query] < 0:
                continue
            _distances(tile, columns, queries[query], near[:size])
            if start == 0 and k <= _LANES:
                limit[query] = _bound(near[:size], lanes, k, n_bits)
            before = count[query]
            after = _choose(near[:size], limit[query], start, before, kept_rows[query], kept[query])
            for i in range(before, after):
                seen[query, kept[query, i]] += 1
            count[query] = after
            if after > before and after >= k:
                kth = _kth(seen[query], k)
                # a later row at the k-th distance loses to those before it
                limit[query] = kth - 1
                if after + _TILE > room:
                    count[query] = _compact(kept_rows[query], kept[query], after, kth, k)
    for query in range(len(queries)):
        _put(
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
    limits = np.empty(n_queries + 1, np.int64)
    limits[0] = 0
    radius = np.empty(n_queries, np.int32)
    flat_rows, flat_distances = rows.reshape(-1), distances.reshape(-1)
    cut = False
    for query in range(n_queries):
        last = distances[query, k - 1]
        length = k
        while length < kept and distances[query, length] == last:
            length += 1
        cut |= kept > k and length == kept and kept < n
        radius[query] = last if length < n else n_bits
        begin = limits[query]
        if begin < query * kept:
            for i in range(length):
                flat_rows[begin + i] = rows[query, i]
                flat_distances[begin + i] = distances[query, i]
        limits[query + 1] = begin + length
    total = limits[n_queries]
    return limits, flat_rows[:total], flat_distances[:total], radius, cut


@njit(cache=True, nogil=True)
def _grown_table(table: np.ndarray, used: int, wanted: int) -> np.ndarray:
    if wanted <= len(table):
        return table
    longer = np.empty((max(wanted, 2 * len(table)), table.shape[1]), table.dtype)
    longer[:used] = table[:used]
    return longer


@njit(cache=True, nogil=True)
def _grouped(
    found: np.ndarray, n_queries: int, n_bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triples whose rows ascend, by query and distance: a counting sort keeps their order."""
    width = n_bits + 1
    places = np.zeros(n_queries * width + 1, np.int64)
    for i in range(len(found)):
        places[found[i, 0] * width + found[i, 1] + 1] += 1
    for place in range(n_queries * width):
        places[place + 1] += places[place]
    limits = places[::width].copy()
    rows = np.empty(len(found), np.int64)
    distances = np.empty(len(found), np.int32)
    for i in range(len(found)):
        bin_ = found[i, 0] * width + found[i, 1]
        rows[places[bin_]] = found[i, 2]
        distances[places[bin_]] = found[i, 1]
        places[bin_] += 1
    return limits, rows, distances


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
            _columns(tile, columns)
        for query in range(len(queries)):
            _distances(tile, columns, queries[query], near[:size])
            more = _choose(near[:size], radii[query], start, 0, chosen_rows, chosen)
            if more:
                found = _grown_table(found, count, count + more)
                for i in range(more):
                    found[count, 0] = query
                    found[count, 1] = chosen[i]
                    found[count, 2] = chosen_rows[i]
                    count += 1
    return _grouped(found[:count], len(queries), n_bits)
