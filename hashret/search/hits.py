"""Turn the rows that a search found into ranked hits with their records."""

from __future__ import annotations

from dataclasses import dataclass, replace
from heapq import nsmallest
from typing import Self

import numpy as np

from hashret import rank
from hashret.items import Approximation, Hit, Hits
from hashret.search.question import Question
from hashret.search.searcher import Answered
from hashret.snapshot import Snapshot
from hashret.sparse import Features

#: Number of nearest codes among which copies of an image are looked for. With 1,500 photographs,
#: the original is among the 50 nearest to every copy in colour. Grey copies lack the colours in
#: their codes: 94 in 100 of their originals are among the 500 nearest, 98 among 1,000.
_LOOKED_AT = 2_000


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order of the hits of a question, in which copies of an image may come first."""

    question: Question
    copies: float | None = None
    """Distance of looks up to which an item counts as a copy of the query. Copies come first, the
    most alike before others; likeness also orders other items at one distance. None: looks don't
    count."""

    @classmethod
    def of(cls, question: Question, snapshot: Snapshot) -> Self:
        """The order for a question. If it sets `rerank`, even to 0, copies do not come first."""
        by_codes = question.by_score or question.rerank is not None
        return cls(question, None if by_codes else snapshot.copy_distance)

    @property
    def depth(self) -> int | None:
        """The number of nearest items from which the hits are chosen; None means no limit."""
        question = self.question
        if self.copies is None or question.k is None or question.radius is not None:
            return question.depth
        return max(question.k, _LOOKED_AT)

    @property
    def compares_features(self) -> bool:
        """Whether the order depends on features."""
        return bool(self.question.rerank) or self.copies is not None

    def keys(
        self, distances: np.ndarray, scores: np.ndarray, alike: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The first and second sort key of each hit, ascending; `alike` if looks count."""
        if alike is not None and self.copies is not None:
            return np.where(-alike <= self.copies, -1, distances), -alike
        return (-scores, distances) if self.question.by_score else (distances, -scores)


def hits(
    snapshot: Snapshot,
    ranking: Ranking,
    answered: Answered,
    query: int,
    confidences: np.ndarray,
    features: Features | None = None,
    besides: int | None = None,
) -> Hits:
    """The ranked hits of one query; `query` is its position among those in `answered`.

    `confidences` (n_bits,) are those of the query; `features` is its one row of features, needed if
    the order depends on their similarity. The item at position `besides` is left out.
    """
    question = ranking.question
    positions, distances = answered.found[query]
    if besides is not None:
        others = positions != besides
        positions, distances = positions[others], distances[others]
    ranked = _ranked(snapshot, ranking, positions, distances, confidences, features)
    radius = int(answered.found.complete_radius[query])
    approximation = answered.approximation
    note = ""
    if question.where is not None and not answered.plan.n_items:
        note = "no item satisfies the condition"
    if question.probes is not None and radius < 0:
        approximation = Approximation("probes", {"probes": question.probes})
        note = note or f"the {question.probes} nearest buckets are empty; allow more probes"
    plan = replace(answered.plan, proved=radius)
    return Hits(ranked, "" if ranked else note, radius, approximation, plan)


def _ranked(
    snapshot: Snapshot,
    ranking: Ranking,
    positions: np.ndarray,
    distances: np.ndarray,
    confidences: np.ndarray,
    features: Features | None,
) -> tuple[Hit, ...]:
    """The best of the items at these positions as hits, in order."""
    k, reranked = ranking.question.k, bool(ranking.question.rerank)
    scores = rank.expected_agreement(confidences, snapshot.codes[positions])
    if ranking.depth is not None and len(positions) > ranking.depth:
        keep = _first(snapshot, positions, *ranking.keys(distances, scores), ranking.depth)
        positions, distances, scores = positions[keep], distances[keep], scores[keep]
    alike = None
    if features is not None and len(positions):
        stored = snapshot.features(positions)
        alike = snapshot.coder.featurizer.similarities(features, stored)
        if k is not None:  # drop the others before any record is read
            if reranked:
                keep = rank.highest(alike, k)
            else:
                keep = np.concatenate(rank.contenders(*ranking.keys(distances, scores, alike), k))
            alike, positions, distances, scores = (
                one[keep] for one in (alike, positions, distances, scores)
            )
    items, rows = snapshot.items, snapshot.rows[positions].tolist()
    ids = [items.id(row) for row in rows]
    keys = ranking.keys(distances, scores, alike)
    ranked = []
    for i in rank.order(*keys, ids, alike if reranked else None)[:k]:
        record = items.record(rows[i])
        ranked.append(
            Hit(
                record.id,
                int(distances[i]),
                float(scores[i]),
                snapshot.codes.hex(int(positions[i])),
                record.metadata,
                record.preview,
                None if alike is None else float(alike[i]),
            )
        )
    return tuple(ranked)


def _first(
    snapshot: Snapshot, positions: np.ndarray, first: np.ndarray, second: np.ndarray, count: int
) -> np.ndarray:
    """The `count` positions that come first by (first, second, id), unsorted."""
    certain, tied = rank.contenders(first, second, count)
    rows = snapshot.rows[positions[tied]].tolist()
    named = zip((snapshot.items.id(row) for row in rows), tied.tolist(), strict=True)
    chosen = [place for _, place in nsmallest(count - len(certain), named)]
    return np.concatenate([certain, np.array(chosen, np.intp)])
