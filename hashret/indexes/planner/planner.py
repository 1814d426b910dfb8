"""Send each question to the cheapest exact path, and build a path when it has paid for itself."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import chain
from typing import ClassVar, Self, cast

import numpy as np

from hashret.codes import Codes, Neighbors, merge
from hashret.indexes import kernels
from hashret.indexes.base import BOTH, Index, check_search, check_within, path_of
from hashret.indexes.clusters import ClusterIndex
from hashret.indexes.multi_index.index import MultiIndex
from hashret.indexes.planner import cost_model, timings
from hashret.indexes.planner.cost_model import Prospects, Question
from hashret.indexes.planner.timings import Trials
from hashret.indexes.scan import ScanIndex
from hashret.indexes.table.index import TableIndex

_SORTS = 1000  # of questions remembered
# A path less than so many times dearer by estimate is built to be tried, once questions of one
# sort have taken so many times what building it takes; one up to so many times dearer than that
# later, by the square of it. For so many times what that takes, a look at the codes.
_DOUBT, _LONG, _HOPELESS = 2, 16, 4
# When a path has earned its build, one with more to gain that has so much of its own is built.
_NEARLY = 2 / 3

_TABLE = ("table",)
_TO_EARN = ("table", "multi-index", "clusters", "faiss-flat")

#: Asks an index some of the queries.
Ask = Callable[[Index, slice], Neighbors]


class PlannedIndex:
    """The default: all exact paths behind one, each built on need.

    The rule: a path's cost is estimated from the number of queries and codes, the ball or the
    substrings to probe, and what clusters of a sample would leave to compare. Of the paths that
    stand, the cheapest answers. One that doesn't stand is credited what it would have saved, and
    built as soon as its credit covers its build (or that of another does, and its own nearly: of
    these the one with most to gain is built). So a single question in a fresh process is a scan and
    loads nothing, a large batch builds what suits it at once, and no sequence of questions costs
    much over twice the best. Compiled kernels, where they can be had, are loaded by the same rule.
    What answers take is timed now and then, so that the choice follows the clock in the end
    (`timings`), and between that the path found best is taken without a thought.
    """

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH

    def __init__(self, codes: Codes, table_of: Callable[[Codes], TableIndex] = TableIndex):
        """`table_of` builds the hash table, or finds it where it is kept."""
        self._codes = codes
        self._parts: dict[str, Index] = {}
        self._credit = dict.fromkeys((*_TO_EARN, "kernels"), 0.0)
        # by the radius or k, and the bits of the number of queries: all queries of a call are one
        self._trials: dict[tuple[int, ...], Trials] = {}
        # those of single questions, by the radius or k: hashing a tuple shows beside them
        self._within_alone: dict[int, Trials] = {}
        self._nearest_alone: dict[int, Trials] = {}
        # for how many single buckets the table is settled on, which gives them by its own way: a
        # look-up is so brief that even asking a dictionary shows
        self._look_ups = 0
        self._look_up: Callable[[Codes], Neighbors]
        self._with_kernels = False  # whether what was timed is theirs
        self._costs = cost_model.current(False)  # what was timed is a multiple of these
        self._prospects = Prospects(codes)
        self._builders: dict[str, Callable[[], Index]] = {
            "scan": lambda: ScanIndex(codes),
            "table": lambda: table_of(codes),
            "multi-index": self._build_multi,
            "clusters": lambda: ClusterIndex(codes),
            "faiss-flat": self._build_flat,
        }
        self._taken: tuple[str, ...] = ()  # the paths of the last answer: a batch may be split

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
        """By which way the last answer came, or which ways, joined by " + "."""
        ways = [path_of(part)[0].split(" + ") for part in self._last_parts()]
        return " + ".join(dict.fromkeys(chain(*ways)))

    @property
    def n_tables(self) -> int:
        """The number of hash tables on these ways."""
        return sum(path_of(part)[1] for part in self._last_parts())

    def _last_parts(self) -> list[Index]:
        return [self._parts[name] for name in dict.fromkeys(self._taken)]

    @property
    def last_path(self) -> str:
        """The name of the path that answered last: all of a question, or all but a trial."""
        return self._taken[-1] if self._taken else ""

    @property
    def table(self) -> TableIndex:
        """The hash table over the codes, built on first use."""
        return cast(TableIndex, self.part("table"))

    @property
    def built(self) -> frozenset[str]:
        """The names of the paths that stand."""
        return frozenset(self._parts)

    def part(self, name: str) -> Index:
        """The path of this name, built if it does not stand. ValueError if there is none."""
        if name not in self._builders:
            known = ", ".join(sorted(self._builders))
            raise ValueError(f"path: expected one of {known}, got {name!r}; choose one of these")
        if name not in self._parts:
            self._parts[name] = self._builders[name]()
        return self._parts[name]

    def __len__(self) -> int:
        return len(self._codes)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        if not ties and type(k) is int and len(queries.packed) == 1:
            known = self._nearest_alone.get(k)
            if known is not None and known.untimed:
                known.untimed -= 1
                self._taken = known.settled
                return known.index.search(queries, k)
        n_queries = len(queries.packed)
        sort = (n_queries.bit_length(), k, ties)
        known = self._trials.get(sort)
        if known is not None and known.untimed:
            known.untimed -= 1
            self._taken = known.settled
            return known.index.search(queries, k, ties=ties)
        k = check_search(self._codes, queries, k)
        return self._ask(
            Question(n_queries, k=k, ties=ties),
            sort,
            lambda index, some: index.search(_part_of(queries, some), k, ties=ties),
        )

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        if self._look_ups and type(radius) is int and not radius and len(queries.packed) == 1:
            self._look_ups -= 1
            self._taken = _TABLE
            return self._look_up(queries)
        n_queries = len(queries.packed)
        if type(radius) is int:
            known = (
                self._within_alone.get(radius)
                if n_queries == 1
                else self._trials.get((n_queries.bit_length(), radius))
            )
            if known is not None and known.untimed:
                known.untimed -= 1
                self._taken = known.settled
                return known.index.within(queries, radius)
        radii = check_within(self._codes, queries, radius)
        widest = int(radii.max(initial=0))
        return self._ask(
            Question(n_queries, radius=widest),
            (n_queries.bit_length(), widest),
            lambda index, some: index.within(
                _part_of(queries, some), radius if type(radius) is int else radii[some]
            ),
        )

    def _ask(self, question: Question, sort: tuple[int, ...], ask: Ask) -> Neighbors:
        """Let the best path answer, and time it; or a few by a path on trial, then the rest."""
        known = self._timed(sort)
        if known.again and known.last in self._expected(question, self._with_kernels):
            return self._ask_again(question, known, ask)
        n_queries = question.n_queries
        name, expected = self._choose(question, known)
        tried = self._due(known, name, expected, n_queries)
        chosen = tried or name
        takes = expected[chosen]
        few = known.n_tried(chosen, n_queries, takes)
        warm = known.n_warm(chosen, n_queries, takes)
        if 2 * few <= n_queries and (tried or not known.is_timed(name)):
            parts = self._answers(chosen, question, known, slice(0, few), ask, warm)
            rest = question._replace(n_queries=n_queries - few)
            parts.append(
                self._ask(rest, sort, lambda i, s: ask(i, slice(s.start + few, s.stop + few)))
            )
            self._taken = chosen, *self._taken
        else:
            known.settling = not tried and known.patience >= 1
            n_calls = known.n_calls(n_queries, takes)
            known.begin(n_calls if tried or known.patience >= n_calls else 1)
            parts = self._answers(chosen, question, known, slice(0, n_queries), ask, warm)
            self._settle(question, known)
        return parts[0] if len(parts) == 1 else merge(parts)

    def _ask_again(self, question: Question, known: Trials, ask: Ask) -> Neighbors:
        """Let the path answer that was just asked, and time it now that it is warm."""
        known.again -= 1
        self._earn(known, 1)
        whole = slice(0, question.n_queries)
        (found,) = self._answers(known.last, question, known, whole, ask, 0)
        self._settle(question, known)
        return found

    def _settle(self, question: Question, known: Trials) -> None:
        """After the last call in a row, let the best path answer the next without a thought."""
        if known.again or not known.settling:
            return
        # by what these taught, which may be that it does not come into question
        name, expected = known.last, self._expected(question, self._with_kernels)
        if name in expected:
            known.settle(name, self._parts[name], known.expected(name, expected[name]))
            self._earn(known, known.untimed)
            if known is self._within_alone.get(0) and name == "table":
                self._look_up = self.table.look_up
                self._look_ups, known.untimed = known.untimed, 0

    def _earn(self, known: Trials, n_calls: int) -> None:
        """Credit what would save time what it would have saved in so many calls."""
        for name, gain in known.saved.items():
            self._credit[name] += n_calls * gain

    def _due(
        self, known: Trials, best: str, expected: dict[str, float], n_queries: int
    ) -> str | None:
        """Which path to try that stands and is not expected to be the best."""
        for name in self._parts:
            due = name != best and name in expected
            if due and known.is_due(name, expected[name], expected[best], n_queries):
                return name
        return None

    def _answers(
        self, name: str, question: Question, known: Trials, some: slice, ask: Ask, warm: int
    ) -> list[Neighbors]:
        """The answers to some queries by one path, timed; to the first `warm` by themselves."""
        index = self.part(name)
        self._taken = (name,)
        middle = some.start + warm
        cuts = [slice(some.start, middle), slice(middle, some.stop)] if warm else [some]
        # all of them now: an answer may teach that this path does not come into question
        expected = [
            self._expected(question._replace(n_queries=c.stop - c.start), self._with_kernels)[name]
            for c in cuts
        ]
        parts = []
        for cut, estimate in zip(cuts, expected, strict=True):
            began = timings.clock()
            parts.append(self._answer(index, question, cut, ask))
            if cut.stop > cut.start:
                known.learn(name, cut.stop - cut.start, timings.clock() - began, estimate)
        return parts

    def _answer(self, index: Index, question: Question, some: slice, ask: Ask) -> Neighbors:
        """Ask, and learn how far the answer reaches, and from what multi-index hashing did."""
        n_queries = some.stop - some.start
        before = (index.given_up, index.work) if isinstance(index, MultiIndex) else (0, 0)
        found = ask(index, some)
        if isinstance(index, MultiIndex) and n_queries:
            done = index.given_up - before[0], index.work - before[1]
            self._prospects.learn_work(question, n_queries, *done)
        self._prospects.learn(question, n_queries, found)
        return found

    def _timed(self, sort: tuple[int, ...]) -> Trials:
        """What is known of questions of a sort, by the kernels or the NumPy that now answer."""
        if self._costs is not cost_model.current(kernels.loaded() is not None):
            self._forget_times()
        if sort not in self._trials:
            if len(self._trials) >= _SORTS:
                self._forget()
            self._trials[sort] = known = Trials()
            match sort:
                case (1, k, False):
                    self._nearest_alone[k] = known
                case (1, radius):
                    self._within_alone[radius] = known
        return self._trials[sort]

    def _forget_times(self) -> None:
        """What NumPy took says nothing of kernels, nor multiples of old costs of new ones."""
        self._with_kernels = kernels.loaded() is not None
        self._costs = cost_model.current(self._with_kernels)
        self._forget()
        self._prospects.forget_expected()

    def _forget(self) -> None:
        self._trials.clear()
        self._within_alone.clear()
        self._nearest_alone.clear()
        self._look_ups = 0

    def _choose(self, question: Question, known: Trials) -> tuple[str, dict[str, float]]:
        """The path to take, and what each should take; `known` is told what it waits for."""
        by_model = self._expected(question, self._with_kernels)
        expected = {name: known.expected(name, ns) for name, ns in by_model.items()}
        standing = [name for name in expected if name == "scan" or name in self._parts]
        best = min(standing, key=expected.__getitem__)
        long_enough = known.spent + expected[best] > _LONG * cost_model.LOOK
        if long_enough and self._prospects.may_look:
            self._prospects.look()
            return self._choose(question, known)
        gains = {name: expected[best] - expected[name] for name in expected if name not in standing}
        needed = {name: self._build_cost(name) for name in gains}
        if not self._with_kernels and kernels.available():
            faster = self._expected(question, True)
            gains["kernels"] = expected[best] - min(faster[name] for name in standing)
            needed["kernels"] = (
                cost_model.KERNELS_LOAD if kernels.are_kept() else cost_model.KERNELS_COMPILE
            )
        known.saved = {name: gain for name, gain in gains.items() if gain > 0}
        self._earn(known, 1)
        have_earned = "kernels" in known.saved and self._credit["kernels"] >= needed["kernels"]
        if have_earned and kernels.enable() is not None:
            self._forget_times()
            return self._choose(question, Trials())
        paths = [name for name in gains if name != "kernels"]
        gaining = [name for name in paths if name in known.saved]
        nearly = [name for name in gaining if self._credit[name] >= _NEARLY * needed[name]]
        earned = [name for name in nearly if self._credit[name] >= needed[name]]
        for name in paths:
            doubt = max(1.0, expected[name] / (_DOUBT * expected[best]))
            if doubt < _HOPELESS and known.spent > _LONG * doubt**2 * needed[name]:
                self.part(name)  # to be tried
        if earned:
            known.patience = 0.0
            return max(nearly, key=gains.__getitem__), expected
        waits = ((needed[name] - self._credit[name]) / gain for name, gain in known.saved.items())
        known.patience = min(waits, default=math.inf)
        return best, expected

    def _expected(self, question: Question, with_kernels: bool) -> dict[str, float]:
        """The ns that each path would take that comes into question."""
        linear = self._linear_name(with_kernels)
        return self._prospects.expected(question, with_kernels, linear)

    def _build_cost(self, name: str) -> float:
        return self._prospects.to_build(name, self._with_kernels)

    def _linear_name(self, with_kernels: bool) -> str:
        """What answers the queries that multi-index hashing gives up."""
        return "faiss-flat" if "faiss-flat" in self._parts and not with_kernels else "scan"

    def _linear(self) -> Index:
        return self.part(self._linear_name(kernels.loaded() is not None))

    def _build_multi(self) -> Index:
        return MultiIndex(self._codes, linear=self._linear)

    def _build_flat(self) -> Index:
        # only here: loading Faiss takes longer than many a question
        from hashret.indexes.faiss_binary import FaissFlatIndex

        return FaissFlatIndex(self._codes)


def _part_of(queries: Codes, some: slice) -> Codes:
    """Some of the queries: all of them without the microsecond that a slice takes."""
    return queries if some.stop - some.start == len(queries) else queries[some]
