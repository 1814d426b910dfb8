"""A compact array of increasing row numbers: a few bytes for millions of consecutive ones."""

from __future__ import annotations

from typing import Self, overload

import numpy as np


class RowNumbers:
    """n increasing integers, stored as runs, that behave like a sorted (n,) int64 array.

    A collection's rows are consecutive except for removed ones, so there are few runs. In the worst
    case, when every other row was removed, they take as much memory as the array.
    """

    def __init__(self, rows: np.ndarray):
        """`rows` (n,) integers, strictly increasing."""
        rows = np.asarray(rows, np.int64)
        begins = np.flatnonzero(np.concatenate([[True], rows[1:] != rows[:-1] + 1])[: len(rows)])
        self._starts = begins  # (n_runs,) position at which each run begins
        self._firsts = rows[begins]  # (n_runs,) first number of each run
        self._n = len(rows)

    @classmethod
    def of_ranges(cls, firsts: np.ndarray | list[int], lengths: np.ndarray | list[int]) -> Self:
        """The numbers firsts[i] to firsts[i] + lengths[i] - 1 of every range i.

        (n_ranges,) integers; the ranges increase and don't overlap. One of length 0 has no numbers.
        Memory is that of the ranges.
        """
        first, length = np.asarray(firsts, np.int64), np.asarray(lengths, np.int64)
        first, length = first[length > 0], length[length > 0]
        starts = np.cumsum(length) - length
        # the others go on where the one before ends
        new = first != np.concatenate([first[:1] - 1, (first + length)[:-1]])
        self = cls(np.empty(0, np.int64))
        self._starts, self._firsts, self._n = starts[new], first[new], int(length.sum())
        return self

    @property
    def ranges(self) -> tuple[np.ndarray, np.ndarray]:
        """The first number and the length of each run of consecutive ones, (n_runs,) int64 each."""
        return self._firsts, np.diff(self._starts, append=self._n)

    def without(self, rows: np.ndarray | list[int]) -> Self:
        """The numbers but `rows`; those of them that are not among the numbers are ignored."""
        gone = ascending(np.asarray(rows, np.int64))
        at = self.find(gone)
        at = at[at >= 0]
        # each that is gone ends one run and begins another, which may have no numbers
        begins = np.sort(np.concatenate([self._starts, at + 1]))
        ends = np.sort(np.concatenate([self._starts + self.ranges[1], at]))
        some = ends > begins
        begins, ends = begins[some], ends[some]
        return type(self).of_ranges(self[begins], ends - begins)

    def __len__(self) -> int:
        return self._n

    @overload
    def __getitem__(self, positions: int) -> np.int64: ...
    @overload
    def __getitem__(self, positions: np.ndarray | list[int]) -> np.ndarray: ...
    def __getitem__(self, positions: int | np.ndarray | list[int]) -> np.int64 | np.ndarray:
        """The numbers at these positions, counted from the end where they are negative."""
        at = np.asarray(positions, np.int64)
        at = np.where(at < 0, at + self._n, at)
        if at.size and not 0 <= at.min() <= at.max() < self._n:
            raise IndexError(f"position: expected one of {self._n}, got {positions}")
        if len(self._starts) == 1:  # nothing was removed: no run to look for
            return self._firsts[0] + at
        run = np.searchsorted(self._starts, at, side="right") - 1
        found: np.int64 | np.ndarray = self._firsts[run] + (at - self._starts[run])
        return found

    def searchsorted(
        self, rows: np.ndarray | list[int], side: str = "left", sorter: None = None
    ) -> np.ndarray:
        """How many of the numbers are less than each of `rows`; for a member, its position.

        `numpy.searchsorted` calls this method and passes `side` and `sorter`, so both must be
        parameters; only their default values are supported. Without the method NumPy would build
        an array of all numbers.
        """
        if side != "left" or sorter is not None:
            raise ValueError(f"side: expected 'left' and no sorter, got {side!r}; leave both out")
        wanted = np.asarray(rows, np.int64)
        if not self._n:
            return np.zeros(wanted.shape, np.int64)
        run = np.maximum(np.searchsorted(self._firsts, wanted, side="right") - 1, 0)
        _, lengths = self.ranges
        within = np.clip(wanted - self._firsts[run], 0, lengths[run])
        return self._starts[run] + within

    def find(self, rows: np.ndarray) -> np.ndarray:
        """The position of each of `rows`; -1 if it is not among the numbers."""
        if not self._n:
            return np.full(len(rows), -1)
        at = self.searchsorted(rows)
        return np.where(self[at.clip(max=self._n - 1)] == rows, at, -1)

    def __array__(self, dtype: np.dtype | None = None, copy: bool | None = None) -> np.ndarray:
        """All the numbers as an array; NumPy calls this where it needs one.

        Raises ValueError for `copy` False, as NumPy requires of objects that hold no array.
        """
        if copy is False:
            raise ValueError("copy: expected a copy to be allowed, got False; leave it out")
        _, lengths = self.ranges
        numbers = np.repeat(self._firsts - self._starts, lengths) + np.arange(self._n)
        return numbers if dtype is None else numbers.astype(dtype)


class Moves:
    """For each position among some row numbers, the position of that number among others.

    It behaves like a (n,) int64 array, -1 where the others don't have the number, but is stored by
    runs: of numbers of which few were removed, that takes a few bytes for each of these.
    """

    def __init__(self, former: RowNumbers, rows: RowNumbers):
        """From positions in `former` to positions in `rows`."""
        firsts, lengths = rows.ranges
        # up to the next of these positions, numbers are consecutive in both, or missing in `rows`
        cuts = [former.searchsorted(edge) for edge in (firsts, firsts + lengths)]
        starts = np.unique(np.concatenate([former.searchsorted(former.ranges[0]), *cuts]))
        self._starts = starts[starts < len(former)]
        self._to = rows.find(former[self._starts])
        self._n = len(former)
        lengths = np.diff(self._starts, append=self._n)
        #: The number of positions that lead to another, and are not -1.
        self.n_kept = int(lengths[self._to >= 0].sum())

    def __len__(self) -> int:
        return self._n

    @property
    def nbytes(self) -> int:
        """Bytes of memory held."""
        return self._starts.nbytes + self._to.nbytes

    def __getitem__(self, positions: np.ndarray) -> np.ndarray:
        """Where the numbers at these positions are, (n,) int64; `positions` are not negative."""
        run = np.searchsorted(self._starts, positions, side="right") - 1
        to = self._to[run]
        return np.where(to < 0, -1, to + (positions - self._starts[run]))


def ascending(rows: np.ndarray) -> np.ndarray:
    """The rows in ascending order, each once."""
    # not by `np.unique`: it loads `numpy.ma`, which takes 15 ms of a cold query
    rows = np.sort(rows)
    first = np.ones(len(rows), bool)
    first[1:] = rows[1:] != rows[:-1]
    return rows[first]
