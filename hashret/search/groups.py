"""Hits of different groups: of each group, such as the passages of a document, only the best.

Items with one value of a metadata field are a group; an item without the field is one by itself.
What was found are positions of items: query i has the slice ``limits[i]`` to ``limits[i + 1]``. A
place is an index into them.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Self

import numpy as np

from hashret import rank
from hashret.snapshot import Snapshot
from hashret.where.conditions import kind_of


@dataclass(frozen=True, slots=True)
class Groups:
    """The group of every item with a code, by its position."""

    numbers: np.ndarray
    """(n,) int64: negative for a value of the field; of an item without it, its position."""
    n_groups: int

    @classmethod
    def of(cls, snapshot: Snapshot, field: str) -> Self:
        """The groups by a field of the metadata; numbers that are equal are one group's."""
        known: dict[Any, int] = {}
        numbers = np.arange(len(snapshot.rows), dtype=np.int64)  # an item without the field
        at = 0
        for places, values in snapshot.distinct(field):
            group = [-1 - known.setdefault(_key(value), len(known)) for value in values]
            part = numbers[at : at + len(places)]
            part[places >= 0] = np.array(group, np.int64)[places[places >= 0]]
            at += len(places)
        return cls(numbers, len(np.unique(numbers)))

    @property
    def has_none(self) -> bool:
        """Whether no item has the field."""
        return not (self.numbers < 0).any()

    def count(self, among: np.ndarray | None) -> int:
        """How many groups there are, or are among the items at some positions."""
        return self.n_groups if among is None else len(np.unique(self.numbers[among]))

    def firsts(self, limits: np.ndarray, positions: np.ndarray) -> np.ndarray:
        """The places of the first item of each group of each query, increasing."""
        queries = rank.owners(limits)
        numbers = self.numbers[positions]
        order = np.lexsort((numbers, queries))  # stable: the first of each group comes first
        is_first = np.ones(len(order), bool)
        is_first[1:] = np.diff(numbers[order]) != 0
        is_first[1:] |= np.diff(queries[order]) != 0
        return np.sort(order[is_first])

    def leading(
        self, limits: np.ndarray, positions: np.ndarray, keys: tuple[np.ndarray, ...]
    ) -> np.ndarray:
        """The places of the items that come first in their group by the keys, increasing.

        Of a group those are several where they tie.
        """
        numbers = self.numbers[positions]
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
        self, limits: np.ndarray, positions: np.ndarray, count: int | None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The limits and places of the first `count` items, each the first of its group."""
        places = self.firsts(limits, positions)
        return rank.first_within(np.searchsorted(places, limits), places, count)

    def shortlist(
        self, limits: np.ndarray, positions: np.ndarray, depth: int, count: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The limits and places of the first `depth` items of each query, or of more.

        So many that `count` groups are among them, or all groups where fewer were found.
        """
        places = self.firsts(limits, positions)
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
