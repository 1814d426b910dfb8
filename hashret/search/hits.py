"""From the rows that a search found to the hits that are shown."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from hashret import rank
from hashret.codes import Neighbors
from hashret.items import Approximation, Hit, Hits
from hashret.plan import Plan
from hashret.snapshot import Snapshot
from hashret.sparse import Features


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many hits are wanted, and of how many nearest they are chosen; None: all there are.

    The nearest by distance and then score, or `by_score` and then distance; the hits chosen by
    the similarity of features if `reranked`. With `copies`, those whose features are at most so
    far come first, by similarity; it also decides among the others of one distance. `note` says
    why there are no hits, where that is known beforehand, `approximation` what the search is
    worth. `probes` is how many buckets were allowed, None where nothing bounds the search.
    """

    k: int | None = None
    shortlist: int | None = None
    by_score: bool = False
    reranked: bool = False
    copies: float | None = None
    note: str = ""
    approximation: Approximation | None = None
    probes: int | None = None

    @property
    def looks(self) -> bool:
        """Whether features say something about the order."""
        return self.reranked or self.copies is not None

    def keys(
        self, distances: np.ndarray, scores: np.ndarray, alike: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """What hits are ordered by, first and second, ascending; copies if it is known how alike
        they are.
        """
        if alike is not None and self.copies is not None:
            return np.where(-alike <= self.copies, -1, distances), -alike
        return (-scores, distances) if self.by_score else (distances, -scores)


def hits(
    snapshot: Snapshot,
    wanted: Wanted,
    found: Neighbors,
    query: int,
    confidences: np.ndarray,
    plan: Plan,
    features: Features | None = None,
    besides: int | None = None,
) -> Hits:
    """The ranked hits of one query of those that `found` answers.

    `confidences` (n_bits,) of the query; `features` its one row of them, where a shortlist is
    ranked by their similarity. The item at position `besides` is left out.
    """
    positions, distances = found[query]
    if besides is not None:
        others = positions != besides
        positions, distances = positions[others], distances[others]
    ranked = _ranked(snapshot, wanted, positions, distances, confidences, features)
    radius = int(found.complete_radius[query])
    note, approximation = wanted.note, wanted.approximation
    if wanted.probes is not None and radius < 0:
        approximation = Approximation("probes", {"probes": wanted.probes})
        note = note or f"the {wanted.probes} nearest buckets are empty; allow more probes"
    plan = replace(plan, proved=radius)
    return Hits(ranked, "" if ranked else note, radius, approximation, plan)


def _ranked(
    snapshot: Snapshot,
    wanted: Wanted,
    positions: np.ndarray,
    distances: np.ndarray,
    confidences: np.ndarray,
    features: Features | None,
) -> tuple[Hit, ...]:
    """The best of the positions as hits, in order."""
    scores = rank.expected_agreement(confidences, snapshot.codes[positions])
    if wanted.shortlist is not None and len(positions) > wanted.shortlist:
        keys = wanted.keys(distances, scores)
        keep = _first(snapshot, positions, *keys, wanted.shortlist)
        positions, distances, scores = positions[keep], distances[keep], scores[keep]
    alike = None
    if features is not None and len(positions):
        stored = snapshot.features(positions)
        alike = snapshot.coder.featurizer.similarities(features, stored)
        if wanted.k is not None:  # of the others no record is read
            if wanted.reranked:
                keep = rank.highest(alike, wanted.k)
            else:
                keys = wanted.keys(distances, scores, alike)
                keep = np.concatenate(rank.contenders(*keys, wanted.k))
            alike, positions, distances, scores = (
                one[keep] for one in (alike, positions, distances, scores)
            )
    records = snapshot.records(positions.tolist())
    ids = [records[position].id for position in positions.tolist()]
    keys = wanted.keys(distances, scores, alike)
    order = rank.order(*keys, ids, alike if wanted.reranked else None)
    ranked = []
    for i in order[: wanted.k]:
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
