"""Put the rows that a search found in order, without a look at the items."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hashret import rank
from hashret.items import Approximation
from hashret.search.hits import Ranking, scored
from hashret.search.question import Asked
from hashret.search.searcher import Answered
from hashret.snapshot import Snapshot


@dataclass(frozen=True, slots=True, eq=False)
class FoundRows:
    """The items found for each of n queries, as positions among the collection's codes.

    Query i has the slice ``limits[i]`` to ``limits[i + 1]`` (`limits` is (n + 1,) int64) of
    `positions` (int64), of their `distances` in bits (int32) and of their `scores` (float64; all as
    in `Hit`), best first: by (distance, -score, position), of a search by score by (-score,
    distance, position). The slice is empty for a payload without a known feature. `complete_radius`
    (n,) int32 and `approximation` are as in `Hits`, but for `probes`: a complete radius of -1 is
    all that says that the best by score may be missing.
    """

    limits: np.ndarray
    positions: np.ndarray
    distances: np.ndarray
    scores: np.ndarray
    complete_radius: np.ndarray
    approximation: Approximation | None = None

    def __len__(self) -> int:
        """The number of queries."""
        return len(self.complete_radius)

    def __getitem__(self, query: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """The (positions, distances, scores) of one query; -1 is the last. Raises IndexError."""
        at = query + len(self) if query < 0 else query
        if not 0 <= at < len(self):
            raise IndexError(f"query: expected one of {len(self)}, got {query}; count from 0")
        part = slice(int(self.limits[at]), int(self.limits[at + 1]))
        return self.positions[part], self.distances[part], self.scores[part]


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
