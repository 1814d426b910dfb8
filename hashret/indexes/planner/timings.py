"""The measured times of one class of questions, path by path, and when to try another path.

Estimates know neither the data nor the cost of the answer itself; a clock does. A path that does
not look best is tried now and then, so rarely that trials take a few hundredths of all the time.
So whatever the estimates say, the fastest of the built paths is used in the end, and finding it
costs little. This is the exploration of Auer, Cesa-Bianchi and Fischer, "Finite-time analysis of
the multiarmed bandit problem", Machine Learning 2002, limited by time instead of by number.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import thread_time_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashret.indexes.base import Index

# A trial asks the larger of _TRIED queries and 1/_SHARE of a batch. If the whole batch is expected
# to take at most _WHOLE ns, it asks all: few queries wait for memory, and do work, that many share
# (each of 32 queries took clusters twice as long as each of 200).
_TRIED, _SHARE = 32, 32
_WHOLE = 4e6
# Parts built on first use and cold caches must not be timed, and planning alone empties the caches.
# So calls that take less than _BRIEF ns are repeated until they take about that, _FEWEST to _MOST
# of them, and the second half is timed; in a longer call, _WARM queries go before the timed ones.
_BRIEF = 1e6
_WARM = 8
_FEWEST, _MOST = 2, 33
_PRIOR = 2  # queries; the times of so many weigh as much as the estimate
_MEMORY = 256  # queries, or 8 calls of a batch if these are more, after which older times fade
_FEW = 8  # queries; a path timed on fewer, or in one call only, is tried again sooner
# Try a path again when the time spent since its last trial exceeds _SOON times (new paths) or
# _SELDOM times (known ones) the cost of one trial. The latter grows with the number of timed calls,
# by one for each _SURE of them, up to _SURE times as much.
_SOON, _SELDOM = 8, 128
_SURE = 8
_THOUGHT = 1e5  # ns that planning a trial and returning from it takes
_UNLIKELY = 6  # a new path whose expected time is so many times the best counts as a known one
# Between two timed answers, others go untimed for at most _UNTIMED ns, and at most _UNTIMED_SHARE
# of all the time spent so far.
_UNTIMED = 128e6
_UNTIMED_SHARE = 0.25


def clock() -> int:
    """The processor time of this thread in ns, which other load on the machine does not change."""
    return thread_time_ns()


@dataclass(slots=True)
class Taken:
    """The time of a path as a multiple of its estimate: a fading mean over `weight` queries."""

    ratio: float = 1.0
    weight: float = 0.0
    calls: int = 0  # number of timed calls
    tried_at: float = 0.0  # `Trials.spent` when the path answered last, in ns


@dataclass(slots=True)
class Trials:
    """The times of one class of questions: one radius or k, and about one number of queries."""

    spent: float = 0.0  # ns on all its answers
    untimed: int = 0  # calls that `index` may still answer without planning
    index: Index = field(init=False)  # the path settled on
    last: str = ""  # the path that answered last; the data of others are not in the caches
    again: int = 0  # further calls that go to that path, to be timed
    warming: int = 0  # calls, of these and the one before them, that come first and are not timed
    settling: bool = False  # whether that path then answers without planning
    # ns that each path which is not built, or kernels, would save in an answer; and the number of
    # answers after which the first of them has earned its build time
    saved: dict[str, float] = field(default_factory=dict)
    patience: float = 0.0
    times: dict[str, Taken] = field(default_factory=dict)

    def begin(self, n_calls: int) -> None:
        """Send the next n_calls to one path, and time the second half of them."""
        self.again, self.warming = n_calls - 1, n_calls // 2

    def expected(self, name: str, estimate: float) -> float:
        """The expected ns of a path: its estimate, corrected by the measured times."""
        taken = self.times.get(name)
        if taken is None:
            return estimate
        return estimate * (taken.ratio * taken.weight + _PRIOR) / (taken.weight + _PRIOR)

    def is_due(self, name: str, expected: float, best: float, n_queries: int) -> bool:
        """Whether it is time to try a path that is `expected` to take longer than the `best`."""
        share = min(1.0, self.n_tried(name, n_queries, expected) / max(1, n_queries))
        cost = self.n_calls(n_queries, expected) * share * expected + _THOUGHT
        taken = self.times.get(name, Taken())
        is_new = taken.weight < _FEW or taken.calls < 2
        likely = is_new and expected < _UNLIKELY * best
        since = self.spent - taken.tried_at
        if not taken.weight:
            since += best * (1 - share)  # so that a part of a large batch is tried at once
        rarely = _SELDOM * min(max(1, taken.calls // _SURE), _SURE)
        return since >= (_SOON if likely else rarely) * cost

    def is_timed(self, name: str) -> bool:
        """Whether this path has been timed."""
        return name in self.times and self.times[name].weight > 0

    def n_calls(self, n_queries: int, expected: float) -> int:
        """The number of calls in a row that go to a path that is to be timed."""
        if expected > _WHOLE and n_queries > _TRIED:
            return 1
        return int(min(_MOST, max(_FEWEST, _BRIEF / max(1.0, expected))))

    def n_warm(self, name: str, n_queries: int, expected: float) -> int:
        """The number of queries of a batch that are answered before those that are timed."""
        is_run = self.n_calls(n_queries, expected) > 1
        return 0 if is_run or name == self.last else _WARM

    def n_tried(self, name: str, n_queries: int, expected: float) -> int:
        """The number of queries to try, of a batch that is `expected` to take so many ns."""
        if expected <= _WHOLE:
            return max(
                1, n_queries
            )  # at least 1, also for an empty batch, which must count as whole
        return self.n_warm(name, n_queries, expected) + max(_TRIED, n_queries // _SHARE)

    def learn(self, name: str, n_queries: int, took: float, estimate: float) -> None:
        """Record the ns that a path took for n_queries.

        The time is not used if another path answered before, or for the first calls of several:
        these only fill the caches.
        """
        taken = self.times.setdefault(name, Taken())
        self.spent += took
        if took > _BRIEF:  # longer than was expected
            self.again, self.warming = min(self.again, _FEWEST - 1), min(self.warming, 1)
        taken.tried_at = self.spent
        if self.warming:
            self.warming -= 1
        elif name == self.last:
            taken.weight = min(taken.weight + n_queries, max(_MEMORY, 8 * n_queries))
            now = took / estimate
            # the first call may have had to allocate memory for its answers; the second corrects it
            before = now if taken.calls == 1 and now < taken.ratio else taken.ratio
            taken.ratio = before + n_queries / taken.weight * (now - before)
            taken.calls += 1
        self.last = name

    def settle(self, name: str, index: Index, expected: float) -> None:
        """Let this path answer the next calls without planning, if it was timed."""
        if self.is_timed(name):
            self.index = index
            left = min(_UNTIMED, _UNTIMED_SHARE * self.spent)
            self.untimed = int(min(left / max(1.0, expected), self.patience))
            self.spent += self.untimed * expected
