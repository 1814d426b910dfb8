"""What the answers to one class of questions took, path by path, and when to try another path.

Estimates know neither the data nor what the answer itself costs; a clock does. A path that does
not look best is tried now and then, so seldom that its trials stay a few hundredths of all the time
spent: whatever the estimates say, the path taken ends up the fastest that stands, and the way
there costs little more (the exploring of Auer, Cesa-Bianchi and Fischer, "Finite-time analysis of
the multiarmed bandit problem", Machine Learning 2002, bounded by time in place of by number).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from time import thread_time_ns
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashret.indexes.base import Index

_TRIED, _SHARE = 32, 32  # a trial asks so many queries of a batch, or such a share of them,
# or all that take so many ns: the few would wait for memory, and do work, that the many share (of
# 200 queries 32 took clusters twice as long each as all of them)
_WHOLE = 4e6
_BRIEF = 1e6  # calls that take less, in ns, follow each other so long that they take about that
# what is made on first use, and cold memory, is not to be timed: thinking alone empties the caches
_WARM = 8  # queries go before those of a trial,
_FEWEST, _MOST = 2, 33  # or calls follow each other, of which the second half is timed
_PRIOR = 2  # so many queries weigh as much as the estimate
_MEMORY = 256  # of single questions, or 8 calls of a batch: older ones fade
_FEW = 8  # a path timed on fewer queries, or in one call only, is tried again sooner
_SOON, _SELDOM = 8, 128  # a trial's cost is so small a part of what was spent since the last,
_SURE = 8  # and up to so many times less, once the path was timed in as many calls squared
_THOUGHT = 1e5  # ns that it takes to think of a trial, and to come back from it
_UNLIKELY = 6  # so many times dearer by estimate, a path is tried seldom from the start
_UNTIMED = 128e6  # ns of answers, at most, between two that are timed and thought about
_UNTIMED_SHARE = 0.25  # but no more than such a share of all so far


def clock() -> int:
    """ns of processor time of this thread: what else runs on the machine is not to count."""
    return thread_time_ns()


@dataclass(slots=True)
class Taken:
    """What a path took, as a multiple of its estimate: a fading mean over `weight` queries."""

    ratio: float = 1.0
    weight: float = 0.0
    calls: int = 0  # that were timed
    tried_at: float = 0.0  # what had been spent in all when it was asked last


@dataclass(slots=True)
class Trials:
    """The times of one class of questions: of one radius or k, and about one number of queries."""

    spent: float = 0.0  # ns on all its answers
    untimed: int = 0  # answers that may still be given by `index` without a thought
    index: Index = field(init=False)  # that of the path settled on
    last: str = ""  # the path that was timed last; all others are cold
    again: int = 0  # calls that go to it now, to be timed
    warming: int = 0  # of these and the one before them, so many come first and are not timed
    settling: bool = False  # whether it answers without a thought then
    # ns that each path that does not stand, or kernels, would save in an answer; and after how many
    # answers the first of them has earned its build
    saved: dict[str, float] = field(default_factory=dict)
    patience: float = 0.0
    times: dict[str, Taken] = field(default_factory=dict)

    def begin(self, n_calls: int) -> None:
        """Let so many calls in a row go to one path, and time the second half of them."""
        self.again, self.warming = n_calls - 1, n_calls // 2

    def expected(self, name: str, estimate: float) -> float:
        """ns by what was timed, given ns by the model."""
        taken = self.times.get(name)
        if taken is None:
            return estimate
        return estimate * (taken.ratio * taken.weight + _PRIOR) / (taken.weight + _PRIOR)

    def is_due(self, name: str, expected: float, best: float, n_queries: int) -> bool:
        """Whether to try a path now that is `expected` to take longer than the best."""
        share = min(1.0, self.n_tried(name, n_queries, expected) / max(1, n_queries))
        cost = self.n_calls(n_queries, expected) * share * expected + _THOUGHT
        taken = self.times.get(name, Taken())
        is_new = taken.weight < _FEW or taken.calls < 2
        likely = is_new and expected < _UNLIKELY * best
        since = self.spent - taken.tried_at
        if not taken.weight:
            since += best * (1 - share)  # of a large batch, a part is tried at once
        rarely = _SELDOM * min(max(1, taken.calls // _SURE), _SURE)
        return since >= (_SOON if likely else rarely) * cost

    def is_timed(self, name: str) -> bool:
        """Whether it is known what this path takes."""
        return name in self.times and self.times[name].weight > 0

    def n_calls(self, n_queries: int, expected: float) -> int:
        """How many questions in a row go to a path that is to be timed."""
        if expected > _WHOLE and n_queries > _TRIED:
            return 1
        return int(min(_MOST, max(_FEWEST, _BRIEF / max(1.0, expected))))

    def n_warm(self, name: str, n_queries: int, expected: float) -> int:
        """How many queries of a batch to ask before those that are timed."""
        is_run = self.n_calls(n_queries, expected) > 1
        return 0 if is_run or name == self.last else _WARM

    def n_tried(self, name: str, n_queries: int, expected: float) -> int:
        """How many queries of a batch, `expected` to take so many ns, to ask in a trial."""
        if expected <= _WHOLE:
            return max(1, n_queries)  # never none: of no queries there is no rest to ask
        return self.n_warm(name, n_queries, expected) + max(_TRIED, n_queries // _SHARE)

    def learn(self, name: str, n_queries: int, took: float, estimate: float) -> None:
        """Take in what so many queries took by this path.

        After another path's they only warm it, as the first calls of several do.
        """
        taken = self.times.setdefault(name, Taken())
        self.spent += took
        if took > _BRIEF:  # however brief it was believed
            self.again, self.warming = min(self.again, _FEWEST - 1), min(self.warming, 1)
        taken.tried_at = self.spent
        if self.warming:
            self.warming -= 1
        elif name == self.last:
            taken.weight = min(taken.weight + n_queries, max(_MEMORY, 8 * n_queries))
            now = took / estimate
            # the first may have had the memory for its answers to get: the second can correct it
            before = now if taken.calls == 1 and now < taken.ratio else taken.ratio
            taken.ratio = before + n_queries / taken.weight * (now - before)
            taken.calls += 1
        self.last = name

    def settle(self, name: str, index: Index, expected: float) -> None:
        """Let the next answers be given by this path without a thought, if it was timed."""
        if self.is_timed(name):
            self.index = index
            left = min(_UNTIMED, _UNTIMED_SHARE * self.spent)
            self.untimed = int(min(left / max(1.0, expected), self.patience))
            self.spent += self.untimed * expected
