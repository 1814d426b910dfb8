"""Each code once, with the rows that have it: what equals the code compared need not be compared.

Codes of a trained model repeat: passages overlap, forms are filled in, pages are copied. An index
over distinct codes compares one where there are a thousand rows, and writes them down as they stand
in a run.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np

from hashret.codes import Codes
from hashret.indexes.gather import expand
from hashret.indexes.linear_hash import LinearHash

_WORTH = 7 / 8  # of the codes, at most so many distinct ones: else a copy costs more than it saves
FIND_NS = 60.0
"""What finding the distinct codes takes, in ns a code."""

#: A reference below this is a row, one from here on the number of a run, plus this.
RUN = 1 << 31


@dataclass(frozen=True, slots=True)
class Runs:
    """The rows of codes that several have, a run for each, ascending: both arrays are uint32.

    Run i is `members[limits[i] : limits[i + 1]]`.
    """

    limits: np.ndarray
    members: np.ndarray

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held."""
        return self.limits.nbytes + self.members.nbytes

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray]:
        """Limits and members, as kernels want them."""
        return self.limits, self.members

    def lengths(self, references: np.ndarray) -> np.ndarray:
        """How many rows each of the references (n,) uint32 names, int64."""
        lengths = np.ones(len(references), np.int64)
        shared = references >= RUN
        runs = references[shared] - np.uint32(RUN)
        lengths[shared] = self.limits[runs + 1].astype(np.int64) - self.limits[runs]
        return lengths

    def rows_of(self, references: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which reference each row is of, int64, and the rows, uint32, one after the other."""
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

    `references` (u,) uint32 each name the row of a code, or where it has several its run (`RUN`). A
    code may stand here twice, the rows of one after those of the other, where hashes of others met
    its own; and where few repeat, each row has its own code, as it came. So whoever builds on this
    may count on comparing less, but not on a code being here once.
    """

    codes: Codes
    references: np.ndarray
    runs: Runs

    @classmethod
    def of(cls, codes: Codes) -> Self:
        """Of at most 2**31 codes, else ValueError. Takes some 50 ms a million."""
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
    """An order of the codes in which equal ones follow one another, by row; where these end."""
    n = len(words)
    row_bits = np.uint64(max(0, n - 1).bit_length())
    # a hash cut short, and the row in one number: that sorts several times faster than argsort
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
