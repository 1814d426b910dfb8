"""Evaluation by labels: relevant is what has the query's label.

Every measure is the expected value over all orders of tied items (`hashret.measures`). Labels score
only; nothing learns from them.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hashret.codes import Codes
from hashret.collection import Collection
from hashret.errors import InputError
from hashret.items import Item
from hashret.measures import TiedRanking, bucket_sizes, code_statistics
from hashret.sparse import Features, take_rows
from indexer.corpus import Skipped
from indexer.evaluation import rankings
from indexer.evaluation.queries import encode_queries, require_items

_NEIGHBOURS = 10  # float neighbours that codes should find again
_MAX_OWN_QUERIES = 10_000


@dataclass(frozen=True, slots=True)
class LabelledEvaluation:
    """What was measured; means over the queries.

    `orders` gives for each order of the items its measures by name; `float_neighbours` the share
    of the ten items nearest by features that are among the first ten and among the first k of each
    order (empty where the collection keeps no features). `codes` describes the stored codes.
    """

    n_queries: int
    n_items: int
    k: int
    radius: int
    orders: dict[str, dict[str, float]]
    float_neighbours: dict[str, dict[str, float]]
    codes: dict[str, Any]
    skipped: list[Skipped]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class _Asked:
    """Queries with their labels; `itself` is the position of the query among the items, or -1."""

    codes: Codes
    confidences: np.ndarray
    features: Features | None
    labels: np.ndarray
    itself: np.ndarray
    skipped: list[Skipped]


def evaluate(
    collection: Collection,
    queries: Iterable[Item | Skipped] | None,
    label: str,
    *,
    k: int = 100,
    radius: int = 2,
) -> LabelledEvaluation:
    """Score a collection by the metadata field `label` of its items and of `queries`.

    Without queries (None) every item asks for the others (a seeded sample of 10,000 of more); an
    item that has the id of a query never counts as its hit. `radius` in bits, inclusive. Raises
    InputError where there is no item, no item or no query has the label, no query can be used or
    none has a relevant item, ValueError for k < 1 or radius < 0.
    """
    require_items(collection)
    if k < 1 or radius < 0:
        raise ValueError(
            f"k, radius: expected k of 1 or more and radius of 0 or more, got {k}, {radius}"
        )
    numbers: dict[str, int] = {}
    labels = _numbered(collection.column(label), numbers)
    if not numbers:
        raise InputError(
            f"--label: expected a field of the items' metadata, got {label!r}, which none has; "
            "`hashret list --json` shows their metadata"
        )
    asked = (
        _own(collection, labels) if queries is None else _given(collection, queries, label, numbers)
    )
    _require_relevant(asked, labels, label)
    orders = {
        "distance": rankings.by_distance(asked.codes, collection.codes),
        "distance, then confidences": rankings.by_distance_then_confidences(
            asked.codes, collection.codes, asked.confidences
        ),
        "confidences": rankings.by_confidences(asked.confidences, collection.codes),
    }
    stored: Features | None = None
    if collection.has_features and asked.features is not None:
        stored = collection.features(np.arange(len(collection.codes)))
        if not collection.keeps_looks:
            coder = collection.coder.encoder
            soft = [
                2.0 * coder.probabilities(coder.logits(part)) - 1.0
                for part in (asked.features, stored)
            ]
            orders["real-valued codes"] = rankings.by_real_values(*soft)
        orders["features"] = rankings.by_features(asked.features, stored)
    scored = {name: _scores(distances, asked, labels, k) for name, distances in orders.items()}
    within = _precision_within(orders["distance"], asked, labels, radius)
    scored["distance"][f"precision within {radius}"] = within
    return LabelledEvaluation(
        len(asked.codes),
        len(collection),
        k,
        radius,
        scored,
        _float_neighbours(orders, len(collection.codes), asked, k) if stored is not None else {},
        _describe(collection),
        asked.skipped,
    )


def _require_relevant(asked: _Asked, labels: np.ndarray, label: str) -> None:
    """Raise InputError unless a query has the label of an item, and one other than itself."""
    shared = np.isin(asked.labels, labels)
    if not shared.any():
        raise InputError(
            f"--label: expected values of {label!r} that items have too, got queries with others "
            'only; a number is not the same as text: 3 is not "3"'
        )
    having = np.bincount(labels[labels >= 0])[asked.labels[shared]]
    itself = asked.itself[shared]
    having -= (itself >= 0) & (labels[itself] == asked.labels[shared])
    if not having.any():
        raise InputError(
            f"--label: expected a value of {label!r} that a query shares with an item besides "
            "itself, got a different one for each; choose a field that items have in common"
        )


def _own(collection: Collection, labels: np.ndarray) -> _Asked:
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
    return _Asked(codes, confidences, features, labels[positions], positions, [])


def _given(
    collection: Collection,
    queries: Iterable[Item | Skipped],
    label: str,
    numbers: dict[str, int],
) -> _Asked:
    encoded = encode_queries(collection, queries)
    labels = _numbered([item.metadata.get(label) for item in encoded.items], numbers)
    (kept,) = np.nonzero(labels >= 0)
    if not len(kept):
        raise InputError(
            f"--label: expected a field of the queries' metadata, got {label!r}, which none has"
        )
    without = [
        Skipped(item.id, f"no label: expected the field {label!r}, got none", "no-label")
        for item, number in zip(encoded.items, labels, strict=True)
        if number < 0
    ]
    return _Asked(
        encoded.codes[kept],
        encoded.confidences[kept],
        collection.coder.kept(take_rows(encoded.features, kept)),
        labels[kept],
        collection.find([encoded.items[i].id for i in kept]),
        [*encoded.skipped, *without],
    )


def _numbered(values: Sequence[Any], numbers: dict[str, int]) -> np.ndarray:
    """A number for each value, -1 for None; equal values (as JSON) have equal numbers."""
    names = [None if v is None else json.dumps(v, sort_keys=True) for v in values]
    return np.array(
        [-1 if name is None else numbers.setdefault(name, len(numbers)) for name in names], np.int64
    )


def _scores(
    distances: rankings.Distances, asked: _Asked, labels: np.ndarray, k: int
) -> dict[str, float]:
    parts: dict[str, list[np.ndarray]] = {}
    for tile in rankings.tiles(len(asked.codes), len(labels)):
        near = _without_itself(distances(tile), asked.itself[tile])
        relevant = asked.labels[tile, None] == labels[None, :]
        relevant &= np.isfinite(near)
        tied = TiedRanking.from_distances(_cut(near, k), relevant)
        parts.setdefault(f"precision@{k}", []).append(tied.precision_at(k))
        parts.setdefault(f"recall@{k}", []).append(tied.recall_at(k))
        parts.setdefault(f"mAP@{k}", []).append(tied.average_precision_at(k))
    return {name: float(np.nanmean(np.concatenate(part))) for name, part in parts.items()}


def _precision_within(
    distances: rankings.Distances, asked: _Asked, labels: np.ndarray, radius: int
) -> float:
    """The mean share of the items within `radius` bits that has the label; an empty ball is 0."""
    shares = []
    for tile in rankings.tiles(len(asked.codes), len(labels)):
        inside = _without_itself(distances(tile), asked.itself[tile]) <= radius
        relevant = asked.labels[tile, None] == labels[None, :]
        shares.append((inside & relevant).sum(axis=1) / np.maximum(inside.sum(axis=1), 1))
    return float(np.concatenate(shares).mean())


def _float_neighbours(
    orders: dict[str, rankings.Distances], n: int, asked: _Asked, k: int
) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, list[np.ndarray]]] = {}
    count = min(_NEIGHBOURS, n)
    for tile in rankings.tiles(len(asked.codes), n):
        exact = _without_itself(orders["features"](tile), asked.itself[tile])
        nearest = np.argsort(exact, axis=1, kind="stable")[:, :count]
        truth = np.zeros(exact.shape, bool)
        np.put_along_axis(truth, nearest, True, axis=1)
        truth &= np.isfinite(exact)  # of few items the query itself would be among them
        for name, distances in orders.items():
            if name == "features":
                continue
            near = _without_itself(distances(tile), asked.itself[tile])
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
    rows = np.flatnonzero(itself >= 0)
    distances[rows, itself[rows]] = np.inf
    return distances


def _cut(distances: np.ndarray, depth: int) -> np.ndarray:
    """The distances with all beyond `depth` items made one tie, which no measure looks into."""
    if distances.shape[1] <= depth:
        return distances
    last = np.partition(distances, depth - 1, axis=1)[:, depth - 1, None]
    return np.where(distances > last, np.inf, distances)


def _describe(collection: Collection) -> dict[str, Any]:
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
