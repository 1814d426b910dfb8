"""Which row of a segment has this id? By the hashes of its ids, in ascending order, and their rows.

Ids of one hash are told apart by themselves.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Sequence
from contextlib import suppress
from math import isqrt
from typing import NamedTuple

import numpy as np

from hashret.errors import DamagedError
from hashret.store.segments.mapped_columns import Column
from hashret.store.segments.record_schema import hashes

# Ids looked up at once from which on NumPy is faster than one bisection after the other.
_MANY = 16


class IdIndex(NamedTuple):
    """The columns of a segment by which its items are found: `hashes`, the row of each, all ids."""

    hashes: Column
    rows: Column
    ids: Column
    n_rows: int

    def find(self, ids: Sequence[tuple[str, int]]) -> dict[str, int]:
        """The row of each id that is here; given are pairs of ids and their hashes."""
        rows = {}
        if len(ids) < _MANY:
            for one, hashed in ids:
                if (row := self._row_of(one, hashed)) >= 0:
                    rows[one] = row
            return rows
        wanted = np.array([hashed for _, hashed in ids], np.uint64)
        hashed_here = self.hashes.array()
        at = np.searchsorted(hashed_here, wanted)
        there = at < self.n_rows
        there[there] = hashed_here[at[there]] == wanted[there]
        for i in np.flatnonzero(there).tolist():
            one, hashed = ids[i]
            if (row := self._among_equal(one, hashed, int(at[i]))) >= 0:
                rows[one] = row
        return rows

    def _row_of(self, item_id: str, hashed: int) -> int:
        """The row of one id. Hashes are spread evenly, so few blocks are looked at."""
        n = self.n_rows
        # the hash of an id stands no further from its even place, but for one of 15,000 ids
        guess, width = (hashed * n) >> 64, 4 * isqrt(n) + 8
        low, high = max(0, guess - width), min(n, guess + width)
        values = self.hashes.values(low, high)
        while (low and values[low] >= hashed) or (high < n and values[high - 1] < hashed):
            width *= 8
            low, high = max(0, guess - width), min(n, guess + width)
            values = self.hashes.values(low, high)
        at = bisect_left(values, hashed, low, high)
        if at < high and values[at] != hashed:  # most segments do not have the id
            return -1
        return self._among_equal(item_id, hashed, at)

    def _among_equal(self, item_id: str, hashed: int, at: int) -> int:
        """The row of the id among those with its hash, the first of which stands at `at`."""
        while at < self.n_rows and self.hashes[at] == hashed:
            row = int(self.rows[at])
            if row < self.n_rows and self.ids[row] == item_id:
                return row
            at += 1
        return -1

    @property
    def is_in_order(self) -> bool:
        """Whether the hashes are in ascending order, and each row is one of the segment."""
        hashed = self.hashes.array()
        return bool((hashed[1:] >= hashed[:-1]).all() and (self.rows.array() < self.n_rows).all())

    def vouched(self, sound: IdIndex | None = None) -> Iterator[tuple[int, str]]:
        """The (row, id) of every id that its hash vouches for, where no checksum does any more.

        The hashes are those of `sound`, as far as they can be read there.
        """
        told = sound or self
        for at in range(self.n_rows):
            with suppress(DamagedError):
                row, value = int(told.rows[at]), int(told.hashes[at])
                if row < self.n_rows and int(hashes([self.ids[row]])[0]) == value:
                    yield row, self.ids[row]
