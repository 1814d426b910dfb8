"""How long each exact path would take to answer a question."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from hashret.codes import ball_size
from hashret.indexes.clusters import n_centres
from hashret.indexes.costs import Costs
from hashret.indexes.substrings import Substring, work_within

_STEPS = 10  # that a search for the k nearest takes in NumPy, more or less
_PROBE = 10  # a ball is looked up only if it has so many times fewer codes than the collection
_SHARE = 60  # and by substrings only if that takes such a share of the work of comparing all
_CENTRE = 3  # codes that a centre costs as much as
# what is expected of a search by substrings before any was seen
_GIVEN_UP, _WORK = 0.05, 1 / 600
_DOUBT = 8  # so many queries weigh as much as what was expected before


class Question(NamedTuple):
    """One call: for the k nearest, or for all within a radius (of several, the widest)."""

    n_queries: int
    k: int | None = None
    radius: int = 0
    ties: bool = False

    @property
    def kind(self) -> tuple[int, bool]:
        """Questions of one kind are alike in what multi-index hashing makes of them."""
        return (self.radius, False) if self.k is None else (-self.k.bit_length(), self.ties)


@dataclass(slots=True)
class Experience:
    """What multi-index hashing made of the queries of one kind."""

    given_up: float  # the share of them
    work: float  # probes and candidates of each
    known: bool = False

    def learn(self, n_queries: int, given_up: int, work: int) -> None:
        """Take in what `n_queries` queries came to: the more of them, the more they weigh."""
        weight = n_queries / (n_queries + _DOUBT)
        self.given_up += weight * (given_up / n_queries - self.given_up)
        self.work += weight * (work / n_queries - self.work)
        self.known = True


def expected(
    question: Question, parts: list[Substring], n_items: int, candidate_cost: float
) -> Experience:
    """What to expect of a kind of question that was never asked."""
    if question.k is None:
        return Experience(0.0, work_within(parts, n_items, question.radius, candidate_cost))
    return Experience(_GIVEN_UP, n_items * _WORK)


def linear(costs: Costs, n_queries: int, n_items: int, n_bits: int) -> dict[str, float]:
    """ns to compare every code, by the plain scan and by Faiss."""
    words = -(-n_bits // 64) * n_items
    return {
        "scan": costs.scan_call + n_queries * (costs.scan_query + costs.scan_word * words),
        "faiss-flat": costs.flat_call + n_queries * (costs.flat_query + costs.flat_word * words),
    }


def by_table(costs: Costs, question: Question, n_items: int, n_bits: int) -> float | None:
    """ns to probe the hash table; None where comparing is better in any case."""
    ball = ball_size(n_bits, question.radius)
    if question.k is not None or _PROBE * ball > n_items:
        return None
    return costs.table_call + question.n_queries * (costs.table_query + ball * costs.table_probe)


def by_substrings(
    costs: Costs,
    question: Question,
    n_items: int,
    experience: Experience,
    each_given_up: float,
) -> float | None:
    """ns of multi-index hashing; a query that it gives up costs `each_given_up` besides."""
    if question.k is None and _SHARE * experience.work > n_items and not experience.known:
        return None
    steps = question.radius + 1 if question.k is None else _STEPS
    each = costs.multi_query + costs.multi_work * experience.work
    each += experience.given_up * each_given_up
    return costs.multi_call + costs.multi_step * steps + question.n_queries * each


def fading(before: float | None, seen: float, n_queries: int) -> float:
    """The mean of what was seen of so many queries and, the less the more these are, before."""
    return seen if before is None else before + n_queries / (n_queries + _DOUBT) * (seen - before)


def by_clusters(
    costs: Costs, question: Question, n_items: int, n_bits: int, share: float | None
) -> float | None:
    """ns of clusters that leave such a share of the codes to compare; None where it's not known.

    Where that is nearly all, clusters are not hopeless: they compare from columns, faster than a
    scan where codes are long.
    """
    if share is None:
        return None
    centres, code = n_centres(n_items), costs.clusters_word * -(-n_bits // 64)
    each = costs.clusters_query + code * (share * n_items + _CENTRE * centres)
    call = costs.clusters_call + costs.clusters_cluster * centres
    return call + question.n_queries * each
