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
from hashret.collection import Collection
from hashret.errors import InputError
from hashret.items import Item
from hashret.measures import bucket_sizes, code_statistics
from hashret.snapshot.about import labels_learned
from hashret.sparse import take_rows
from indexer.corpus import Skipped
from indexer.evaluation import rankings
from indexer.evaluation.label_measures import (
    LabelledQueries,
    PrecisionCurves,
    curves,
    float_neighbours,
    precision_within,
    scores,
)
from indexer.evaluation.queries import encode_queries, require_items
from indexer.training.labels.item_labels import numbered

_MOST = 1 << 30  # items that may be judged a query; a longer list than any collection gives
_MAX_OWN_QUERIES = 10_000  # items that are queries if no others are given


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
    orders = _orders(collection, labelled)
    scored = {name: scores(order, labelled, labels, k) for name, order in orders.items()}
    within = precision_within(orders["distance"], labelled, labels, radius)
    scored["distance"][f"precision within {radius}"] = within
    return LabelledEvaluation(
        len(labelled.codes),
        len(collection),
        k,
        radius,
        scored,
        float_neighbours(orders, len(labels), labelled, k) if "features" in orders else {},
        _describe(collection),
        labelled.skipped,
        _seen(collection, label, is_own=queries is None),
        curves(orders, labelled, labels, k, radius) if with_curves else None,
    )


def _orders(collection: Collection, queries: LabelledQueries) -> dict[str, rankings.Distances]:
    """The orders of the items that are measured, by name; of features where they are stored."""
    orders = {
        "distance": rankings.by_distance(queries.codes, collection.codes),
        "distance, then confidences": rankings.by_distance_then_confidences(
            queries.codes, collection.codes, queries.confidences
        ),
        "confidences": rankings.by_confidences(queries.confidences, collection.codes),
    }
    if collection.has_features and queries.features is not None:
        stored = collection.features(np.arange(len(collection.codes)))
        if not collection.keeps_looks:
            coder = collection.coder.encoder
            soft = [
                2.0 * coder.probabilities(coder.logits(part)) - 1.0
                for part in (queries.features, stored)
            ]
            orders["real-valued codes"] = rankings.by_real_values(*soft)
        orders["features"] = rankings.by_features(queries.features, stored)
    return orders


def _seen(collection: Collection, label: str, *, is_own: bool) -> str:
    """What there is to say of a model that has learned from the labels; "" of another."""
    if labels_learned(collection.snapshot) != label:
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


def _require_relevant(queries: LabelledQueries, labels: np.ndarray, label: str) -> None:
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


def _own(collection: Collection, labels: np.ndarray) -> LabelledQueries:
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
    return LabelledQueries(codes, confidences, features, labels[positions], positions, [])


def _given(
    collection: Collection,
    queries: Iterable[Item | Skipped],
    label: str,
    numbers: dict[str, int],
) -> LabelledQueries:
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
    return LabelledQueries(
        encoded.codes[labelled],
        encoded.confidences[labelled],
        collection.coder.kept(take_rows(encoded.features, labelled)),
        labels[labelled],
        collection.find([encoded.items[i].id for i in labelled]),
        [*encoded.skipped, *without],
    )


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
