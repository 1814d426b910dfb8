"""Which rows answer a question: among all codes or selected ones, by which index, in what time."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes import kernels
from hashret.indexes.base import Index, approximation_of
from hashret.indexes.table.asymmetric import compare_all, probe
from hashret.indexes.views.cache import IndexKind, KeptIndexes, require_known
from hashret.indexes.views.subset import SubsetIndex
from hashret.items import Approximation
from hashret.plan import Plan
from hashret.row_numbers import RowNumbers
from hashret.search.machine import SearchCosts, table_of
from hashret.search.question import Question
from hashret.snapshot import Snapshot

#: The index that is asked nothing but its table, and builds no more than that.
_FOR_TABLE = "auto"

# Queries searched at once: first, at most, and so many that they find about so many rows.
_FIRST_BLOCK, _BLOCK, _FOUND = 256, 4096, 1 << 21


class Answered(NamedTuple):
    """What was found for some of the queries: which these are, how, and what it is worth."""

    queries: np.ndarray
    found: Neighbors
    plan: Plan
    approximation: Approximation | None


class Searcher:
    """The indexes over a snapshot's codes, and what searching them has cost.

    `kind` is the index where a question names none. Whoever moves the snapshot says so (`moved`).
    """

    def __init__(self, snapshot: Snapshot, kind: IndexKind):
        self.kind = kind
        self._snapshot = snapshot
        self._indexes = KeptIndexes(table_of)
        self._costs = SearchCosts()
        self._chosen: tuple[str, SubsetIndex] | None = None  # the last condition, what it selects

    def moved(self, former: RowNumbers) -> None:
        """The snapshot is another; `former` are the row numbers of the one before."""
        self._indexes.moved(former)
        self._chosen = None

    def index(self, kind: IndexKind | None = None) -> Index:
        """The index of this kind over all codes, built on first use. Raises `UnknownKindError`."""
        kind = self.kind if kind is None else kind
        require_known(kind)
        return self._indexes.of(kind, self._snapshot.codes, self._snapshot.rows)

    def over(self, question: Question) -> Index:
        """The index over all items that are meant. Raises `WhereError` and `UnknownKindError`."""
        if question.where is not None:
            return self._among(question.where)
        # by score every code is compared, or the table probed: no other index is built for that
        return self.index(_FOR_TABLE if question.by_score else question.index)

    def _among(self, where: str) -> SubsetIndex:
        """The index over the items that satisfy `where`; the last one is kept for the next time."""
        if self._chosen is None or self._chosen[0] != where:
            positions = self._snapshot.positions_where(where)
            self._chosen = where, SubsetIndex(self._snapshot.codes, positions)
        return self._chosen[1]

    def answers(
        self,
        question: Question,
        codes: Codes,
        queries: np.ndarray,
        depth: int | None,
        confidences: np.ndarray | None = None,
    ) -> Iterator[Answered]:
        """The answers to `queries`, positions among `codes` (n, n_bits), some at a time.

        Where very many items tie, these are so few that their answer fits the memory.
        `depth` says how many of the nearest are found; within a radius it says nothing.
        `confidences` (n, n_bits) of the codes are needed by score.
        """
        index, left, size = self.over(question), queries, _FIRST_BLOCK
        approximation = None if question.by_score else approximation_of(index)
        while len(left):
            block, left = left[:size], left[size:]
            self._costs.use_known(len(block))
            began = perf_counter()
            if question.by_score and confidences is not None:
                found = self._by_score(question, codes[block], confidences[block], depth or 1)
            elif question.radius is not None:
                found = index.within(codes[block], question.radius)
            else:
                found = index.search(codes[block], depth or 1, ties=True)
            seconds = perf_counter() - began
            self._costs.spent(seconds)
            yield Answered(block, found, _plan(found, len(index), seconds), approximation)
            size = max(1, min(_BLOCK, _FOUND * len(block) // max(1, len(found.rows))))

    def _by_score(
        self, question: Question, codes: Codes, confidences: np.ndarray, k: int
    ) -> Neighbors:
        """For each query the k rows of highest score, of all codes or of those in the probes."""
        chosen = None
        if question.where is not None:
            chosen = self._among(question.where)
        stored = self._snapshot.codes if chosen is None else chosen.codes
        if question.probes is None:
            found = compare_all(stored, codes, confidences, k)
        else:
            table = (
                chosen.table if chosen is not None else self._indexes.table(self._snapshot.codes)
            )
            found = probe(table, stored, codes, confidences, k, question.probes)
        return found if chosen is None else chosen.numbered(found)


def _plan(found: Neighbors, n_items: int, seconds: float) -> Plan:
    work = found.work
    by_numpy = work.path == "by score" or work.path.startswith("faiss")
    compiled = kernels.loaded() is not None and not by_numpy
    done = work.probed, work.compared, n_items, len(found)
    return Plan(work.path, work.n_tables, *done, compiled, seconds, -1)
