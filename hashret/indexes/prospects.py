"""What each exact path would take for a question: from the codes, and from questions answered."""

from __future__ import annotations

import numpy as np

from hashret.codes import Codes, Neighbors
from hashret.indexes import costs, estimates
from hashret.indexes.clusters import ClusterIndex, n_centres
from hashret.indexes.estimates import Experience, Question
from hashret.indexes.multi_index import candidate_cost
from hashret.indexes.substrings import cut

_LOOKED, _CENTRES, _ASKED = 4096, 256, 256  # at most: codes of a look, of them centres, and queries
_FEW = 256  # codes that are not worth a look


class Prospects:
    """Estimates over fixed codes. What clusters would compare is known only after `look`."""

    def __init__(self, codes: Codes):
        self._codes = codes
        self._cut = cut(codes.n_bits, len(codes))
        self._experience: dict[tuple[int, bool], Experience] = {}
        self._reach: dict[tuple[int, bool], float] = {}  # bits to the k-th, by kind of question
        self._sample: ClusterIndex | None = None
        self._asked = codes[:0]
        self._shares: dict[int, float] = {}  # of all codes, by radius

    def expected(self, question: Question, with_kernels: bool, linear: str) -> dict[str, float]:
        """The ns that each path would take that comes into question.

        `linear` names the path that answers what multi-index hashing gives up.
        """
        each = costs.current(with_kernels)
        n, n_bits = len(self._codes), self._codes.n_bits
        expected = estimates.linear(each, question.n_queries, n, n_bits)
        alone = estimates.linear(each, 1, n, n_bits)[linear]
        experience = self._known(question, with_kernels)
        table = estimates.by_table(each, question, n, n_bits)
        if table is not None:
            expected["table"] = table
        multi = estimates.by_substrings(each, question, n, experience, alone)
        if multi is not None:
            expected["multi-index"] = multi
        clusters = estimates.by_clusters(each, question, n, n_bits, self._share(question))
        if clusters is not None:
            expected["clusters"] = clusters
        return expected

    def to_build(self, name: str, with_kernels: bool) -> float:
        """The ns that building a path takes."""
        n = len(self._codes)
        words = n * -(-self._codes.n_bits // 64)
        if name == "table":
            return costs.TABLE_BUILD * n
        if name == "multi-index":
            return (costs.DISTINCT + costs.MULTI_BUILD * len(self._cut)) * n
        if name == "clusters":
            each = (costs.DISTINCT + costs.CLUSTERS_BUILD) * n
            return each + costs.current(with_kernels).clusters_pair * words * n_centres(n)
        return costs.FLAT_LOAD + costs.FLAT_BUILD * words

    @property
    def may_look(self) -> bool:
        """Whether `look` would say something new, and of codes that are not just a few."""
        return self._sample is None and len(self._codes) >= _FEW

    def look(self) -> None:
        """Make clusters of a small sample, and see from its own codes what they leave to compare.

        As if queries were like codes. It takes about `costs.LOOK`.
        """
        n = len(self._codes)
        looked = min(n, _LOOKED)
        sample = self._codes[np.arange(looked) * n // looked]
        self._sample = ClusterIndex(sample, at_most=min(_CENTRES, n_centres(n)))
        self._asked = sample[:: max(1, looked // _ASKED)]

    def learn(self, question: Question, n_queries: int, found: Neighbors) -> None:
        """Take in how far the answers to so many queries reach."""
        if question.k is not None and n_queries:
            reach = float(found.complete_radius.mean())
            before = self._reach.get(question.kind)
            self._reach[question.kind] = estimates.fading(before, reach, n_queries)

    def learn_work(self, question: Question, n_queries: int, given_up: int, work: int) -> None:
        """Take in what multi-index hashing did for so many queries."""
        self._experience[question.kind].learn(n_queries, given_up, work)

    def forget_expected(self) -> None:
        """Drop what was expected of kernels, or of NumPy, but not what was seen."""
        seen = {kind: each for kind, each in self._experience.items() if each.known}
        self._experience = seen

    def _known(self, question: Question, with_kernels: bool) -> Experience:
        if question.kind not in self._experience:
            each = candidate_cost(self._codes.n_bits, with_kernels=with_kernels)
            experience = estimates.expected(question, self._cut, len(self._codes), each)
            self._experience[question.kind] = experience
        return self._experience[question.kind]

    def _share(self, question: Question) -> float | None:
        """The share of all codes that clusters would compare; None if that is not known."""
        is_known = question.k is None or question.kind in self._reach
        if self._sample is None or not is_known:
            return None
        radius = question.radius if question.k is None else round(self._reach[question.kind])
        if radius not in self._shares:
            self._shares[radius] = self._sample.share(self._asked, radius)
        return self._shares[radius]
