"""A ranking to the protocol's figures: P@100 for text, mAP@1000 and P@1000 for images, recall@10
of the float neighbours for vectors; all expected over ties.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from benchmarks.controls import cosine_distances
from benchmarks.datasets import Dataset
from hashret.codes import Codes, hamming
from hashret.measures import TiedRanking, recall_of_truth
from hashret.rank import expected_agreement

#: Measures by kind, the first of each the headline.
MEASURES = {
    "text": ("P@100",),
    "image": ("mAP@1000", "P@1000"),
    "vector": ("recall@10", "recall@10 of 50"),
}
_DEPTH = 1000  # no measure looks deeper
_TRUTH = 10
_SHORTLIST = 50
_TILE = 128  # queries ranked at a time

#: From a slice of queries to their distances to the whole database, (n, n_database).
Distances = Callable[[slice], np.ndarray]


@dataclass(frozen=True, slots=True)
class FloatTruth:
    """What codes of vectors are to find again: the neighbours by cosine, vectors as they came."""

    exact: Distances
    """Cosine distances, that a shortlist is scored with again."""
    rows: np.ndarray
    """Each query's 10 nearest database rows, nearest first, (n_queries, 10)."""

    @classmethod
    def of(cls, queries: np.ndarray, database: np.ndarray) -> FloatTruth:
        """The truth for float vectors, (n_queries, n_features) and (n, n_features)."""
        exact = cosine_distances(queries, database)
        rows = [np.argsort(exact(tile), axis=1)[:, :_TRUTH] for tile in _tiles(len(queries))]
        return cls(exact, np.concatenate(rows))

    def relevant(self, tile: slice, n: int) -> np.ndarray:
        """Which of the n rows are among the neighbours, (queries of the tile, n) bool."""
        flags = np.zeros((tile.stop - tile.start, n), bool)
        np.put_along_axis(flags, self.rows[tile], True, axis=1)
        return flags

    def recall_of_shortlist(self, distances: np.ndarray, tile: slice) -> np.ndarray:
        """Recall after the nearest 50 (ties by row, and rows are in random order) are rescored."""
        rows = np.argsort(distances, axis=1, kind="stable")[:, :_SHORTLIST]
        exact = np.take_along_axis(self.exact(tile), rows, axis=1)
        best = np.argsort(exact, axis=1, kind="stable")[:, :_TRUTH]
        return recall_of_truth(np.take_along_axis(rows, best, axis=1), self.rows[tile])


@dataclass(frozen=True, slots=True)
class Judge:
    """Scores rankings of a dataset's database for its queries by what its kind is measured by."""

    kind: str
    query_labels: np.ndarray
    labels: np.ndarray
    truth: FloatTruth | None
    """For vectors; of the other kinds, relevant means the same label."""
    leave_one_out: bool = False
    """Query i is item i, which is not its own hit; scored by P@20."""

    @classmethod
    def of(cls, dataset: Dataset) -> Judge:
        """The judge of a dataset."""
        truth = None
        if dataset.kind == "vector":
            vectors = np.asarray(dataset.payloads)
            truth = FloatTruth.of(vectors[dataset.queries], vectors[dataset.database])
        labels = dataset.labels
        return cls(
            dataset.kind,
            labels[dataset.queries],
            labels[dataset.database],
            truth,
            dataset.leave_one_out,
        )

    def score(self, distances: Distances) -> dict[str, float]:
        """The figures of ranking by any distances; equal distances tie."""
        parts = [self._measure(distances(tile), tile) for tile in _tiles(len(self.query_labels))]
        return {
            name: float(np.nanmean(np.concatenate([part[name] for part in parts])))
            for name in parts[0]
        }

    def score_codes(self, queries: Codes, database: Codes) -> dict[str, float]:
        """The figures of ranking by Hamming distance."""
        if self.truth is not None or self.leave_one_out:
            return self.score(lambda tile: hamming(queries[tile], database))
        # few distances, many ties: counting takes a tenth of sorting
        tied = TiedRanking.from_labels(queries, database, self.query_labels, self.labels)
        return {name: float(np.nanmean(values)) for name, values in self._of(tied).items()}

    def _measure(self, distances: np.ndarray, tile: slice) -> dict[str, np.ndarray]:
        if self.leave_one_out:
            distances = np.array(distances, np.float64)
            distances[np.arange(len(distances)), np.arange(tile.start, tile.stop)] = np.inf
        if self.truth is not None:
            relevant = self.truth.relevant(tile, len(self.labels))
            return {
                "recall@10": TiedRanking.from_distances(distances, relevant).recall_at(_TRUTH),
                "recall@10 of 50": self.truth.recall_of_shortlist(distances, tile),
            }
        relevant = self.query_labels[tile, None] == self.labels[None, :]
        if self.leave_one_out:
            relevant &= np.isfinite(distances)
        return self._of(TiedRanking.from_distances(*_near_only(distances, relevant)))

    def _of(self, tied: TiedRanking) -> dict[str, np.ndarray]:
        """What items of this kind are measured by, of a ranking by labels, query by query."""
        if self.leave_one_out:
            return {"P@20": tied.precision_at(20)}
        if self.kind == "text":
            return {"P@100": tied.precision_at(100)}
        return {"mAP@1000": tied.average_precision_at(1000), "P@1000": tied.precision_at(1000)}


def ranked_distances(queries: Codes, database: Codes, confidences: np.ndarray) -> Distances:
    """As a collection ranks: by Hamming distance, then by the query's confidences."""
    asymmetric = asymmetric_distances(database, confidences)
    # half a bit at most: the confidences never overrule the distance
    return lambda tile: hamming(queries[tile], database) + asymmetric(tile) / 2


def asymmetric_distances(database: Codes, confidences: np.ndarray) -> Distances:
    """By the query's confidences alone: 1 - the share of bits expected to agree."""
    return lambda tile: (
        1 - np.stack([expected_agreement(confidence, database) for confidence in confidences[tile]])
    )


def _tiles(n_queries: int) -> list[slice]:
    starts = range(0, n_queries, _TILE)
    return [slice(start, min(start + _TILE, n_queries)) for start in starts]


def _near_only(distances: np.ndarray, relevant: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The distances and flags of the items that are near enough for any measure by labels.

    Of some queries these are more than of others, by ties; what fills their rows up is infinitely
    far.
    """
    if distances.shape[1] <= _DEPTH:
        return distances, relevant
    last = np.partition(distances, _DEPTH - 1, axis=1)[:, _DEPTH - 1, None]
    widest = int((distances <= last).sum(axis=1).max())
    items = np.argpartition(distances, widest - 1, axis=1)[:, :widest]
    near = np.take_along_axis(distances, items, axis=1)
    return np.where(near > last, np.inf, near), np.take_along_axis(relevant, items, axis=1)
