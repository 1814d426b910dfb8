"""How good is an order of the items for queries, if those with a query's label are relevant?

Measures are means over the queries, and over all orders of tied items (`hashret.measures`). A query
that is an item itself is not among its hits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hashret.codes import Codes
from hashret.measures import TiedRanking
from hashret.sparse import Features
from indexer.corpus import Skipped
from indexer.evaluation import rankings

_NEIGHBOURS = 10  # nearest items by features, which the orders by codes should have first
_MOST_RANKS = 30  # at which precision is measured for a curve


@dataclass(frozen=True, slots=True)
class LabelledQueries:
    """n queries with their labels."""

    codes: Codes
    confidences: np.ndarray
    """(n, n_bits)."""
    features: Features | None
    labels: np.ndarray
    """(n,) int64: labels as numbers."""
    itself: np.ndarray
    """(n,): the position of the item that has the query's id, or -1."""
    skipped: list[Skipped]


@dataclass(frozen=True, slots=True)
class PrecisionCurves:
    """The mean precision of the queries among the first items, and among those within a radius."""

    ranks: list[int]
    """How many first items, increasing, to k."""
    by_rank: dict[str, list[float]]
    """Order of the items -> the precision among so many first."""
    by_radius: list[float]
    """The precision within 0, 1, 2, ... bits; 0 for a query with no item there."""


def scores(
    distances: rankings.Distances, queries: LabelledQueries, labels: np.ndarray, k: int
) -> dict[str, float]:
    """The measures of one order of the items, by name; `labels` (n,) are those of the items."""
    parts: dict[str, list[np.ndarray]] = {}
    for near, relevant in _tiles(distances, queries, labels):
        tied = TiedRanking.from_distances(_cut(near, k), relevant)
        parts.setdefault(f"precision@{k}", []).append(tied.precision_at(k))
        parts.setdefault(f"recall@{k}", []).append(tied.recall_at(k))
        parts.setdefault(f"mAP@{k}", []).append(tied.average_precision_at(k))
    return {name: float(np.nanmean(np.concatenate(part))) for name, part in parts.items()}


def precision_within(
    distances: rankings.Distances, queries: LabelledQueries, labels: np.ndarray, radius: int
) -> float:
    """The mean share of the items within `radius` bits that are relevant; 0 if there is no item."""
    tiles = _tiles(distances, queries, labels)
    shares = [_shares_within(radius, near, relevant) for near, relevant in tiles]
    return float(np.concatenate(shares).mean())


def curves(
    orders: dict[str, rankings.Distances],
    queries: LabelledQueries,
    labels: np.ndarray,
    k: int,
    radius: int,
) -> PrecisionCurves:
    """The curves of all orders by rank, and of the order "distance" by radius."""
    ranks = np.unique(np.geomspace(1, k, _MOST_RANKS).round().astype(int)).tolist()
    by_rank = {name: np.zeros(len(ranks)) for name in orders}
    by_radius = np.zeros(max(radius, queries.codes.n_bits // 4) + 1)
    for name, distances in orders.items():
        for near, relevant in _tiles(distances, queries, labels):
            tied = TiedRanking.from_distances(_cut(near, k), relevant)
            by_rank[name] += [tied.precision_at(rank).sum() for rank in ranks]
            if name == "distance":
                by_radius += [
                    _shares_within(one, near, relevant).sum() for one in range(len(by_radius))
                ]
    n = len(queries.codes)
    return PrecisionCurves(
        ranks,
        {name: (sums / n).tolist() for name, sums in by_rank.items()},
        (by_radius / n).tolist(),
    )


def float_neighbours(
    orders: dict[str, rankings.Distances], n: int, queries: LabelledQueries, k: int
) -> dict[str, dict[str, float]]:
    """The recall of the nearest items by features in each other order; see `LabelledEvaluation`."""
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    count = min(_NEIGHBOURS, n)
    for tile in rankings.tiles(len(queries.codes), n):
        exact = _without_itself(orders["features"](tile), queries.itself[tile])
        nearest = np.argsort(exact, axis=1, kind="stable")[:, :count]
        truth = np.zeros(exact.shape, bool)
        np.put_along_axis(truth, nearest, True, axis=1)
        truth &= np.isfinite(exact)  # leaves out the query itself, if there are only few items
        for name, distances in orders.items():
            if name == "features":
                continue
            near = _without_itself(distances(tile), queries.itself[tile])
            tied = TiedRanking.from_distances(_cut(near, max(k, count)), truth)
            for depth in (_NEIGHBOURS, k):
                found.setdefault(name, {}).setdefault(f"first {depth}", []).append(
                    tied.recall_at(depth)
                )
    return {
        name: {depth: float(np.nanmean(np.concatenate(part))) for depth, part in depths.items()}
        for name, depths in found.items()
    }


def _tiles(
    distances: rankings.Distances, queries: LabelledQueries, labels: np.ndarray
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """The distances of some queries to all items, (m, n), and which of these are relevant."""
    for tile in rankings.tiles(len(queries.codes), len(labels)):
        near = _without_itself(distances(tile), queries.itself[tile])
        relevant = queries.labels[tile, None] == labels[None, :]
        yield near, relevant & np.isfinite(near)


def _shares_within(radius: int, near: np.ndarray, relevant: np.ndarray) -> np.ndarray:
    """For each query the share of the items within the radius that are relevant; 0 of none."""
    inside = near <= radius
    shares: np.ndarray = (inside & relevant).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
    return shares


def _without_itself(distances: np.ndarray, itself: np.ndarray) -> np.ndarray:
    """The distances, (m, n), with that of each query from itself set to infinity, in place."""
    rows = np.flatnonzero(itself >= 0)
    distances[rows, itself[rows]] = np.inf
    return distances


def _cut(distances: np.ndarray, depth: int) -> np.ndarray:
    """The distances with those beyond the first `depth` items set to infinity, for speed.

    No measure depends on them.
    """
    if distances.shape[1] <= depth:
        return distances
    last = np.partition(distances, depth - 1, axis=1)[:, depth - 1, None]
    return np.where(distances > last, np.inf, distances)
