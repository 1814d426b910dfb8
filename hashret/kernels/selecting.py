"""Select the near codes from arrays of distances, and put the selected ones in order.

Most distances are larger than the limit. They are skipped in blocks, by the least distance of each
block, which the compiler turns into vector instructions.
"""

from __future__ import annotations

import numpy as np
from numba import njit

_BLOCK = 128  # distances that are skipped together if the least of them is above the limit
_PART = 32  # distances of a block that are then skipped together, likewise
N_MINIMA = 64
"""Number of groups that the first tile is divided into; the k-th least of their minima bounds the
k-th least distance of all codes."""
_FAR = np.uint16(65535)  # bits; more than any distance
_INSERTION = 48  # rows; up to so many, insertion sort is the fastest
_RADIX_SMALL = 1024  # rows; up to so many are sorted by digits of fewer bits
_SMALL_DIGIT = 7  # bits of a digit in the radix sort of at most `_RADIX_SMALL` rows
_LARGE_DIGIT = 11  # bits of a digit in the radix sort of more rows


@njit(cache=True, nogil=True)
def _least_of(near: np.ndarray) -> np.uint16:
    least = _FAR
    for i in range(len(near)):
        least = min(least, near[i])
    return least


@njit(cache=True, nogil=True)
def bound(
    near: np.ndarray,  # (n,) uint16, bits
    minima: np.ndarray,  # (N_MINIMA,) uint16, overwritten
    k: int,
    n_bits: int,
) -> int:
    """A distance that at least k codes of the tile don't exceed; n_bits if it has fewer codes.

    1 <= k <= N_MINIMA. Group i has every distance whose position is i modulo N_MINIMA.
    """
    minima[:] = _FAR
    whole = len(near) - len(near) % N_MINIMA
    for start in range(0, whole, N_MINIMA):
        for group in range(N_MINIMA):
            minima[group] = min(minima[group], near[start + group])
    for i in range(whole, len(near)):
        minima[i - whole] = min(minima[i - whole], near[i])
    # an insertion sort of the k least only; most minima are above them
    for group in range(1, N_MINIMA):
        value, place = minima[group], min(group, k)
        if value >= minima[place - 1]:
            if group < k:
                minima[group] = value
            continue
        while place > 0 and minima[place - 1] > value:
            if place < k:
                minima[place] = minima[place - 1]
            place -= 1
        minima[place] = value
    return min(int(minima[k - 1]), n_bits)


@njit(cache=True, nogil=True)
def choose(
    near: np.ndarray,  # (n,) uint16, bits
    limit: int,  # bits, inclusive
    first_row: int,  # the row of near[0]
    count: int,
    found_rows: np.ndarray,  # (room,) uint32, written from `count` on
    found: np.ndarray,  # (room,) uint16, written from `count` on
) -> int:
    """Append the rows within the limit, and their distances; returns the new count."""
    at_most = np.uint16(limit)
    for start in range(0, len(near), _BLOCK):
        end = min(start + _BLOCK, len(near))
        if _least_of(near[start:end]) > at_most:
            continue
        for part in range(start, end, _PART):
            stop = min(part + _PART, end)
            if _least_of(near[part:stop]) <= at_most:
                for i in range(part, stop):
                    if near[i] <= at_most:
                        found_rows[count] = first_row + i
                        found[count] = near[i]
                        count += 1
    return count


@njit(cache=True, nogil=True)
def kth_distance(seen: np.ndarray, k: int, cap: int) -> int:
    """The k-th least distance in bits, or `cap` if that is less.

    `seen` (cap or more,) has the number of codes seen at each distance.
    """
    so_far = 0
    for distance in range(cap):
        so_far += seen[distance]
        if so_far >= k:
            return distance
    return cap


@njit(cache=True, nogil=True)
def drop_beyond(
    rows: np.ndarray,  # (room,), changed in place
    distances: np.ndarray,  # (room,), changed in place
    count: int,
    kth: int,  # the k-th least of the first `count` distances
    k: int,
) -> int:
    """Drop the rows that can't be among the k nearest any more; returns how many remain."""
    below = 0
    for i in range(count):
        below += distances[i] < kth
    ties = k - below
    n_left = 0
    for i in range(count):
        if distances[i] < kth or (distances[i] == kth and ties > 0):
            ties -= distances[i] == kth
            rows[n_left] = rows[i]
            distances[n_left] = distances[i]
            n_left += 1
    return n_left


@njit(cache=True, nogil=True)
def put_nearest(
    found_rows: np.ndarray,  # (n,), ascending
    found: np.ndarray,  # (n or more,), distances of found_rows
    places: np.ndarray,  # (n_bits + 1,) int64, overwritten
    rows: np.ndarray,  # (max_hits,) int64, written
    distances: np.ndarray,  # (max_hits,) int32, written
) -> None:
    """Write the nearest max_hits of the rows found, by distance and row: a counting sort."""
    places[:] = 0
    for i in range(len(found_rows)):
        places[found[i]] += 1
    total = 0
    for distance in range(len(places)):
        total, places[distance] = total + places[distance], total
    for i in range(len(found_rows)):
        place = places[found[i]]
        places[found[i]] += 1
        if place < len(rows):
            rows[place] = found_rows[i]
            distances[place] = found[i]


@njit(cache=True, nogil=True)
def without_gaps(
    rows: np.ndarray,  # (n_queries, max_hits) int64, overwritten
    distances: np.ndarray,  # (n_queries, max_hits) int32, overwritten
    k: int,
    n: int,
    n_bits: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray, bool]:
    """Cut each query's hits after the k-th and those that tie with it, and join the queries'.

    Returns the limits, rows and distances of `Neighbors`, the radius within which each answer is
    complete, and whether more of the n rows may tie with a k-th hit than there was room for.
    """
    n_queries, max_hits = rows.shape
    limits = np.empty(n_queries + 1, np.int64)
    limits[0] = 0
    radius = np.empty(n_queries, np.int32)
    flat_rows, flat_distances = rows.reshape(-1), distances.reshape(-1)
    cut = False
    for query in range(n_queries):
        last = distances[query, k - 1]
        length = k
        while length < max_hits and distances[query, length] == last:
            length += 1
        cut |= max_hits > k and length == max_hits and max_hits < n
        radius[query] = last if length < n else n_bits
        begin = limits[query]
        if begin < query * max_hits:
            for i in range(length):
                flat_rows[begin + i] = rows[query, i]
                flat_distances[begin + i] = distances[query, i]
        limits[query + 1] = begin + length
    total = limits[n_queries]
    return limits, flat_rows[:total], flat_distances[:total], radius, cut


@njit(cache=True, nogil=True)
def grown_table(table: np.ndarray, used: int, wanted: int) -> np.ndarray:
    """The table, or a copy at least twice as long if it has not room for `wanted` rows.

    Only the first `used` rows are copied.
    """
    if wanted <= len(table):
        return table
    longer = np.empty((max(wanted, 2 * len(table)), table.shape[1]), table.dtype)
    longer[:used] = table[:used]
    return longer


@njit(cache=True, nogil=True)
def grouped(
    found: np.ndarray,  # (n, 3) uint32: query, distance, row
    n_queries: int,
    width: int,  # more than any distance
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The limits, rows and distances of `Neighbors`, from triples in any order of the queries.

    A counting sort by query and distance; triples that are equal in both stay in their order.
    """
    places = np.zeros(n_queries * width + 1, np.int64)
    for i in range(len(found)):
        places[found[i, 0] * width + found[i, 1] + 1] += 1
    for place in range(n_queries * width):
        places[place + 1] += places[place]
    limits = places[::width].copy()
    rows = np.empty(len(found), np.int64)
    distances = np.empty(len(found), np.int32)
    for i in range(len(found)):
        group = found[i, 0] * width + found[i, 1]
        rows[places[group]] = found[i, 2]
        distances[places[group]] = found[i, 1]
        places[group] += 1
    return limits, rows, distances


@njit(cache=True)
def grown(array: np.ndarray, wanted: int) -> np.ndarray:
    """The array, or a copy at least twice as long if it has not room for `wanted` elements."""
    if wanted <= len(array):
        return array
    longer = np.empty(max(wanted, 2 * len(array)), array.dtype)
    longer[: len(array)] = array
    return longer


@njit(cache=True)
def sort_rows(rows: np.ndarray, start: int, end: int) -> None:
    """Sort rows[start:end] in place (int64, 0 to 2**32 - 1).

    Rows that ascend already are only read once, which is the most common case.
    """
    i = start + 1
    while i < end and rows[i - 1] < rows[i]:
        i += 1
    if i >= end:
        return
    if end - start <= _INSERTION:
        for i in range(start + 1, end):
            row = rows[i]
            j = i
            while j > start and rows[j - 1] > row:
                rows[j] = rows[j - 1]
                j -= 1
            rows[j] = row
        return
    _radix_sort(rows[start:end])


@njit(cache=True)
def _radix_sort(rows: np.ndarray) -> None:
    """Sort in place by digits, the least significant first (Knuth, TAOCP 3, section 5.2.5)."""
    source = rows
    target = np.empty(len(rows), np.int64)
    digit_bits = _SMALL_DIGIT if len(rows) <= _RADIX_SMALL else _LARGE_DIGIT
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
