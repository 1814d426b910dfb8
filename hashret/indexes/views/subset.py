"""Some of the rows only: exact answers among the rows that a condition selected."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes.base import BOTH
from hashret.indexes.planner.planner import PlannedIndex
from hashret.indexes.table.index import TableIndex


class SubsetIndex:
    """Answers among chosen rows of some codes, exactly and by the cheapest path.

    The chosen codes are copied and indexed by themselves, so an answer is as full as the choice
    allows however few rows it leaves, and costs what so many rows cost. Rows are numbered as in
    all codes, `len` counts the chosen ones. Not a member of `INDEXES`: it is built from rows as
    well as codes.
    """

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH

    def __init__(self, codes: Codes, rows: np.ndarray):
        """`rows`: distinct positions in `codes`, increasing, (n,) int64."""
        self.codes = codes[rows]
        self._rows = rows
        self._index = PlannedIndex(self.codes)

    @classmethod
    def build(cls, codes: Codes) -> Self:
        """An index of all of these codes."""
        return cls(codes, np.arange(len(codes)))

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self.codes.n_bits

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes that these were chosen from."""
        return self.codes.packed.nbytes + self._rows.nbytes + self._index.n_bytes

    @property
    def table(self) -> TableIndex:
        """The hash table over the chosen codes, built on first use."""
        return self._index.table

    def __len__(self) -> int:
        return len(self._rows)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest chosen rows of each query; see `Index.search`."""
        return self.numbered(self._index.search(queries, k, ties=ties))

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All chosen rows within `radius` bits (inclusive); see `Index.within`."""
        return self.numbered(self._index.within(queries, radius))

    def numbered(self, found: Neighbors) -> Neighbors:
        """An answer about the chosen codes alone, with rows numbered as in all codes."""
        # increasing, so the order by (distance, row) stays
        return replace(found, rows=self._rows[found.rows])
