"""Choosing among distances, most of which are looked at only in the sum."""

from __future__ import annotations

import numpy as np
from numba import njit

_CHUNK, _PART = 128, 32  # distances, and parts of these, looked at only if one is small enough
LANES = 64
"""The nearest of so many parts of a tile: the k-th of these bounds the k-th of all."""
_FAR = np.uint16(65535)  # beyond every distance


@njit(cache=True, nogil=True)
def _nearest_of(near: np.ndarray) -> np.uint16:
    lowest = _FAR
    for i in range(len(near)):
        lowest = min(lowest, near[i])
    return lowest


@njit(cache=True, nogil=True)
def bound(near: np.ndarray, lanes: np.ndarray, k: int, n_bits: int) -> int:
    """A distance that at least k <= LANES of the tile do not exceed; n_bits if it has fewer.

    `lanes` (LANES,) is written to: the least of every LANES-th distance.
    """
    lanes[:] = _FAR
    whole = len(near) - len(near) % LANES
    for start in range(0, whole, LANES):
        for lane in range(LANES):
            lanes[lane] = min(lanes[lane], near[start + lane])
    for i in range(whole, len(near)):
        lanes[i - whole] = min(lanes[i - whole], near[i])
    # insertion keeps the k least in order; most lanes are above them
    for lane in range(1, LANES):
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
def choose(
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
def kth_distance(seen: np.ndarray, k: int, cap: int) -> int:
    """The k-th least distance, by how many there are of each; `cap` where it is no less."""
    so_far = 0
    for distance in range(cap):
        so_far += seen[distance]
        if so_far >= k:
            return distance
    return cap


@njit(cache=True, nogil=True)
def drop_beyond(rows: np.ndarray, distances: np.ndarray, count: int, kth: int, k: int) -> int:
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
def put_nearest(
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
def without_gaps(
    rows: np.ndarray, distances: np.ndarray, k: int, n: int, n_bits: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    """The k nearest of n rows, or those that tie too, of each query: both (n_queries, kept).

    Returns limits, rows, distances, the radius up to which each answer is complete, and whether
    more rows may lie at the k-th distance than were kept. Writes to what it is given.
    """
    n_queries, kept = rows.shape
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
def grown_table(table: np.ndarray, used: int, wanted: int) -> np.ndarray:
    """The table, or a copy at least twice as long, with room for `wanted` rows."""
    if wanted <= len(table):
        return table
    longer = np.empty((max(wanted, 2 * len(table)), table.shape[1]), table.dtype)
    longer[:used] = table[:used]
    return longer


@njit(cache=True, nogil=True)
def grouped(
    found: np.ndarray, n_queries: int, width: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Triples by query and distance, which is below `width`: a counting sort keeps their order."""
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


_FEW = 48  # so few are sorted by insertion
_SHORT, _DIGIT = 7, 11  # bits of a pass over hundreds and over thousands
_HUNDREDS = 1024


@njit(cache=True)
def grown(array: np.ndarray, wanted: int) -> np.ndarray:
    """The array, or a copy at least twice as long, with room for `wanted` elements."""
    if wanted <= len(array):
        return array
    longer = np.empty(max(wanted, 2 * len(array)), array.dtype)
    longer[: len(array)] = array
    return longer


@njit(cache=True)
def sort_rows(rows: np.ndarray, start: int, end: int) -> None:
    """Sort rows[start:end] (int64, below 2**32) in place; ascending ones cost one look."""
    i = start + 1
    while i < end and rows[i - 1] < rows[i]:
        i += 1
    if i >= end:
        return
    if end - start <= _FEW:
        for i in range(start + 1, end):
            row = rows[i]
            j = i
            while j > start and rows[j - 1] > row:
                rows[j] = rows[j - 1]
                j -= 1
            rows[j] = row
        return
    _sort_by_digits(rows[start:end])


@njit(cache=True)
def _sort_by_digits(rows: np.ndarray) -> None:
    """Least significant digit first (Knuth, TAOCP 3, section 5.2.5)."""
    source = rows
    target = np.empty(len(rows), np.int64)
    digit_bits = _SHORT if len(rows) <= _HUNDREDS else _DIGIT
    all_bits = np.int64(0)
    for row in rows:
        all_bits |= row
    places = np.empty((1 << digit_bits) + 1, np.int64)
    shift = 0
    while all_bits >> shift:
        places[:] = 0
        for row in source:
            places[((row >> shift) & ((1 << digit_bits) - 1)) + 1] += 1
        for digit in range(1 << digit_bits):
            places[digit + 1] += places[digit]
        for row in source:
            digit = (row >> shift) & ((1 << digit_bits) - 1)
            target[places[digit]] = row
            places[digit] += 1
        source, target = target, source
        shift += digit_bits
    if source is not rows:
        rows[:] = source
