"""Gather (query, row, distance) triples from several sources into one answer."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise

import numpy as np

from hashret.codes import Neighbors, Work

PROBES = 1 << 17
"""Number of probes, and of candidates, that are processed at once."""

_MORE, _MORE_OF_MANY = 50, 3  # rows beyond k: so many, or a third of k where that is more


def with_ties(k: int, n_rows: int) -> int:
    """How many of `n_rows` to find: nearly always enough to see that no tie with the k-th was cut.

    Of 300 questions to a million codes of 128 bits, 110 had more than 50 ties with the 600th, and
    had to be searched for twice; one had more than 200.
    """
    return min(n_rows, k + max(_MORE, k // _MORE_OF_MANY))


class Pairs:
    """(query, row, distance) triples, added piece by piece; each (query, row) at most once.

    The pieces may come in any order and have any integer type. Whoever probes or compares adds to
    the counters `probed` and `compared`.
    """

    def __init__(self, path: str, n_tables: int = 0) -> None:
        """No triples yet, for the index named `path` with `n_tables` hash tables."""
        self.probed = 0
        self.compared = 0
        self._own = path, n_tables
        self._others: list[Work] = []
        self._pieces: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []

    def add(self, queries: np.ndarray, rows: np.ndarray, distances: np.ndarray) -> None:
        """Add three arrays of equal length."""
        if len(rows):
            self._pieces.append((queries, rows, distances))

    def add_answers(self, found: Neighbors, queries: np.ndarray) -> None:
        """Add answers to some of the queries, with their work; `queries` are their positions."""
        query = np.repeat(queries, np.diff(found.limits))
        self.add(query, found.rows, found.distances)
        self._others.append(found.work)

    def keep_within(self, caps: np.ndarray) -> None:
        """Drop what is farther from its query than `caps` (n_queries,) allows; -1 drops all."""
        pieces, self._pieces = self._pieces, []
        for queries, rows, distances in pieces:
            keep = np.flatnonzero(distances <= caps[queries])
            self.add(queries[keep], rows[keep], distances[keep])

    @property
    def work(self) -> Work:
        """The work of the index itself and of those whose answers were added."""
        return Work(*self._own, self.probed, self.compared).joined(self._others)

    def neighbors(self, n_queries: int, complete_radius: np.ndarray | int) -> Neighbors:
        """All that was added, in order."""
        nothing = np.empty(0, np.int64)
        columns = zip(*(self._pieces or [(nothing, nothing, nothing)]), strict=True)
        # NumPy would join different integer types, such as int64 and uint64, as floats
        queries, rows, distances = (
            np.concatenate(column, dtype=np.int64, casting="unsafe") for column in columns
        )
        return Neighbors.from_pairs(n_queries, queries, rows, distances, complete_radius, self.work)


def interleaved(parts: list[tuple[np.ndarray, Neighbors]]) -> Neighbors:
    """One answer made of answers to disjoint parts of the queries, each with its positions.

    The first is that of the index itself; the others are of indexes to which it gave queries up.
    """
    n_queries = sum(len(queries) for queries, _ in parts)
    lengths = np.zeros(n_queries, np.int64)
    radius = np.zeros(n_queries, np.int32)
    for queries, found in parts:
        lengths[queries] = np.diff(found.limits)
        radius[queries] = found.complete_radius
    limits = np.concatenate([[0], np.cumsum(lengths)])
    rows = np.empty(limits[-1], np.int64)
    distances = np.empty(limits[-1], np.int32)
    for queries, found in parts:
        places = expand(limits[queries], lengths[queries])
        rows[places], distances[places] = found.rows, found.distances
    first, *others = (found.work for _, found in parts)
    return Neighbors(limits, rows, distances, radius, first.joined(others))


def kth_distance(seen: np.ndarray, k: int) -> np.ndarray:
    """The k-th smallest distance, from a histogram of distances (..., width).

    It is `width` where there are fewer than k.
    """
    return (np.cumsum(seen, axis=-1) < k).sum(axis=-1)


def expand(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """All positions of the ranges, start to start + length (exclusive), in a row; int64."""
    ends = np.cumsum(lengths, dtype=np.int64)
    if not len(ends):
        return np.empty(0, np.int64)
    positions = np.repeat(starts - (ends - lengths), lengths)
    positions += np.arange(ends[-1])
    return positions


def slabs(starts: np.ndarray, lengths: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield (range of each position, positions) of the ranges, about 100,000 at a time."""
    filled = np.flatnonzero(lengths)
    ends = np.cumsum(lengths[filled], dtype=np.int64)
    n_slabs = int(ends[-1]) // PROBES + 1 if len(ends) else 0
    edges = np.searchsorted(ends, np.arange(n_slabs + 1) * PROBES)
    edges[-1:] = len(filled)
    for start, end in pairwise(edges):
        ranges = filled[start:end]
        if len(ranges):
            yield np.repeat(ranges, lengths[ranges]), expand(starts[ranges], lengths[ranges])
