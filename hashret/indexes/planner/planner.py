"""Answer each question by the fastest exact index, and build an index when that pays off."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from threading import Lock
from typing import Any, ClassVar, cast

import numpy as np

from hashret import kernels
from hashret.codes import Codes, Neighbors, merge
from hashret.indexes.base import BOTH, Index, OverCodes, check_search, check_within
from hashret.indexes.costs import Call
from hashret.indexes.multi_index.index import MultiIndex
from hashret.indexes.planner import cost_model, timings
from hashret.indexes.planner.cost_model import PATHS, Prospects
from hashret.indexes.planner.timings import Trials
from hashret.indexes.table.index import TableIndex

_CLASSES = 1000  # number of classes of questions whose times are remembered
# Build a path for a trial once this class of question has cost BUILD_AFTER times its build time,
# if its estimate is below TRY_IF_WITHIN times the best path's. Up to NEVER_BEYOND times that it
# must wait longer, by the square of the ratio. `Prospects.look` is called on the first condition.
TRY_IF_WITHIN, BUILD_AFTER, NEVER_BEYOND = 2, 16, 4
# A path whose credit covers this share of its build time is built instead of one whose credit
# covers all of its own, if it saves more time in each answer.
_NEARLY = 2 / 3


class PlannedIndex(OverCodes):
    """The default index: it chooses among all exact indexes, its paths, and builds them on demand.

    The time of each path is estimated from the number of queries and codes, the ball or the
    substrings to probe, and the codes that clusters of a sample would compare. The fastest of the
    paths that are built answers. A path that is not built is credited the time it would have saved,
    and is built as soon as its credit covers its build time. (If the credit of one path does and
    that of others nearly does, the one that saves most is built.) So a single query in a fresh
    process is answered by a scan and loads nothing, a large batch builds the suitable path at once,
    and no sequence of questions takes much more than twice the time of the best choice. Compiled
    kernels, if installed, are loaded by the same rule. Answers are timed now and then, so that
    measured times decide in the end (`timings`); in between, the best path is used without further
    planning.
    """

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH

    def __init__(self, codes: Codes, table_of: Callable[[Codes], TableIndex] = TableIndex):
        """`table_of` builds the hash table, or reads it from the cache."""
        super().__init__(codes)
        self._parts: dict[str, Index] = {}
        self._credit = dict.fromkeys((*PATHS, "kernels"), 0.0)
        self._trials: dict[int, Trials] = {}  # by `_class_of`; a number is looked up fastest
        # number of single buckets that the table may still answer directly: a look-up is so brief
        # that even the access to a dictionary would matter
        self._look_ups = 0
        self._look_up: Callable[[Codes], Neighbors]
        self._with_kernels = False  # whether the times are of kernels
        self._costs = cost_model.current(False)  # times are kept as multiples of these
        self._prospects = Prospects(codes)
        self._builders: dict[str, Callable[[], Index]] = {
            **{name: _builder(path, codes) for name, path in PATHS.items()},
            "table": lambda: table_of(codes),
            "multi-index": lambda: MultiIndex(codes, linear=self._linear),
        }
        self._thinking = Lock()  # held while planning; a settled path answers without it

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves, by the paths built so far."""
        return sum(part.n_bytes for part in list(self._parts.values()))

    @property
    def table(self) -> TableIndex:
        """The hash table over the codes, built on first use."""
        return cast(TableIndex, self.part("table"))

    @property
    def built(self) -> frozenset[str]:
        """The names of the paths that are built."""
        return frozenset(self._parts)

    def part(self, name: str) -> Index:
        """The path of this name, built on first use. Raises ValueError if there is none."""
        if name not in self._builders:
            known = ", ".join(sorted(self._builders))
            raise ValueError(f"path: expected one of {known}, got {name!r}; choose one of these")
        if name not in self._parts:
            self._parts[name] = self._builders[name]()
        return self._parts[name]

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        n_queries = len(queries.packed)
        question_class = _class_of(n_queries, k, 1 + ties) if type(k) is int else _OF_NONE
        known = self._trials.get(question_class)
        if known is not None and known.untimed > 0:
            known.untimed -= 1
            return known.index.search(queries, k, ties=ties)
        k = check_search(self._codes, queries, k)
        call = Call(n_queries, k=k, ties=ties)
        with self._thinking:
            return _joined(self._ask(call, _class_of(n_queries, k, 1 + ties), queries, 0))

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        n_queries = len(queries.packed)
        if type(radius) is int:
            if self._look_ups > 0 and not radius and n_queries == 1:
                self._look_ups -= 1
                return self._look_up(queries)
            known = self._trials.get(_class_of(n_queries, radius, 0))
            if known is not None and known.untimed > 0:
                known.untimed -= 1
                return known.index.within(queries, radius)
        radii = check_within(self._codes, queries, radius)
        call = Call(n_queries, radius=int(radii.max(initial=0)))
        bounds = radius if type(radius) is int else radii
        with self._thinking:
            return _joined(self._ask(call, _class_of(n_queries, call.radius, 0), queries, bounds))

    def _ask(
        self, call: Call, question_class: int, queries: Codes, radii: int | np.ndarray
    ) -> list[Neighbors]:
        """Let the best path answer, and time it; or first try another path on a few queries.

        `radii` are those of the queries; they are ignored if the call is for the nearest.
        """
        if call.n_queries == 1 and not self._parts:  # nothing pays off in one question
            first = _put_to(self.part("scan"), call, radii)(queries)
            self._prospects.learn(call, 1, first)
            return [first]
        known = self._timed(question_class)
        if known.again and known.last in self._expected(call, self._with_kernels):
            # the path that has just answered, whose data are in the caches now
            known.again -= 1
            self._earn(known, 1)
            found = self._answers(known.last, call, known, queries, radii, 0)
            self._settle(call, known)
            return found
        n_queries = call.n_queries
        name, expected = self._choose(call, known)
        tried = self._due(known, name, expected, n_queries)
        chosen = tried or name
        takes = expected[chosen]
        few = known.n_tried(chosen, n_queries, takes)
        warm = known.n_warm(chosen, n_queries, takes)
        if 2 * few <= n_queries and (tried or not known.is_timed(name)):
            head, tail = slice(0, few), slice(few, n_queries)
            some, rest = call._replace(n_queries=few), call._replace(n_queries=n_queries - few)
            found = self._answers(chosen, some, known, queries[head], _radii_of(radii, head), warm)
            return found + self._ask(rest, question_class, queries[tail], _radii_of(radii, tail))
        known.settling = not tried and known.patience >= 1
        n_calls = known.n_calls(n_queries, takes)
        known.begin(n_calls if tried or known.patience >= n_calls else 1)
        found = self._answers(chosen, call, known, queries, radii, warm)
        self._settle(call, known)
        return found

    def _settle(self, call: Call, known: Trials) -> None:
        """After the last call in a row, let the best path answer the next without planning."""
        if known.again or not known.settling:
            return
        # estimated anew: these calls may have shown that the path is not worth considering
        name, expected = known.last, self._expected(call, self._with_kernels)
        if name in expected:
            known.settle(name, self._parts[name], known.expected(name, expected[name]))
            self._earn(known, known.untimed)
            if name == "table" and known is self._trials.get(_SINGLE_BUCKET):
                self._look_up = self.table.look_up
                self._look_ups, known.untimed = known.untimed, 0

    def _earn(self, known: Trials, n_calls: int) -> None:
        """Credit each path that would save time with the time it would have saved in n_calls."""
        for name, gain in known.saved.items():
            self._credit[name] += n_calls * gain

    def _due(
        self, known: Trials, best: str, expected: dict[str, float], n_queries: int
    ) -> str | None:
        """The path to try next: one that is built and not expected to be the best; None if none."""
        for name in list(self._parts):
            due = name != best and name in expected
            if due and known.is_due(name, expected[name], expected[best], n_queries):
                return name
        return None

    def _answers(
        self,
        name: str,
        call: Call,
        known: Trials,
        queries: Codes,
        radii: int | np.ndarray,
        warm: int,
    ) -> list[Neighbors]:
        """The answers of one path, timed; the first `warm` queries are answered separately."""
        index = self.part(name)
        cuts = [slice(0, call.n_queries)]
        if warm:
            cuts = [slice(0, warm), slice(warm, call.n_queries)]
        calls = [call._replace(n_queries=cut.stop - cut.start) for cut in cuts]
        # all estimates first: an answer may show that this path is not worth considering
        expected = [self._expected(each, self._with_kernels)[name] for each in calls]
        parts = []
        for cut, each, estimate in zip(cuts, calls, expected, strict=True):
            some, bounds = (queries[cut], _radii_of(radii, cut)) if warm else (queries, radii)
            answer = _put_to(index, each, bounds)
            began = timings.clock()
            found = answer(some)
            if each.n_queries:
                known.learn(name, each.n_queries, timings.clock() - began, estimate)
            self._prospects.learn(each, each.n_queries, found)
            parts.append(found)
        return parts

    def _timed(self, question_class: int) -> Trials:
        """The times of a class of questions, taken with what answers now, kernels or NumPy."""
        if self._costs is not cost_model.current(kernels.loaded() is not None):
            self._forget_times()
        if question_class not in self._trials:
            if len(self._trials) >= _CLASSES:
                self._forget()
            self._trials[question_class] = Trials()
        return self._trials[question_class]

    def _forget_times(self) -> None:
        """Drop all times when kernels replace NumPy or the costs change: they no longer apply."""
        self._with_kernels = kernels.loaded() is not None
        self._costs = cost_model.current(self._with_kernels)
        self._forget()
        self._prospects.forget_expected()

    def _forget(self) -> None:
        self._trials.clear()
        self._look_ups = 0

    def _choose(self, call: Call, known: Trials) -> tuple[str, dict[str, float]]:
        """The path to take, and the expected ns of each; records in `known` what would be saved."""
        by_model = self._expected(call, self._with_kernels)
        expected = {name: known.expected(name, ns) for name, ns in by_model.items()}
        standing = [name for name in expected if name == "scan" or name in self._parts]
        best = min(standing, key=expected.__getitem__)
        long_enough = known.spent + expected[best] > BUILD_AFTER * cost_model.LOOK
        if long_enough and self._prospects.may_look:
            self._prospects.look()
            return self._choose(call, known)
        gains = {name: expected[best] - expected[name] for name in expected if name not in standing}
        needed = {name: self._build_cost(name) for name in gains}
        if not self._with_kernels and kernels.available():
            faster = self._expected(call, True)
            gains["kernels"] = expected[best] - min(faster[name] for name in standing)
            needed["kernels"] = (
                cost_model.KERNELS_LOAD if kernels.are_cached() else cost_model.KERNELS_COMPILE
            )
        known.saved = {name: gain for name, gain in gains.items() if gain > 0}
        self._earn(known, 1)
        have_earned = "kernels" in known.saved and self._credit["kernels"] >= needed["kernels"]
        if have_earned and kernels.enable() is not None:
            self._forget_times()
            return self._choose(call, Trials())
        paths = [name for name in gains if name != "kernels"]
        gaining = [name for name in paths if name in known.saved]
        nearly = [name for name in gaining if self._credit[name] >= _NEARLY * needed[name]]
        earned = [name for name in nearly if self._credit[name] >= needed[name]]
        for name in paths:
            excess = max(1.0, expected[name] / (TRY_IF_WITHIN * expected[best]))
            if excess < NEVER_BEYOND and known.spent > BUILD_AFTER * excess**2 * needed[name]:
                self.part(name)  # to be tried
        if earned:
            known.patience = 0.0
            return max(nearly, key=gains.__getitem__), expected
        waits = ((needed[name] - self._credit[name]) / gain for name, gain in known.saved.items())
        known.patience = min(waits, default=math.inf)
        return best, expected

    def _expected(self, call: Call, with_kernels: bool) -> dict[str, float]:
        """The expected ns of each path that is worth considering for the call."""
        linear = self._linear_name(with_kernels)
        return self._prospects.expected(call, with_kernels, linear)

    def _build_cost(self, name: str) -> float:
        return self._prospects.to_build(name, self._with_kernels)

    def _linear_name(self, with_kernels: bool) -> str:
        """The name of the path that answers queries which multi-index hashing gives up."""
        return "faiss-flat" if "faiss-flat" in self._parts and not with_kernels else "scan"

    def _linear(self) -> Index:
        return self.part(self._linear_name(kernels.loaded() is not None))


def _class_of(n_queries: int, bound: int, asks: int) -> int:
    """The class of a question, as a number; calls of one class are timed together.

    `bound` is the radius or k. `asks` is 0 for a radius, 1 for the nearest, 2 for these with ties.
    """
    return bound << 8 | n_queries.bit_length() << 2 | asks


def _builder(path: type[Any], codes: Codes) -> Callable[[], Index]:
    return lambda: path.build(codes)


_SINGLE_BUCKET = _class_of(1, 0, 0)
_OF_NONE = -1


def _put_to(index: Index, call: Call, radii: int | np.ndarray) -> Callable[[Codes], Neighbors]:
    """A function that asks an index this call's question for some of its queries."""
    if call.k is None:
        return partial(index.within, radius=radii)
    return partial(index.search, k=call.k, ties=call.ties)


def _radii_of(radii: int | np.ndarray, some: slice) -> int | np.ndarray:
    return radii if isinstance(radii, int) else radii[some]


def _joined(parts: list[Neighbors]) -> Neighbors:
    return parts[0] if len(parts) == 1 else merge(parts)
