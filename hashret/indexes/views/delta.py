"""Reuse an index after a small change: removed rows are skipped, added ones searched beside it."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes.base import (
    BOTH,
    Index,
    OverCodes,
    approximation_of,
    certified,
    check_search,
    check_within,
)
from hashret.indexes.planner.planner import PlannedIndex
from hashret.row_numbers import Moves, RowNumbers

MAX_SHARE = 0.1
"""The share of removed or added rows above which building a new index is better."""


class UpdatedIndex(OverCodes):
    """An index over `codes`, most of which are in a `base` index over former codes.

    It is exact if the base is. The base is searched for more than k rows until k that still exist
    are found; its answers and those among the added rows are merged by (distance, row).
    """

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH

    def __init__(self, base: Index, moved: Moves, codes: Codes):
        """`moved` (len(base),): the row in `codes` of each row of the base, -1 if it was removed.

        The rows that the base lacks are at the end of `codes`.
        """
        self._base = base
        self._moved = moved
        super().__init__(codes)
        self._n_kept = moved.n_kept
        self._added = PlannedIndex(codes[self._n_kept :])

    @classmethod
    def build(cls, codes: Codes) -> Self:
        """Build an index over the codes that has no base."""
        rows = RowNumbers.of_ranges([0], [len(codes)])
        return cls(PlannedIndex(codes), Moves(rows, rows), codes)

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves."""
        return self._base.n_bytes + self._moved.nbytes + self._added.n_bytes

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        found = self._merged(
            self._nearest_kept(queries, k), self._added.search(queries, k, ties=True)
        )
        return certified(found.first(k, ties=ties), len(self), self.n_bits)

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within `radius` bits (inclusive) of each query; see `Index.within`."""
        radii = check_within(self._codes, queries, radius)
        found = self._merged(
            self._kept(self._base.within(queries, radii)), self._added.within(queries, radii)
        )
        return replace(found, complete_radius=radii.astype(np.int32))

    def _nearest_kept(self, queries: Codes, k: int) -> Neighbors:
        """Every row of the base that still exists, up to a distance within which there are k."""
        wanted = k + 1
        while True:
            found = self._kept(self._base.search(queries, wanted, ties=True))
            if wanted >= len(self._base) or (np.diff(found.limits) >= k).all():
                return found
            wanted *= 2

    def _kept(self, found: Neighbors) -> Neighbors:
        rows = self._moved[found.rows]
        kept = rows >= 0
        before = np.concatenate([[0], np.cumsum(kept)])
        return replace(
            found, limits=before[found.limits], rows=rows[kept], distances=found.distances[kept]
        )

    def _merged(self, kept: Neighbors, added: Neighbors) -> Neighbors:
        each = np.arange(len(kept))
        work = kept.work.joined([added.work])
        return Neighbors.from_pairs(
            len(kept),
            np.concatenate([np.repeat(each, np.diff(part.limits)) for part in (kept, added)]),
            np.concatenate([kept.rows, added.rows + self._n_kept]),
            np.concatenate([kept.distances, added.distances]),
            -1,
            work._replace(n_tables=kept.work.n_tables + added.work.n_tables),
        )


class UpdatedApproximateIndex(UpdatedIndex):
    """The same over an approximate `base`; the added rows are searched exactly.

    The recall reported is the one measured where the base was built.
    """

    exact: ClassVar[bool] = False
    supports: ClassVar[frozenset[str]] = frozenset({"search"})

    def __init__(self, base: Index, moved: Moves, codes: Codes):
        """As for `UpdatedIndex`."""
        super().__init__(base, moved, codes)
        self.approximation = approximation_of(base)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """k rows near each query, probably the nearest; see `Index.search`."""
        found = super().search(queries, k, ties=ties)
        return replace(found, complete_radius=np.full(len(found), -1, np.int32))

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """Raises an error, as the base does."""
        return self._base.within(queries, radius)
