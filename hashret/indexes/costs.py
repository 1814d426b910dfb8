"""How an index estimates its own time: for which call, from which experience, by which clock.

An index that the planner may choose (`hashret.indexes.base.PLANNED`) is an `ExactIndex`. It has a
dataclass with the ns of each of its steps, and estimates from these what a call would take. The
given times are of one thread of a recent x86-64 server; `calibrate` measures them anew.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from time import process_time
from typing import Any, ClassVar, Generic, NamedTuple, TypeVar

from hashret.codes import Codes, Work
from hashret.indexes.base import BOTH, OverCodes

_PRIOR_QUERIES = 8  # weight of the first estimate, as the number of queries seen that match it
_REPEATS = 3  # runs of a measurement, of which the shortest counts

C = TypeVar("C")


class Call(NamedTuple):
    """One call, for the k nearest or for all within a radius (the widest, if there are several)."""

    n_queries: int
    k: int | None = None
    radius: int = 0
    ties: bool = False

    @property
    def kind(self) -> tuple[int, bool]:
        """A key for calls in which an index does about the same work for each query."""
        return (self.radius, False) if self.k is None else (-self.k.bit_length(), self.ties)


class Size(NamedTuple):
    """The number of codes, and the length of each in bits."""

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
    """The estimate `before`, moved towards `seen`, the mean of n_queries new queries.

    More queries move it further: `_PRIOR_QUERIES` move it half of the way.
    """
    weight = n_queries / (n_queries + _PRIOR_QUERIES)
    return seen if before is None else before + weight * (seen - before)


@dataclass(slots=True)
class Experience:
    """What an index does with the queries of one kind: an estimate at first, then a mean."""

    given_up: float = 0.0
    """The share of the queries that the index gave up."""
    effort: float = 0.0
    """The mean effort of a query, in the unit of `Work.effort`."""
    known: bool = False
    """Whether any such query was seen."""

    def learn(self, n_queries: int, work: Work) -> None:
        """Update the means with the work of `n_queries` queries, weighted by their number."""
        self.given_up = fading(self.given_up, work.given_up / n_queries, n_queries)
        self.effort = fading(self.effort, work.effort / n_queries, n_queries)
        self.known = True


class Seen(NamedTuple):
    """What an index needs to know about a kind of calls in order to estimate their time."""

    experience: Experience
    """What this index did with such calls."""
    share: float | None
    """The share of the codes that clusters would have to compare; None if that is not known."""
    linear: float
    """The time in ns of a query that the index gives up, so that a scan answers it."""


class ExactIndex(OverCodes, Generic[C]):
    """Base class of the indexes that the planner may choose; `C` are its costs, fields in ns."""

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH
    name: ClassVar[str]
    NUMPY: ClassVar[Any]
    """The costs `C` of its NumPy path."""
    COMPILED: ClassVar[Any]
    """The costs `C` of its kernels."""

    @classmethod
    @abstractmethod
    def expected(cls, call: Call, size: Size, costs: C, seen: Seen) -> float | None:
        """The estimated ns of a call; None if this index is not worth considering for it."""

    @classmethod
    def to_build(cls, size: Size, costs: C) -> float:
        """The estimated ns of building; 0 for an index that builds nothing."""
        return 0.0

    @classmethod
    def unseen(cls, call: Call, size: Size, *, compiled: bool) -> Experience:
        """The experience to assume for a kind of call that has not been seen yet."""
        return Experience()

    @classmethod
    @abstractmethod
    def calibrate(cls, codes: Codes, queries: Codes, known: C, slower: float) -> C:
        """The costs of this index on this machine, measured on random codes of 64 bits.

        Costs that can't be measured on random codes are the `known` ones times `slower`, the
        factor by which a scan is slower on this machine than its known costs predict.
        """


def line(search: Callable[[int], object], n: int) -> tuple[float, float]:
    """The ns of a call, and of each query in it, from the times of 1 query and of n queries."""
    one, many = _ns(search, 1), _ns(search, n)
    each = (many - one) / max(1, n - 1)
    return one - each, each


def _ns(search: Callable[[int], object], n: int) -> float:
    search(n)  # builds what is built on first use, which must not be timed
    taken = []
    for _ in range(_REPEATS):
        start = process_time()
        search(n)
        taken.append(process_time() - start)
    return 1e9 * min(taken)  # the least processor time, so that other processes don't count
