"""Some of the rows only: exact answers among the rows that a condition selected."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes.planner.planner import PlannedIndex
from hashret.indexes.table.index import TableIndex


class SubsetIndex:
    """Answers among chosen rows of some codes, exactly and by the cheapest path.

    The chosen codes are copied and indexed by themselves, so an answer is as full as the choice
    allows however few rows it leaves, and costs what so many rows cost. Not a member of
    `INDEXES`: it is built from rows as well as codes.
    """

    def __init__(self, codes: Codes, rows: np.ndarray):
        """`rows`: distinct positions in `codes`, increasing, (n,) int64."""
        self.rows = rows
        self.codes = codes[rows]
        self._index = PlannedIndex(self.codes)

    @property
    def path(self) -> str:
        """By which way the last answer came."""
        return self._index.path

    @property
    def n_tables(self) -> int:
        """The number of hash tables on that way."""
        return self._index.n_tables

    @property
    def table(self) -> TableIndex:
        """The hash table over the chosen codes, built on first use."""
        return self._index.table

    def __len__(self) -> int:
        return len(self.rows)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest chosen rows of each query, numbered as in all codes; see `Index.search`."""
        return self.numbered(self._index.search(queries, k, ties=ties))

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All chosen rows within `radius` bits (inclusive), numbered as in all codes."""
        return self.numbered(self._index.within(queries, radius))

    def numbered(self, found: Neighbors) -> Neighbors:
        """An answer about the chosen codes alone, with rows numbered as in all codes."""
        # increasing, so the order by (distance, row) stays
        return replace(found, rows=self.rows[found.rows])
