"""What each exact path would take for a call: from the codes, and from questions answered."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from hashret.codes import Codes, Neighbors, ball_size
from hashret.indexes.clusters import ClusterIndex, n_centres
from hashret.indexes.multi_index.index import MultiIndex, candidate_cost
from hashret.indexes.multi_index.substrings import Substring, cut, work_within

_LOOKED, _CENTRES, _ASKED = 4096, 256, 256  # at most: codes of a look, of them centres, and queries
_FEW = 256  # codes that are not worth a look


class Prospects:
    """Estimates over fixed codes. What clusters would compare is known only after `look`."""

    def __init__(self, codes: Codes):
        self._codes = codes
        self._cut = cut(codes.n_bits, len(codes))
        self._experience: dict[tuple[int, bool], Experience] = {}
        self._reach: dict[tuple[int, bool], float] = {}  # bits to the k-th, by kind of call
        self._sample: ClusterIndex | None = None
        self._asked = codes[:0]
        self._shares: dict[int, float] = {}  # of all codes, by radius

    def expected(self, call: Call, with_kernels: bool, linear: str) -> dict[str, float]:
        """The ns that each path would take that comes into question.

        `linear` names the path that answers what multi-index hashing gives up.
        """
        each = current(with_kernels)
        n, n_bits = len(self._codes), self._codes.n_bits
        expected = linear_costs(each, call.n_queries, n, n_bits)
        alone = linear_costs(each, 1, n, n_bits)[linear]
        experience = self._known(call, with_kernels)
        table = by_table(each, call, n, n_bits)
        if table is not None:
            expected["table"] = table
        multi = by_substrings(each, call, n, experience, alone)
        if multi is not None:
            expected["multi-index"] = multi
        clusters = by_clusters(each, call, n, n_bits, self._share(call))
        if clusters is not None:
            expected["clusters"] = clusters
        return expected

    def to_build(self, name: str, with_kernels: bool) -> float:
        """The ns that building a path takes."""
        n = len(self._codes)
        words = n * -(-self._codes.n_bits // 64)
        if name == "table":
            return TABLE_BUILD * n
        if name == "multi-index":
            return (DISTINCT + MULTI_BUILD * len(self._cut)) * n
        if name == "clusters":
            each = (DISTINCT + CLUSTERS_BUILD) * n
            return each + current(with_kernels).clusters_pair * words * n_centres(n)
        return FLAT_LOAD + FLAT_BUILD * words

    @property
    def may_look(self) -> bool:
        """Whether `look` would say something new, and of codes that are not just a few."""
        return self._sample is None and len(self._codes) >= _FEW

    def look(self) -> None:
        """Make clusters of a small sample, and see from its own codes what they leave to compare.

        As if queries were like codes. It takes about `LOOK` ns.
        """
        n = len(self._codes)
        looked = min(n, _LOOKED)
        sample = self._codes[np.arange(looked) * n // looked]
        self._sample = ClusterIndex(sample, at_most=min(_CENTRES, n_centres(n)))
        self._asked = sample[:: max(1, looked // _ASKED)]

    def learn(self, call: Call, n_queries: int, found: Neighbors) -> None:
        """Take in how far so many answers reach, and what multi-index hashing did for them."""
        if n_queries and found.work.path.startswith(MultiIndex.name):
            work = found.work
            self._experience[call.kind].learn(n_queries, work.given_up, work.effort)
        if call.k is not None and n_queries:
            reach = float(found.complete_radius.mean())
            before = self._reach.get(call.kind)
            self._reach[call.kind] = fading(before, reach, n_queries)

    def forget_expected(self) -> None:
        """Drop what was expected of kernels, or of NumPy, but not what was seen."""
        seen = {kind: each for kind, each in self._experience.items() if each.known}
        self._experience = seen

    def _known(self, call: Call, with_kernels: bool) -> Experience:
        if call.kind not in self._experience:
            each = candidate_cost(self._codes.n_bits, with_kernels=with_kernels)
            experience = unseen(call, self._cut, len(self._codes), each)
            self._experience[call.kind] = experience
        return self._experience[call.kind]

    def _share(self, call: Call) -> float | None:
        """The share of all codes that clusters would compare; None if that is not known."""
        is_known = call.k is None or call.kind in self._reach
        if self._sample is None or not is_known:
            return None
        radius = call.radius if call.k is None else round(self._reach[call.kind])
        if radius not in self._shares:
            self._shares[radius] = self._sample.share(self._asked, radius)
        return self._shares[radius]


_STEPS = 10  # that a search for the k nearest takes in NumPy, more or less
_PROBE = 10  # a ball is looked up only if it has so many times fewer codes than the collection
_SHARE = 60  # and by substrings only if that takes such a share of the work of comparing all
_CENTRE = 3  # codes that a centre costs as much as
# what is expected of a search by substrings before any was seen
_GIVEN_UP, _WORK = 0.05, 1 / 600
_DOUBT = 8  # so many queries weigh as much as what was expected before


class Call(NamedTuple):
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

    def learn(self, n_queries: int, given_up: int, work: float) -> None:
        """Take in what `n_queries` queries came to: the more of them, the more they weigh."""
        weight = n_queries / (n_queries + _DOUBT)
        self.given_up += weight * (given_up / n_queries - self.given_up)
        self.work += weight * (work / n_queries - self.work)
        self.known = True


def unseen(call: Call, parts: list[Substring], n_items: int, candidate_cost: float) -> Experience:
    """What to expect of a kind of call that was never asked."""
    if call.k is None:
        return Experience(0.0, work_within(parts, n_items, call.radius, candidate_cost))
    return Experience(_GIVEN_UP, n_items * _WORK)


def linear_costs(costs: Costs, n_queries: int, n_items: int, n_bits: int) -> dict[str, float]:
    """ns to compare every code, by the plain scan and by Faiss."""
    words = -(-n_bits // 64) * n_items
    return {
        "scan": costs.scan_call + n_queries * (costs.scan_query + costs.scan_word * words),
        "faiss-flat": costs.flat_call + n_queries * (costs.flat_query + costs.flat_word * words),
    }


def by_table(costs: Costs, call: Call, n_items: int, n_bits: int) -> float | None:
    """ns to probe the hash table; None where comparing is better in any case."""
    ball = ball_size(n_bits, call.radius)
    if call.k is not None or _PROBE * ball > n_items:
        return None
    return costs.table_call + call.n_queries * (costs.table_query + ball * costs.table_probe)


def by_substrings(
    costs: Costs,
    call: Call,
    n_items: int,
    experience: Experience,
    each_given_up: float,
) -> float | None:
    """ns of multi-index hashing; a query that it gives up costs `each_given_up` besides."""
    if call.k is None and _SHARE * experience.work > n_items and not experience.known:
        return None
    steps = call.radius + 1 if call.k is None else _STEPS
    each = costs.multi_query + costs.multi_work * experience.work
    each += experience.given_up * each_given_up
    return costs.multi_call + costs.multi_step * steps + call.n_queries * each


def fading(before: float | None, seen: float, n_queries: int) -> float:
    """The mean of what was seen of so many queries and, the less the more these are, before."""
    return seen if before is None else before + n_queries / (n_queries + _DOUBT) * (seen - before)


def by_clusters(
    costs: Costs, call: Call, n_items: int, n_bits: int, share: float | None
) -> float | None:
    """ns of clusters that leave such a share of the codes to compare; None where it's not known.

    Where that is nearly all, clusters are not hopeless: they compare from columns, faster than a
    scan where codes are long.
    """
    if share is None:
        return None
    centres, code = n_centres(n_items), costs.clusters_word * -(-n_bits // 64)
    each = costs.clusters_query + code * (share * n_items + _CENTRE * centres)
    once = costs.clusters_call + costs.clusters_cluster * centres
    return once + call.n_queries * each


@dataclass(frozen=True, slots=True)
class Costs:
    """Each field: ns of one call, of one query of a call, or of one step of a query.

    A word is 64 bits of one compared code; a probe one look-up in the hash table; work one
    probe or candidate of multi-index hashing, which also pays for each step of a call, all
    queries together. A call goes to every cluster; a pair is a code's word and a centre, compared
    to build clusters.
    """

    scan_call: float
    scan_query: float
    scan_word: float
    table_call: float
    table_query: float
    table_probe: float
    multi_call: float
    multi_step: float
    multi_query: float
    multi_work: float
    clusters_call: float
    clusters_cluster: float
    clusters_query: float
    clusters_word: float
    clusters_pair: float
    flat_call: float = 100e3
    flat_query: float = 5e3
    flat_word: float = 0.6


# Measured on one thread of a recent x86-64 server; `calibration` measures here.
NUMPY = Costs(
    scan_call=30e3,
    scan_query=40e3,
    scan_word=0.9,
    table_call=15e3,
    table_query=60.0,
    table_probe=12.0,
    multi_call=100e3,
    multi_step=60e3,
    multi_query=2e3,
    multi_work=22.0,
    clusters_call=30e3,
    clusters_cluster=10.0,
    clusters_query=90e3,
    clusters_word=9.0,
    clusters_pair=2.2,
)
COMPILED = Costs(
    scan_call=8e3,
    scan_query=1.3e3,
    scan_word=0.28,
    table_call=5e3,
    table_query=45.0,
    table_probe=8.0,
    multi_call=25e3,
    multi_step=0.0,
    multi_query=1e3,
    multi_work=10.0,
    clusters_call=10e3,
    clusters_cluster=40.0,
    clusters_query=500.0,
    clusters_word=0.5,
    clusters_pair=0.6,
)

_measured: dict[bool, Costs] = {}  # with kernels or without, where they were measured


def current(with_kernels: bool) -> Costs:
    """What is known best: the costs measured on this machine, or those above."""
    return _measured.get(with_kernels, COMPILED if with_kernels else NUMPY)


def is_measured(with_kernels: bool) -> bool:
    """Whether `use` has been told."""
    return with_kernels in _measured


def use(costs: Costs, with_kernels: bool) -> None:
    """Plan by these costs from now on, in the whole process."""
    _measured[with_kernels] = costs


# Once for an index: ns a code (and substring, and word), and for loading what it needs.
TABLE_BUILD, MULTI_BUILD, CLUSTERS_BUILD, FLAT_BUILD = 150.0, 35.0, 100.0, 2.0
DISTINCT = 60.0  # for those that are built over distinct codes, to find them
LOOK = 8e6  # at a sample, for what clusters would leave to compare
FLAT_LOAD = 150e6  # importing Faiss
KERNELS_LOAD = 500e6  # importing Numba and reading what it has compiled
KERNELS_COMPILE = 40e9  # if nobody has compiled them yet
