"""Encode queries with the model of a collection, and set aside those that can't be used."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from hashret._backports import chunks
from hashret.codes import Codes
from hashret.collection import Collection
from hashret.errors import InputError
from hashret.items import Item
from hashret.sparse import Features, stacked
from hashret.workers.refusals import Refused
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.ingest.encode import usable_features
from indexer.ingest.prepare import Preparer

_UNKNOWN = Refused(
    "no-known-feature",
    "no known feature: expected at least one word of the collection's vocabulary",
)
_BATCH = 1024  # queries that are prepared at a time


@dataclass(frozen=True, slots=True)
class EncodedQueries:
    """n encoded queries; row i of each array belongs to item i."""

    items: list[Item]
    """The queries; of images and vectors without their payloads."""
    codes: Codes
    confidences: np.ndarray
    """(n, n_bits) float32, as in `coder.Encoding`."""
    features: Features
    skipped: list[Skipped]
    """The queries that could not be used, with the reasons."""


def require_items(collection: Collection) -> None:
    """Raise InputError if no item has a code, CollectionError if nothing was learned yet."""
    if not len(collection):
        raise InputError("collection: expected at least one item to find, got none; add some")
    collection.snapshot.require_model()
    if not len(collection.codes):
        raise InputError(
            "collection: expected items with a code to find, got none; `hashret retrain` learns a "
            "model that may know them"
        )


def encode_queries(collection: Collection, queries: Iterable[Item | Skipped]) -> EncodedQueries:
    """Every query that can be used, encoded.

    Raises InputError if there is none, with the reason for the first one.
    """
    coder = collection.coder
    items: list[Item] = []
    skipped: list[Skipped] = []
    features: list[Features] = []
    with closing(Preparer(collection.kind)) as preparer:
        for batch in chunks(taken(queries), _BATCH):
            skipped += [query for query in batch if isinstance(query, Skipped)]
            given = [query for query in batch if isinstance(query, Item)]
            usable, prepared = [], []
            results = preparer.prepare([query.payload for query in given], coder.featurizer.spec)
            for query, result in zip(given, results, strict=True):
                if isinstance(result, Refused):
                    skipped.append(result.skipped(query.id))
                else:
                    usable.append(query)
                    prepared.append(result)
            if not usable:
                continue
            rows, found, refused = usable_features(coder.featurizer, prepared)
            features.append(found)
            items += [_kept(usable[i]) for i in rows.tolist()]
            refused |= dict.fromkeys(
                set(range(len(usable))).difference(rows.tolist(), refused), _UNKNOWN
            )
            skipped += [why.skipped(usable[i].id) for i, why in sorted(refused.items())]
    if not items and not skipped:
        raise InputError("queries: expected at least one, got none; check their source")
    if not items:
        raise InputError(
            f"queries: expected at least one that can be used, got {len(skipped)} that can't; the "
            f"first: {skipped[0].id}: {skipped[0].reason}"
        )
    together = stacked(features)
    logits = coder.encoder.logits(together)
    confidences = coder.encoder.confidences(together, logits)
    return EncodedQueries(items, Codes.pack(logits > 0), confidences, together, skipped)


def _kept(query: Item) -> Item:
    """The query; without its payload if that is no text, which may be a file or large."""
    return Item(query.id, query.payload if isinstance(query.payload, str) else "", query.metadata)
