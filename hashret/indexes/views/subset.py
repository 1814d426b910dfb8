"""An index over some of the rows only, such as those that satisfy a condition."""

from __future__ import annotations

from dataclasses import replace
from typing import ClassVar, Self

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes.base import BOTH
from hashret.indexes.planner.planner import PlannedIndex
from hashret.indexes.table.index import TableIndex


class SubsetIndex:
    """Exact answers among chosen rows of some codes, by the fastest path.

    The chosen codes are copied and indexed by themselves. So an answer has k rows whenever k are
    chosen, and takes the time of so many rows. Rows are numbered as in all codes; `len` counts the
    chosen ones. The class is not in `INDEXES`, because it is built from rows as well as codes.
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
        """Build an index in which all of the codes are chosen."""
        return cls(codes, np.arange(len(codes)))

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self.codes.n_bits

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes from which these were chosen."""
        return self.codes.packed.nbytes + self._rows.nbytes + self._index.n_bytes

    @property
    def table(self) -> TableIndex:
        """The hash table over the chosen codes, built on first use."""
        return self._index.table

    @property
    def rows(self) -> np.ndarray:
        """The chosen rows, increasing, (n,) int64."""
        return self._rows

    def __len__(self) -> int:
        return len(self._rows)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest chosen rows of each query; see `Index.search`."""
        return self.numbered(self._index.search(queries, k, ties=ties))

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All chosen rows within `radius` bits (inclusive); see `Index.within`."""
        return self.numbered(self._index.within(queries, radius))

    def numbered(self, found: Neighbors) -> Neighbors:
        """An answer whose rows are positions among the chosen codes, renumbered as in all codes."""
        # increasing, so the order by (distance, row) stays
        return replace(found, rows=self._rows[found.rows])
