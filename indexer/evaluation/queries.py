"""Queries as a collection sees them: encoded, with what could not be used set aside."""

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
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.ingest.encode import usable_features
from indexer.ingest.prepare import Preparer
from indexer.refusals import Refused

_BATCH = 1024


@dataclass(frozen=True, slots=True)
class EncodedQueries:
    """n queries, row for row: items without payloads, codes, confidences, features."""

    items: list[Item]
    codes: Codes
    confidences: np.ndarray
    """(n, n_bits) float32, as `coder.Encoding`."""
    features: Features
    skipped: list[Skipped]
    """Queries that could not be used, with their reasons."""


def require_items(collection: Collection) -> None:
    """Raise InputError where there is nothing to find."""
    if not len(collection):
        raise InputError("collection: expected at least one item to find, got none; add some")


def encode_queries(collection: Collection, queries: Iterable[Item | Skipped]) -> EncodedQueries:
    """Encode every query that can be; at least one.

    Raises InputError if there is none, with the reason of the first.
    """
    coder = collection.coder
    items: list[Item] = []
    skipped: list[Skipped] = []
    features: list[Features] = []
    with closing(Preparer(collection.kind)) as preparer:
        for batch in chunks(taken(queries), _BATCH):
            skipped += [query for query in batch if isinstance(query, Skipped)]
            asked = [query for query in batch if isinstance(query, Item)]
            usable, prepared = [], []
            results = preparer.prepare([query.payload for query in asked], coder.featurizer.spec)
            for query, result in zip(asked, results, strict=True):
                if isinstance(result, Refused):
                    skipped.append(result.skipped(query.id))
                else:
                    usable.append(query)
                    prepared.append(result)
            if not usable:
                continue
            rows, found, refused = usable_features(coder.featurizer, prepared)
            features.append(found)
            items += [Item(usable[i].id, "", usable[i].metadata) for i in rows.tolist()]
            skipped += [why.skipped(usable[i].id) for i, why in refused.items()]
    if not items and not skipped:
        raise InputError("queries: expected at least one, got none; check where they come from")
    if not items:
        why = f"; the first: {skipped[0].id}: {skipped[0].reason}" if skipped else ""
        raise InputError(
            f"queries: expected at least one that can be used, got {len(skipped)} that cannot{why}"
        )
    together = stacked(features)
    logits = coder.encoder.logits(together)
    confidences = coder.encoder.confidences(together, logits)
    return EncodedQueries(items, Codes.pack(logits > 0), confidences, together, skipped)
