"""Put the rows that a search found in order, without a look at the items."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from hashret import rank
from hashret.items import Approximation, FoundRows
from hashret.search.asked import Asked
from hashret.search.hits import Ranking, scored
from hashret.search.searcher import Answered
from hashret.snapshot import Snapshot


def rows(
    snapshot: Snapshot, ranking: Ranking, asked: Asked, answers: Iterable[Answered]
) -> FoundRows:
    """The rows of the `answers` to all queries that were asked, in order."""
    limits = np.zeros(len(asked) + 1, np.int64)
    complete = np.full(len(asked), -1, np.int32)
    approximation: Approximation | None = None
    parts = []
    for answered in answers:
        found = scored(snapshot, answered, asked.confidences(answered.queries))
        order = rank.sorted_within(found.limits, ranking.keys(found.distances, found.scores))
        part = found.take(*rank.first_within(found.limits, order, ranking.question.k))
        parts.append((part.positions, part.distances, part.scores))
        limits[answered.queries + 1] = np.diff(part.limits)
        complete[answered.queries] = answered.found.complete_radius
        approximation = answered.approximation
    joined = [np.concatenate(column) for column in zip(*parts, strict=True)] or [np.empty(0)] * 3
    positions, distances, scores = joined
    return FoundRows(
        np.cumsum(limits),
        positions.astype(np.int64, copy=False),
        distances.astype(np.int32, copy=False),
        scores.astype(np.float64, copy=False),
        complete,
        approximation,
    )
