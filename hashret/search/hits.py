"""From the rows that a search found to the hits that are shown."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hashret import rank
from hashret.items import Approximation, Hit, Hits
from hashret.search.question import Question
from hashret.search.searcher import Answered
from hashret.snapshot import Snapshot
from hashret.sparse import Features


def hits(
    snapshot: Snapshot,
    question: Question,
    answered: Answered,
    query: int,
    confidences: np.ndarray,
    features: Features | None = None,
    besides: int | None = None,
) -> Hits:
    """The ranked hits of one of the queries that were answered, `query` counted among these.

    `confidences` (n_bits,) of the query; `features` its one row of them, where a shortlist is
    ranked by their similarity. The item at position `besides` is left out.
    """
    positions, distances = answered.found[query]
    if besides is not None:
        others = positions != besides
        positions, distances = positions[others], distances[others]
    ranked = _ranked(snapshot, question, positions, distances, confidences, features)
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
    question: Question,
    positions: np.ndarray,
    distances: np.ndarray,
    confidences: np.ndarray,
    features: Features | None,
) -> tuple[Hit, ...]:
    """The best of the positions as hits, in order."""
    scores = rank.expected_agreement(confidences, snapshot.codes[positions])
    first, second = (-scores, distances) if question.by_score else (distances, -scores)
    if question.depth is not None and len(positions) > question.depth:
        keep = _first(snapshot, positions, first, second, question.depth)
        positions, distances, scores = positions[keep], distances[keep], scores[keep]
        first, second = first[keep], second[keep]
    records = snapshot.records(positions.tolist())
    ids = [records[position].id for position in positions.tolist()]
    alike = None
    if features is not None and len(positions):
        stored = snapshot.features(positions)
        alike = snapshot.coder.featurizer.similarities(features, stored)
    ranked = []
    for i in rank.order(first, second, ids, alike)[: question.k]:
        position = int(positions[i])
        record = records[position]
        ranked.append(
            Hit(
                record.id,
                int(distances[i]),
                float(scores[i]),
                snapshot.codes.hex(position),
                record.metadata,
                record.preview,
                None if alike is None else float(alike[i]),
            )
        )
    return tuple(ranked)


def _first(
    snapshot: Snapshot, positions: np.ndarray, first: np.ndarray, second: np.ndarray, count: int
) -> np.ndarray:
    """Which of the positions are the first by (first, second, id); in no order."""
    certain, tied = rank.contenders(first, second, count)
    chosen = snapshot.first_by_id(positions[tied], count - len(certain))
    return np.concatenate([certain, tied[np.isin(positions[tied], chosen)]])
