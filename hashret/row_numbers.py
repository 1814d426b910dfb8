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
    def of_runs(cls, firsts: np.ndarray, lengths: np.ndarray) -> Self:
        """The numbers of runs that follow one another: (n_runs,) int64 each, no run empty."""
        numbers = cls(np.empty(0, np.int64))
        ends = np.cumsum(lengths)
        numbers._starts, numbers._firsts = ends - lengths, firsts
        numbers._n = int(ends[-1]) if len(ends) else 0
        return numbers

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
        lengths = np.diff(self._starts, append=self._n)
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
        lengths = np.diff(self._starts, append=self._n)
        numbers = np.repeat(self._firsts - self._starts, lengths) + np.arange(self._n)
        return numbers if dtype is None else numbers.astype(dtype)
