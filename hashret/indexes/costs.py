"""In what terms an index says what it costs: of which call, by what was seen, on which clock.

An index that the planner takes (`hashret.indexes.base.PLANNED`) is an `ExactIndex`: beside its
answers it has the ns of its steps, a dataclass of its own, and says from these what a call would
take. The ns given are of one thread of a recent x86-64 server; `calibrate` measures them anew.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from hashret.codes import Codes, Work
from hashret.indexes.base import BOTH, OverCodes

_DOUBT = 8  # queries; so many weigh as much as what was expected before
_TURNS = 3  # of a measurement, whose least time counts

C = TypeVar("C")


class Call(NamedTuple):
    """One call: for the k nearest, or for all within a radius (of several, the widest)."""

    n_queries: int
    k: int | None = None
    radius: int = 0
    ties: bool = False

    @property
    def kind(self) -> tuple[int, bool]:
        """Calls of one kind are alike in what an index makes of each query."""
        return (self.radius, False) if self.k is None else (-self.k.bit_length(), self.ties)


class Size(NamedTuple):
    """So many codes, and the length of each in bits."""

    n: int
    n_bits: int

    @property
    def code_words(self) -> int:
        """Words of 64 bits in one code."""
        return -(-self.n_bits // 64)

    @property
    def words(self) -> int:
        """Words of 64 bits in all codes."""
        return self.code_words * self.n


def fading(before: float | None, seen: float, n_queries: int) -> float:
    """The mean of what was seen of so many queries and, the less the more these are, before."""
    return seen if before is None else before + n_queries / (n_queries + _DOUBT) * (seen - before)


@dataclass(slots=True)
class Experience:
    """What an index made of the queries of one kind: expected at first, then seen."""

    given_up: float = 0.0  # the share of them
    effort: float = 0.0  # of each query, as `Work.effort` has it
    known: bool = False

    def learn(self, n_queries: int, work: Work) -> None:
        """Take in what `n_queries` queries came to: the more of them, the more they weigh."""
        self.given_up = fading(self.given_up, work.given_up / n_queries, n_queries)
        self.effort = fading(self.effort, work.effort / n_queries, n_queries)
        self.known = True


class Seen(NamedTuple):
    """What is known of a kind of calls, for an index to reckon with."""

    experience: Experience
    """What this index made of them."""
    share: float | None
    """The share of the codes that clusters would leave to compare; None if that is not known."""
    linear: float
    """ns of a query that is given up: of comparing all codes."""


class ExactIndex(OverCodes, Generic[C]):
    """What every index has that the planner takes; `C` are its costs, each field in ns."""

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH
    name: ClassVar[str]
    NUMPY: ClassVar[Any]
    """Its costs `C` by NumPy."""
    COMPILED: ClassVar[Any]
    """Its costs `C` by kernels."""

    @classmethod
    @abstractmethod
    def expected(cls, call: Call, size: Size, costs: C, seen: Seen) -> float | None:
        """The ns that a call would take; None where this index does not come into question."""

    @classmethod
    def to_build(cls, size: Size, costs: C) -> float:
        """The ns that building takes; nothing where an index only keeps the codes."""
        return 0.0

    @classmethod
    def unseen(cls, call: Call, size: Size, *, compiled: bool) -> Experience:
        """What to expect of a kind of call that was never asked."""
        return Experience()

    @classmethod
    @abstractmethod
    def calibrate(cls, codes: Codes, queries: Codes, known: C, slower: float) -> C:
        """Its costs as measured on these codes, random ones of 64 bits.

        What they don't show is `slower` times what is `known`: so much slower is a scan.
        """


def line(ask: Callable[[int], object], n: int) -> tuple[float, float]:
    """ns of a call and of each of its queries: a line through one query and through n."""
    one, many = _ns(ask, 1), _ns(ask, n)
    each = (many - one) / max(1, n - 1)
    return one - each, each


def _ns(ask: Callable[[int], object], n: int) -> float:
    ask(n)  # what is made on first use is made now
    taken = []
    for _ in range(_TURNS):
        start = process_time()
        ask(n)
        taken.append(process_time() - start)
    return 1e9 * min(taken)  # processor time, and the least: what else runs is not to count
