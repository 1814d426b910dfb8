"""The hashes of all ids in few sorted arrays, to look up many ids in many segments at once.

Runs of about one size are merged, so that n segments make some log2(n) runs (a log-structured merge
tree, O'Neil et al., Acta Informatica 1996, in memory). 16 bytes an item.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np


class _Run(NamedTuple):
    hashes: np.ndarray  # (n,) uint64, ascending
    segments: np.ndarray  # (n,) uint32: the number of the segment of each
    rows: np.ndarray  # (n,) uint32: its row, counted from the segment's first


class IdRuns:
    """Hashes of ids, each with the number of its segment and its row there."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self.n_segments = 0

    def add(self, hashes: np.ndarray, rows: np.ndarray) -> None:
        """Add the next segment: its hashes in ascending order, (n,) uint64, and their rows."""
        numbers = np.full(len(hashes), self.n_segments, np.uint32)
        self._runs.append(_Run(hashes, numbers, rows.astype(np.uint32)))
        self.n_segments += 1
        while len(self._runs) > 1 and len(self._runs[-2].hashes) <= 2 * len(self._runs[-1].hashes):
            self._runs.append(_merged(self._runs.pop(-2), self._runs.pop()))

    def find(self, hashes: np.ndarray) -> Iterator[tuple[int, int, int]]:
        """Yield (i, segment, row) for each row whose id has the hash ``hashes[i]``; any order."""
        order = np.argsort(hashes)
        wanted = hashes[order]  # in ascending order, which finds its places several times sooner
        for run in self._runs:
            at = np.searchsorted(run.hashes, wanted)
            inside = at < len(run.hashes)
            inside[inside] = run.hashes[at[inside]] == wanted[inside]
            for place in np.flatnonzero(inside).tolist():
                found = int(at[place])
                while found < len(run.hashes) and run.hashes[found] == wanted[place]:
                    yield int(order[place]), int(run.segments[found]), int(run.rows[found])
                    found += 1


def _merged(one: _Run, other: _Run) -> _Run:
    """Both runs as one; what `one` has comes first where hashes are equal."""
    hashes = np.concatenate([one.hashes, other.hashes])
    order = np.argsort(hashes, kind="stable")
    segments = np.concatenate([one.segments, other.segments])
    rows = np.concatenate([one.rows, other.rows])
    return _Run(hashes[order], segments[order], rows[order])
