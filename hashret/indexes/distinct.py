"""The distinct codes of a collection, each with the rows that have it, so that it is compared once.

Codes of a trained model repeat: passages overlap, forms are filled in, pages are copied. An index
over distinct codes compares one code in place of a thousand equal ones, and copies their rows from
a run into the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hashret.codes import Codes
from hashret.indexes.gather import expand
from hashret.indexes.linear_hash import LinearHash
from hashret.kernels.packing import RUN

_WORTH = 7 / 8  # share of distinct codes above which merging equal ones costs more than it saves
FIND_NS = 60.0
"""The time that finding the distinct codes takes, in ns per code."""


@dataclass(frozen=True, slots=True)
class Runs:
    """For each code that several rows share, the run of these rows, ascending.

    Run i is `members[limits[i] : limits[i + 1]]`; both arrays are uint32.
    """

    limits: np.ndarray
    members: np.ndarray

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held."""
        return self.limits.nbytes + self.members.nbytes

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """(limits, members), in the order in which kernels take them."""
        return self.limits, self.members

    def lengths(self, references: np.ndarray) -> np.ndarray:
        """The number of rows behind each of the references, (n,) uint32; an int64 array."""
        lengths = np.ones(len(references), np.int64)
        shared = references >= RUN
        runs = references[shared] - np.uint32(RUN)
        lengths[shared] = self.limits[runs + 1].astype(np.int64) - self.limits[runs]
        return lengths

    def rows_of(self, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """All rows behind the references, uint32, and the position of each row's reference, int64.

        They are returned in the order (positions, rows).
        """
        lengths = self.lengths(references)
        which = np.repeat(np.arange(len(references)), lengths)
        rows = references[which]
        shared = references >= RUN
        starts = self.limits[references[shared] - np.uint32(RUN)].astype(np.int64)
        rows[rows >= RUN] = self.members[expand(starts, lengths[shared])]
        return which, rows


@dataclass(frozen=True, slots=True)
class DistinctCodes:
    """The u distinct codes of a collection, in the order of their first rows.

    `references` (u,) uint32: the row of each code, or its run if several rows have it (`RUN`). A
    code can appear twice: after a collision of the shortened hash its rows are split, still
    ascending; and if few codes repeat, none are merged. So an index that uses this class compares
    fewer codes, but must not rely on each code being here only once.
    """

    codes: Codes
    references: np.ndarray
    runs: Runs

    @classmethod
    def of(cls, codes: Codes) -> Self:
        """The distinct codes, found in about 50 ms a million. ValueError for more than 2**31."""
        n = len(codes)
        if n > RUN:
            raise ValueError(f"codes: expected at most {RUN}, got {n}; index them in parts")
        order, ends = _grouped(codes.words)
        lengths = np.diff(np.flatnonzero(ends), prepend=-1)
        shared = lengths > 1
        if len(lengths) > _WORTH * n or not n:
            rows = np.arange(n, dtype=np.uint32)
            return cls(codes, rows, Runs(np.zeros(1, np.uint32), np.empty(0, np.uint32)))
        firsts = order[np.cumsum(lengths) - lengths]
        references = firsts.astype(np.uint32)
        references[shared] = RUN + np.arange(np.count_nonzero(shared))
        limits = np.concatenate([[0], np.cumsum(lengths[shared])]).astype(np.uint32)
        members = order[np.repeat(shared, lengths)].astype(np.uint32)
        by_row = np.argsort(firsts)
        return cls(codes[firsts[by_row]], references[by_row], Runs(limits, members))

    def __len__(self) -> int:
        return len(self.codes)


def _grouped(words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """An order in which equal codes follow one another, by row; and where each group ends."""
    n = len(words)
    row_bits = np.uint64(max(0, n - 1).bit_length())
    # a shortened hash and the row in one number: that sorts several times faster than argsort
    keys = LinearHash(64)(words)
    keys >>= row_bits
    keys <<= row_bits
    keys |= np.arange(n, dtype=np.uint64)
    keys.sort()
    keys &= (np.uint64(1) << row_bits) - np.uint64(1)
    order = keys.astype(np.int64)
    sorted_words = words[order]
    ends = np.ones(n, bool)
    np.any(sorted_words[1:] != sorted_words[:-1], axis=1, out=ends[:-1])
    return order, ends
