"""Evaluate a collection by labels: an item is relevant if it has the query's label.

Every measure is the mean over all orders of tied items (`hashret.measures`). Labels are only used
for scoring; nothing is learned from them here. Whether the model has learned from them is told.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hashret.arguments import require_instance, whole
from hashret.codes import Codes
from hashret.collection import Collection
from hashret.errors import InputError
from hashret.items import Item
from hashret.measures import TiedRanking, bucket_sizes, code_statistics
from hashret.sparse import Features, take_rows
from indexer.corpus import Skipped
from indexer.evaluation import rankings
from indexer.evaluation.queries import encode_queries, require_items
from indexer.training.labels.item_labels import numbered

_MOST = 1 << 30  # items that may be judged a query; a longer list than any collection gives
_NEIGHBOURS = 10  # nearest items by features, which the orders by codes should have first
_MOST_RANKS = 30  # at which precision is measured for a curve
_MAX_OWN_QUERIES = 10_000  # items that are queries if no others are given


@dataclass(frozen=True, slots=True)
class PrecisionCurves:
    """The mean precision of the queries among the first items, and among those within a radius."""

    ranks: list[int]
    """How many first items, increasing, to k."""
    by_rank: dict[str, list[float]]
    """Order of the items -> the precision among so many first."""
    by_radius: list[float]
    """The precision within 0, 1, 2, ... bits; 0 for a query with no item there."""


@dataclass(frozen=True, slots=True)
class LabelledEvaluation:
    """The results of an evaluation: means over the queries."""

    n_queries: int
    n_items: int
    k: int
    radius: int
    """In bits, inclusive."""
    orders: dict[str, dict[str, float]]
    """Order of the items -> measure -> value."""
    float_neighbours: dict[str, dict[str, float]]
    """Order of the items -> the share of the ten nearest items by features that are among its first
    ten, and among its first k. Empty if the collection stores no features."""
    codes: dict[str, Any]
    """Statistics of the stored codes."""
    skipped: list[Skipped]
    """The queries that could not be used, with the reasons."""
    note: str = ""
    """Why the figures are too good, if they are: the model has learned from these labels."""
    curves: PrecisionCurves | None = None
    """How precision falls, where that was asked for."""

    def to_json(self) -> dict[str, Any]:
        """The results as a JSON object, without curves."""
        told = asdict(self)
        del told["curves"]
        if not self.note:
            del told["note"]
        return told


@dataclass(frozen=True, slots=True)
class _LabelledQueries:
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


def evaluate(
    collection: Collection,
    queries: Iterable[Item | Skipped] | None,
    label: str,
    *,
    k: int = 100,
    radius: int = 2,
    with_curves: bool = False,
) -> LabelledEvaluation:
    """Evaluate a collection by the metadata field `label` of its items and of `queries`.

    If `queries` is None, every item is a query for the others, or a seeded sample of 10,000 if
    there are more. An item with the id of a query is never its hit. `radius` is in bits, inclusive.
    `with_curves` also measures precision at ranks to k, and at radii to at least `radius`.

    Raises InputError if the collection is empty, if no item or no query has the field, if no query
    can be used, or if none has a relevant item. Raises ValueError for k < 1 or
    above 2**30, and for radius < 0.
    """
    require_items(collection)
    if not 1 <= whole("k", k) <= _MOST:
        raise ValueError(f"k: expected 1 to {_MOST:,}, got {k}; choose how many items to judge")
    if whole("radius", radius) < 0:
        raise ValueError(f"radius: expected 0 bits or more, got {radius}; it includes its bound")
    require_instance("label", label, str)
    numbers: dict[str, int] = {}
    labels = numbered(collection.column(label), numbers)
    if not numbers:
        raise InputError(
            f"--label: expected a field of the items' metadata, got {label!r}, which none has; "
            "`hashret list --json` shows their metadata"
        )
    labelled = (
        _own(collection, labels) if queries is None else _given(collection, queries, label, numbers)
    )
    _require_relevant(labelled, labels, label)
    orders = {
        "distance": rankings.by_distance(labelled.codes, collection.codes),
        "distance, then confidences": rankings.by_distance_then_confidences(
            labelled.codes, collection.codes, labelled.confidences
        ),
        "confidences": rankings.by_confidences(labelled.confidences, collection.codes),
    }
    stored: Features | None = None
    if collection.has_features and labelled.features is not None:
        stored = collection.features(np.arange(len(collection.codes)))
        if not collection.keeps_looks:
            coder = collection.coder.encoder
            soft = [
                2.0 * coder.probabilities(coder.logits(part)) - 1.0
                for part in (labelled.features, stored)
            ]
            orders["real-valued codes"] = rankings.by_real_values(*soft)
        orders["features"] = rankings.by_features(labelled.features, stored)
    scored = {name: _scores(distances, labelled, labels, k) for name, distances in orders.items()}
    within = _precision_within(orders["distance"], labelled, labels, radius)
    scored["distance"][f"precision within {radius}"] = within
    return LabelledEvaluation(
        len(labelled.codes),
        len(collection),
        k,
        radius,
        scored,
        _float_neighbours(orders, len(collection.codes), labelled, k) if stored is not None else {},
        _describe(collection),
        labelled.skipped,
        _seen(collection, label, is_own=queries is None),
        _curves(orders, labelled, labels, k, radius) if with_curves else None,
    )


def _seen(collection: Collection, label: str, *, is_own: bool) -> str:
    """What there is to say of a model that has learned from the labels; "" of another."""
    if collection.snapshot.labels_learned != label:
        return ""
    if is_own:
        return (
            f"the model has learned from these labels ({label}), so the figures are too good; a "
            "fair score needs --queries that were not learned from"
        )
    return (
        f"the model has learned from the items' labels ({label}); the score is fair only if the "
        "queries were not learned from"
    )


def _curves(
    orders: dict[str, rankings.Distances],
    queries: _LabelledQueries,
    labels: np.ndarray,
    k: int,
    radius: int,
) -> PrecisionCurves:
    """The curves of all orders by rank, and of the order by distance by radius."""
    ranks = np.unique(np.geomspace(1, k, _MOST_RANKS).round().astype(int)).tolist()
    by_rank = {name: np.zeros(len(ranks)) for name in orders}
    radii = np.arange(max(radius, queries.codes.n_bits // 4) + 1)
    by_radius = np.zeros(len(radii))
    for tile in rankings.tiles(len(queries.codes), len(labels)):
        for name, distances in orders.items():
            near = _without_itself(distances(tile), queries.itself[tile])
            relevant = queries.labels[tile, None] == labels[None, :]
            relevant &= np.isfinite(near)
            tied = TiedRanking.from_distances(_cut(near, k), relevant)
            by_rank[name] += [tied.precision_at(rank).sum() for rank in ranks]
            if name == "distance":
                for one in radii.tolist():
                    inside = near <= one
                    shares = (inside & relevant).sum(axis=1) / np.maximum(inside.sum(axis=1), 1)
                    by_radius[one] += shares.sum()
    n = len(queries.codes)
    return PrecisionCurves(
        ranks,
        {name: (sums / n).tolist() for name, sums in by_rank.items()},
        (by_radius / n).tolist(),
    )


def _require_relevant(queries: _LabelledQueries, labels: np.ndarray, label: str) -> None:
    """Raise InputError unless some query has the label of an item other than itself."""
    shared = np.isin(queries.labels, labels)
    if not shared.any():
        raise InputError(
            f"--label: expected values of {label!r} that items have too, got queries with other "
            'values only; check their types: the number 3 is not the text "3"'
        )
    having = np.bincount(labels[labels >= 0])[queries.labels[shared]]
    itself = queries.itself[shared]
    having -= (itself >= 0) & (labels[itself] == queries.labels[shared])
    if not having.any():
        raise InputError(
            f"--label: expected a value of {label!r} that a query shares with another item, got a "
            "different one for each; choose a field whose values several items have"
        )


def _own(collection: Collection, labels: np.ndarray) -> _LabelledQueries:
    """The items of a collection as queries."""
    (positions,) = np.nonzero(labels >= 0)
    if len(positions) > _MAX_OWN_QUERIES:
        rng = np.random.default_rng(0)
        positions = np.sort(rng.choice(positions, _MAX_OWN_QUERIES, replace=False))
    codes = collection.codes[positions]
    features = collection.features(positions) if collection.has_features else None
    confidences = codes.bits.astype(np.float32)
    if features is not None and not collection.keeps_looks:
        encoder = collection.coder.encoder
        confidences = encoder.confidences(features, encoder.logits(features))
    return _LabelledQueries(codes, confidences, features, labels[positions], positions, [])


def _given(
    collection: Collection,
    queries: Iterable[Item | Skipped],
    label: str,
    numbers: dict[str, int],
) -> _LabelledQueries:
    """The given queries that have a label."""
    encoded = encode_queries(collection, queries)
    labels = numbered([item.metadata.get(label) for item in encoded.items], numbers)
    (labelled,) = np.nonzero(labels >= 0)
    if not len(labelled):
        raise InputError(
            f"--label: expected a field of the queries' metadata, got {label!r}, which none has; "
            "add it to the queries"
        )
    without = [
        Skipped(item.id, f"no label: expected the field {label!r}, got none", "no-label")
        for item, number in zip(encoded.items, labels, strict=True)
        if number < 0
    ]
    return _LabelledQueries(
        encoded.codes[labelled],
        encoded.confidences[labelled],
        collection.coder.kept(take_rows(encoded.features, labelled)),
        labels[labelled],
        collection.find([encoded.items[i].id for i in labelled]),
        [*encoded.skipped, *without],
    )


def _scores(
    distances: rankings.Distances, queries: _LabelledQueries, labels: np.ndarray, k: int
) -> dict[str, float]:
    """The measures of one order of the items, by name."""
    parts: dict[str, list[np.ndarray]] = {}
    for tile in rankings.tiles(len(queries.codes), len(labels)):
        near = _without_itself(distances(tile), queries.itself[tile])
        relevant = queries.labels[tile, None] == labels[None, :]
        relevant &= np.isfinite(near)
        tied = TiedRanking.from_distances(_cut(near, k), relevant)
        parts.setdefault(f"precision@{k}", []).append(tied.precision_at(k))
        parts.setdefault(f"recall@{k}", []).append(tied.recall_at(k))
        parts.setdefault(f"mAP@{k}", []).append(tied.average_precision_at(k))
    return {name: float(np.nanmean(np.concatenate(part))) for name, part in parts.items()}


def _precision_within(
    distances: rankings.Distances, queries: _LabelledQueries, labels: np.ndarray, radius: int
) -> float:
    """The mean share of the items within `radius` bits that are relevant; 0 if there is no item."""
    shares = []
    for tile in rankings.tiles(len(queries.codes), len(labels)):
        inside = _without_itself(distances(tile), queries.itself[tile]) <= radius
        relevant = queries.labels[tile, None] == labels[None, :]
        shares.append((inside & relevant).sum(axis=1) / np.maximum(inside.sum(axis=1), 1))
    return float(np.concatenate(shares).mean())


def _float_neighbours(
    orders: dict[str, rankings.Distances], n: int, queries: _LabelledQueries, k: int
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


def _describe(collection: Collection) -> dict[str, Any]:
    """Statistics of a collection's codes, buckets and training."""
    sizes = bucket_sizes(collection.codes)
    stages = collection.description["training"]["stages"]
    saturated = [stage["saturated"] for stage in stages if stage.get("saturated") is not None]
    return {
        "n_bits": collection.n_bits,
        **asdict(code_statistics(collection.codes)),
        "saturated": saturated[-1] if saturated else None,
        "buckets_of_one": int((sizes == 1).sum()),
        "mean_bucket": float(sizes.mean()),
    }
