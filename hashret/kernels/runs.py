"""Replace references by rows, compiled.

A reference, as `hashret.indexes.distinct` defines it, is a row, or RUN plus the number of a run of
rows that have the same code; `run_limits` and `members` are the arrays of these runs.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.kernels.packing import RUN
from hashret.kernels.selecting import sort_rows

_RUN = np.int64(RUN)


@njit(inline="always")
def length_of(
    reference: int,
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
) -> np.int64:
    """The number of rows that a reference stands for."""
    run = np.int64(reference) - _RUN
    if run < 0:
        return np.int64(1)
    return np.int64(run_limits[run + 1]) - np.int64(run_limits[run])


@njit(inline="always")
def copy_rows(
    reference: int,
    most: int,
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
    rows: np.ndarray,  # (room,) int64, written
    count: int,
) -> int:
    """Write at most the first `most` rows of a reference to rows[count:]; returns the new count."""
    run = np.int64(reference) - _RUN
    if run < 0:
        rows[count] = np.int64(reference)
        return count + 1
    begin = np.int64(run_limits[run])
    end = min(np.int64(run_limits[run + 1]), begin + most)
    for member in range(begin, end):
        rows[count] = members[member]
        count += 1
    return count


@njit(cache=True, nogil=True)
def spread(
    limits: np.ndarray,  # (n_queries + 1,) int64
    references: np.ndarray,  # (n,) int64
    distances: np.ndarray,  # (n,) int32
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The limits, rows and distances of `Neighbors`, from those of references.

    The references of each query are in the order of distance; so are the rows, and then ascending.
    """
    total = np.int64(0)
    for i in range(len(references)):
        total += length_of(references[i], run_limits)
    all_limits = np.zeros(len(limits), np.int64)
    rows, all_distances = np.empty(total, np.int64), np.empty(total, np.int32)
    count = 0
    for query in range(len(limits) - 1):
        i = limits[query]
        while i < limits[query + 1]:
            begin, distance = count, distances[i]
            while i < limits[query + 1] and distances[i] == distance:
                count = copy_rows(references[i], total, run_limits, members, rows, count)
                i += 1
            all_distances[begin:count] = distance
            sort_rows(rows, begin, count)
        all_limits[query + 1] = count
    return all_limits, rows, all_distances


@njit(cache=True, nogil=True)
def put_in_order(
    references: np.ndarray,  # (n,) uint32
    found: np.ndarray,  # (n or more,) uint16, their distances
    places: np.ndarray,  # (n_bits + 2,) int64, overwritten
    ordered: np.ndarray,  # (n or more,) int64, overwritten
    filled: np.ndarray,  # (2 * max_hits,) int64, overwritten
    run_limits: np.ndarray,  # (n_runs + 1,) uint32
    members: np.ndarray,  # (n_members,) uint32
    rows: np.ndarray,  # (max_hits,) int64, written
    distances: np.ndarray,  # (max_hits,) int32, written
) -> int:
    """Write the nearest max_hits rows of the references, by distance and row; returns how many.

    A counting sort of the references by distance, and a sort of the rows at each distance.
    """
    places[:] = 0
    for i in range(len(references)):
        places[np.int64(found[i]) + 1] += 1
    for distance in range(1, len(places)):
        places[distance] += places[distance - 1]
    for i in range(len(references)):
        ordered[places[found[i]]] = references[i]
        places[found[i]] += 1
    total, begin, distance = 0, 0, 0
    while begin < len(references) and total < len(rows):
        end = places[distance]  # the counting sort has moved it from the begin to the end
        wanted, count = len(rows) - total, 0
        for i in range(begin, end):
            if count + min(length_of(ordered[i], run_limits), wanted) > len(filled):
                sort_rows(filled, 0, count)
                count = wanted  # the rows after these can't be among the hits
            count = copy_rows(ordered[i], wanted, run_limits, members, filled, count)
        sort_rows(filled, 0, count)
        for i in range(min(count, wanted)):
            rows[total] = filled[i]
            distances[total] = distance
            total += 1
        begin = end
        distance += 1
    return total
