"""What a model is learned from: the features of a sample of items, computed or stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from hashret.errors import CollectionError
from hashret.features.base import Featurizer
from hashret.items import Item, Payload
from hashret.kinds import kind_of
from hashret.sparse import Features, take_rows
from hashret.specs import TextSpec, VectorSpec
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.fitting.features import fit_features, in_word_order, spec_for
from indexer.ingest.counts import Progress, Stopwatch
from indexer.ingest.intake import BATCH
from indexer.ingest.prepare import Preparer
from indexer.ingest.sample import sampled_with_labels, typical
from indexer.ingest.stored_source import StoredSource
from indexer.training.labels.item_labels import ItemLabels
from indexer.training.vectors.packed import packing_warnings

if TYPE_CHECKING:
    from indexer.training import TrainingOptions


class Examples(NamedTuple):
    """A sample of items as an encoder learns from them, and the featurizer of their features."""

    featurizer: Featurizer
    features: Features
    labels: ItemLabels | None
    """Those of the rows of features, if they are to be learned from."""
    payloads: list[Payload]
    """What the items were; none where only features are stored."""
    doubts: list[str]
    """What may be wrong with them, as warnings."""


def stored_examples(
    stored: StoredSource,
    featurizer: Featurizer,
    options: TrainingOptions | None,
    spec: Any,
    size: int,
) -> Examples:
    """The stored features, which `featurizer` computed, of at most `size` items, a seeded sample.

    Raises CollectionError for a `spec` of other features.
    """
    known = featurizer.spec
    if getattr(spec, "is_partial", False):
        spec = spec.completed(known)
    if spec not in (None, known):
        raise CollectionError(
            f"spec: expected {known}, of which the features are stored, got {spec}; leave it out, "
            "or give the source again"
        )
    seed, field = _chosen(options)
    features, rows = stored.sample(size, seed)
    labels = None if field is None else stored.labels(rows, field)
    if kind_of(known.kind).drops_outliers and not known.packed:
        kept = np.array(typical(list(np.asarray(features))), np.int64)
        features, labels = take_rows(features, kept), labels and labels.take(kept)
    return Examples(featurizer, features, labels, [], [])


def examples_of(
    items: Iterable[Item | Skipped],
    kind: str,
    options: TrainingOptions | None,
    spec: Any,
    size: int,
    preparer: Preparer,
    stopwatch: Stopwatch,
    on_progress: Progress,
) -> Examples:
    """At most `size` of the items, a seeded sample, with a featurizer that is fitted on them.

    Items that can't be used are left out: they are met again when they are added, which reports
    them. Raises `EmptyCorpusError` if none can be used.
    """
    from indexer.training.presets import recipe_of

    seed, field = _chosen(options)
    with stopwatch.stage("read"):
        usable = _usable(items, on_progress)
        payloads, labels = sampled_with_labels(usable, size, seed, field)
    with stopwatch.stage("features"):
        invariant = (options and options.invariant) or ()
        spec = spec_for(payloads, spec, preparer, invariant)
        if isinstance(spec, TextSpec):
            spec = in_word_order(spec, recipe_of(kind, options).in_order)
        featurizer, features, rows = fit_features(payloads, kind, spec, preparer, invariant)
    if labels is not None:
        labels = labels.take(rows)
        labels.require_learnable()
    is_of_vectors = isinstance(featurizer.spec, VectorSpec)
    doubts = packing_warnings(payloads, featurizer.spec) if is_of_vectors else []
    return Examples(featurizer, features, labels, payloads, doubts)


def _chosen(options: TrainingOptions | None) -> tuple[int, str | None]:
    """The seed of a sample, and the metadata field of its labels, if it is to have them."""
    return (options.seed, options.label) if options is not None else (0, None)


def _usable(items: Iterable[Item | Skipped], on_progress: Progress) -> Iterator[Item]:
    for count, item in enumerate(taken(items)):
        if count % BATCH == 0:
            on_progress("read", count, None)
        if isinstance(item, Item):
            yield item
