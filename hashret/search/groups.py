"""Hits of different groups: of each group, such as the passages of a document, only the best.

Items with one value of a metadata field are a group; an item without the field is one by itself.
What was found for query i has the slice ``limits[i]`` to ``limits[i + 1]`` of arrays, among them
`numbers`, those of the groups. A place is an index into them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from hashret import rank
from hashret.row_numbers import RowNumbers
from hashret.snapshot import Snapshot
from hashret.where.conditions import kind_of

#: How many times as many items are searched for next where those found have too few groups.
MORE = 4
# Rows that are found at once, to bound the memory of an answer.
_FOUND = 1 << 21


@dataclass(frozen=True, slots=True)
class Groups:
    """The group of every item, with a code or without."""

    _n_groups: int
    _n_coded: int  # groups of the items with a code
    _rows: RowNumbers
    """The rows of all items."""
    _numbers: np.ndarray
    """(n,) int64 of all items: negative for a value of the field; without it, the item's place."""
    _coded: RowNumbers
    """The rows of the items with a code."""

    @classmethod
    def of(cls, snapshot: Snapshot, field: str) -> Self:
        """The groups by a field of the metadata; numbers that are equal are one group's."""
        known: dict[Any, int] = {}
        of_rows, of_values = [np.empty(0, np.int64)], [np.empty(0, np.int64)]
        for rows, places, values in snapshot.distinct(field):
            group = [-1 - known.setdefault(_key(value), len(known)) for value in values]
            of_rows.append(rows)
            of_values.append(np.array([*group, 0], np.int64)[places])  # 0 where the place is -1
        every, numbers = np.concatenate(of_rows), np.concatenate(of_values)
        without = np.flatnonzero(numbers == 0)
        numbers[without] = without
        of_coded = numbers[snapshot.rows.find(every) >= 0]
        counts = len(np.unique(numbers)), len(np.unique(of_coded))
        return cls(*counts, RowNumbers(every), numbers, snapshot.rows)

    def count(self, rows: np.ndarray | None) -> int:
        """How many groups the items at these rows have, or all items."""
        return self._n_groups if rows is None else len(np.unique(self.of_items(rows)))

    def count_of_codes(self, positions: np.ndarray | None) -> int:
        """How many groups the items at these positions among the codes have, or all codes."""
        return self._n_coded if positions is None else len(np.unique(self.of_codes(positions)))

    def of_items(self, rows: np.ndarray) -> np.ndarray:
        """The numbers of the groups of the items at these rows, (n,) int64."""
        return self._numbers[self._rows.find(rows)]

    def of_codes(self, positions: np.ndarray) -> np.ndarray:
        """The same of the items at these positions among the snapshot's codes."""
        if len(self._coded) == len(self._rows):  # every item has a code
            return self._numbers[positions]
        return self.of_items(self._coded[positions])

    @property
    def has_none(self) -> bool:
        """Whether no item has the field."""
        return not (self._numbers < 0).any()


def in_parts(queries: np.ndarray, depth: int, n_items: int) -> list[tuple[np.ndarray, int]]:
    """Queries for so many of the items each, in parts that are searched at once; the last first."""
    size = max(1, _FOUND // max(1, min(depth, n_items)))
    starts = range(0, len(queries), size)
    return [(queries[start : start + size], depth) for start in reversed(starts)]


def n_groups(limits: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The number of groups of each query, (n_queries,) int64."""
    return np.diff(np.searchsorted(firsts(limits, numbers), limits))


def firsts(limits: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """The places of the first item of each group of each query, increasing."""
    queries = rank.owners(limits)
    order = np.lexsort((numbers, queries))  # stable: the first of each group comes first
    is_first = np.ones(len(order), bool)
    is_first[1:] = np.diff(numbers[order]) != 0
    is_first[1:] |= np.diff(queries[order]) != 0
    return np.sort(order[is_first])


def leading(limits: np.ndarray, numbers: np.ndarray, keys: tuple[np.ndarray, ...]) -> np.ndarray:
    """The places of the items that come first in their group by the keys, increasing.

    Of a group those are several where they tie.
    """
    queries = rank.owners(limits)
    order = np.lexsort((*reversed(keys), numbers, queries))
    begins = np.ones(len(order), bool)
    begins[1:] = (np.diff(numbers[order]) != 0) | (np.diff(queries[order]) != 0)
    first = np.flatnonzero(begins)[np.cumsum(begins) - 1]  # of each item's group
    leads = np.ones(len(order), bool)
    for key in keys:
        leads &= key[order] == key[order][first]
    return np.sort(order[leads])


def best(
    limits: np.ndarray, numbers: np.ndarray, count: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The limits and places of the first `count` items, each the first of its group."""
    places = firsts(limits, numbers)
    return rank.first_within(np.searchsorted(places, limits), places, count)


def shortlist(
    limits: np.ndarray, numbers: np.ndarray, depth: int, count: int
) -> tuple[np.ndarray, np.ndarray]:
    """The limits and places of the first `depth` items of each query, or of more.

    So many that `count` groups are among them, or all groups where fewer were found.
    """
    places = firsts(limits, numbers)
    ends = []
    for start, stop in pairwise(limits.tolist()):
        mine = places[np.searchsorted(places, start) : np.searchsorted(places, stop)]
        needed = int(mine[:count][-1]) + 1 if len(mine) else start
        ends.append(max(min(start + depth, stop), needed))
    kept = [np.arange(start, end) for start, end in zip(limits, ends, strict=False)]
    lengths = [len(one) for one in kept]
    return np.append(0, np.cumsum(lengths)), np.concatenate([np.empty(0, np.int64), *kept])


def _key(value: Any) -> tuple[str, Any]:
    """What equal values have in common: 1 and 1.0 are equal, True is neither."""
    kind = kind_of(value)
    return kind, json.dumps(value, sort_keys=True) if kind == "other" else value
