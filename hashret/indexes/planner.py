"""Send each question to the cheapest exact path, and build a path when it has paid for itself."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Self, cast

import numpy as np

from hashret.codes import Codes, Neighbors, merge
from hashret.indexes import compiled, costs, estimates
from hashret.indexes.base import BOTH, Index, check_search, check_within, path_of
from hashret.indexes.estimates import Experience, Question
from hashret.indexes.multi_index import MultiIndex
from hashret.indexes.scan import ScanIndex
from hashret.indexes.substrings import cut
from hashret.indexes.table import TableIndex

_SETTLED = 1000  # questions remembered
_SAMPLE = 32  # queries that show whether multi-index hashing suits the data


class PlannedIndex:
    """The default: all exact paths behind one, each built on need.

    The rule: a path's cost is estimated from the number of queries and codes, the ball or the
    substrings to probe. Of the paths that stand, the cheapest answers. One that doesn't stand
    is credited what it would have saved, and built as soon as its credit covers its build: so a
    single question in a fresh process is a scan and loads nothing, a large batch builds what
    suits it at once, and no sequence of questions costs much over twice the best. Compiled
    kernels, where they can be had, are loaded by the same rule. Whether multi-index hashing
    suits the data is learned from what it has done.
    """

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH

    def __init__(self, codes: Codes):
        self._codes = codes
        self._parts: dict[str, Index] = {}
        self._credit = dict.fromkeys(("table", "multi-index", "faiss-flat", "kernels"), 0.0)
        # questions whose path will be the same until something is learned or built
        self._settled: dict[Question, tuple[costs.Costs, str]] = {}
        self._experience: dict[tuple[int, bool], Experience] = {}
        self._builders: dict[str, Callable[[], Index]] = {
            "scan": lambda: ScanIndex(codes),
            "table": lambda: TableIndex(codes),
            "multi-index": self._build_multi,
            "faiss-flat": self._build_flat,
        }
        self._cut = cut(codes.n_bits, len(codes))
        #: the name of the path that answered last, for whoever wants to explain
        self.last_path = ""

    @classmethod
    def build(cls, codes: Codes) -> Self:
        """Plan over these codes; nothing is built yet."""
        return cls(codes)

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self._codes.n_bits

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves, by what is built so far."""
        return sum(part.n_bytes for part in self._parts.values())

    @property
    def path(self) -> str:
        """By which way the last answer came."""
        return path_of(self._parts[self.last_path])[0] if self.last_path else ""

    @property
    def n_tables(self) -> int:
        """The number of hash tables on that way."""
        return path_of(self._parts[self.last_path])[1] if self.last_path else 0

    @property
    def table(self) -> TableIndex:
        """The hash table over the codes, built on first use."""
        return cast(TableIndex, self._part("table"))

    @property
    def built(self) -> frozenset[str]:
        """The names of the paths that stand."""
        return frozenset(self._parts)

    def __len__(self) -> int:
        return len(self._codes)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        question = Question(len(queries), k=k, ties=ties)
        index = self._choose(question)
        known = self._known(question).known or len(queries) <= _SAMPLE
        if known or not isinstance(index, MultiIndex):
            return self._answer(index, question, lambda: index.search(queries, k, ties=ties))
        first = Question(_SAMPLE, k=k, ties=ties)
        found = self._answer(index, first, lambda: index.search(queries[:_SAMPLE], k, ties=ties))
        return merge([found, self.search(queries[_SAMPLE:], k, ties=ties)])

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        radii = check_within(self._codes, queries, radius)
        question = Question(len(queries), radius=int(radii.max(initial=0)))
        index = self._choose(question)
        return self._answer(index, question, lambda: index.within(queries, radii))

    def _answer(self, index: Index, question: Question, ask: Callable[[], Neighbors]) -> Neighbors:
        """Ask, and learn from what multi-index hashing did."""
        if not isinstance(index, MultiIndex) or not question.n_queries:
            return ask()
        given_up, work = index.given_up, index.work
        found = ask()
        done = index.given_up - given_up, index.work - work
        if self._known(question).learn(question.n_queries, *done):
            self._settled.clear()
        return found

    def _known(self, question: Question) -> Experience:
        if question.kind not in self._experience:
            experience = estimates.expected(question, self._cut, len(self))
            self._experience[question.kind] = experience
        return self._experience[question.kind]

    def _choose(self, question: Question) -> Index:
        """The path to take, built if it is not yet and has earned it."""
        settled = self._settled.get(question)
        by = costs.current(compiled.loaded() is not None)
        if settled is not None and settled[0] is by:
            self.last_path = settled[1]
            return self._parts[settled[1]]
        expected = self._expected(question, compiled.loaded() is not None)
        standing = [name for name in expected if name == "scan" or name in self._parts]
        best = min(standing, key=expected.__getitem__)
        pending = compiled.loaded() is None and compiled.available()
        if pending:
            faster = self._expected(question, True)
            self._credit["kernels"] += max(
                0.0, expected[best] - min(faster[name] for name in standing)
            )
            needed = costs.KERNELS_LOAD if compiled.are_kept() else costs.KERNELS_COMPILE
            if self._credit["kernels"] >= needed and compiled.enable() is not None:
                return self._choose(question)
        gains = {name: expected[best] - expected[name] for name in expected if name not in standing}
        earned = []
        for name, gain in gains.items():
            self._credit[name] += max(0.0, gain)
            if gain > 0 and self._credit[name] >= self._build_cost(name):
                earned.append(name)
        self.last_path = max(earned, key=gains.__getitem__, default=best)
        if not earned and max(gains.values(), default=0.0) <= 0 and not pending:
            if len(self._settled) >= _SETTLED:
                self._settled.clear()
            self._settled[question] = (by, best)
        return self._part(self.last_path)

    def _expected(self, question: Question, with_kernels: bool) -> dict[str, float]:
        """The ns that each path would take that comes into question."""
        each = costs.current(with_kernels)
        n, n_bits = len(self), self.n_bits
        expected = estimates.linear(each, question.n_queries, n, n_bits)
        alone = estimates.linear(each, 1, n, n_bits)[self._linear_name(with_kernels)]
        table = estimates.by_table(each, question, n, n_bits)
        if table is not None:
            expected["table"] = table
        multi = estimates.by_substrings(each, question, n, self._known(question), alone)
        if multi is not None:
            expected["multi-index"] = multi
        return expected

    def _build_cost(self, name: str) -> float:
        n = len(self)
        if name == "table":
            return costs.TABLE_BUILD * n
        if name == "multi-index":
            return costs.MULTI_BUILD * n * len(self._cut)
        return costs.FLAT_LOAD + costs.FLAT_BUILD * n * -(-self.n_bits // 64)

    def _part(self, name: str) -> Index:
        if name not in self._parts:
            self._parts[name] = self._builders[name]()
            self._settled.clear()
        return self._parts[name]

    def _linear_name(self, with_kernels: bool) -> str:
        """What answers the queries that multi-index hashing gives up."""
        return "faiss-flat" if "faiss-flat" in self._parts and not with_kernels else "scan"

    def _linear(self) -> Index:
        return self._part(self._linear_name(compiled.loaded() is not None))

    def _build_multi(self) -> Index:
        return MultiIndex(self._codes, linear=self._linear)

    def _build_flat(self) -> Index:
        # only here: loading Faiss takes longer than many a question
        from hashret.indexes.faiss_binary import FaissFlatIndex

        return FaissFlatIndex(self._codes)
