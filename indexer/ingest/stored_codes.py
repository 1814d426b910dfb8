"""Take over codes that the collection has: an item whose text is stored is not encoded again.

Its id or metadata may be others, as where a document changed and its passages have moved.
"""

from __future__ import annotations

from itertools import count

import numpy as np

from hashret._backports import chunks
from hashret.codes import Codes
from hashret.items import Item
from hashret.sparse import Features, stacked, take_rows
from hashret.store.layout import Layout
from hashret.store.segments.feature_files import StoredFeatures
from hashret.store.segments.segment import open_codes
from hashret.store.segments.stored_items import StoredItems
from indexer.ingest.documents import DOCUMENT
from indexer.ingest.encode import Encoded
from indexer.ingest.intake import Batch
from indexer.ingest.model_in_use import Model

_AT_ONCE = 64  # passages of a document that are looked up together


class StoredCodes:
    """The codes, and features, of the texts that a collection stores."""

    def __init__(
        self,
        layout: Layout,
        items: StoredItems,
        model: Model,
        *,
        with_features: bool,
        of_documents: bool,
    ):
        """Those of `items` that this model encoded, in collections that store texts.

        `of_documents` says whether items are passages.
        """
        self._layout = layout
        self._items = items
        self._model = model
        self._with_features = with_features
        self._of_documents = of_documents
        self._document: str | None = None
        self._rows: dict[str, int] = {}  # text -> row, of that document's passages
        self._codes: dict[str, Codes] = {}

    def row_of(self, item: Item, former: int) -> int:
        """A row with the item's text and its code; -1 for none.

        `former` is the row of its id, -1 for none. Besides that, the passages of its document are
        looked at.
        """
        text = item.payload
        if not isinstance(text, str):
            return -1
        if former >= 0 and self._has_code(former) and self._items.text(former) == text:
            return former
        document = item.metadata.get(DOCUMENT) if self._of_documents else None
        if document is None:
            return -1
        if document != self._document:
            self._document, self._rows = document, dict(self._passages(document))
        return self._rows.get(text, -1)

    def _passages(self, document: str) -> list[tuple[str, int]]:
        """The text and the row of each stored passage of a document that has a code."""
        found = []
        for numbers in chunks(count(1), _AT_ONCE):
            rows = self._items.find([f"{document}#{number}" for number in numbers])
            if not rows:
                break
            for row in sorted(rows.values()):
                if self._has_code(row) and (text := self._items.text(row)) is not None:
                    found.append((text, row))
        return found

    def _has_code(self, row: int) -> bool:
        segment, offset = self._items.place(row)
        has_features = segment.features is not None or not self._with_features
        return offset < segment.n_coded and segment.model == self._model.name and has_features

    def take(self, rows: np.ndarray) -> tuple[Codes, Features | None]:
        """The codes and the features of rows, in their order."""
        packed = []
        for row in rows.tolist():
            segment, offset = self._items.place(row)
            if segment.name not in self._codes:
                self._codes[segment.name] = open_codes(self._layout, segment)
            packed.append(self._codes[segment.name].packed[offset])
        features = None
        if self._with_features:
            stored = StoredFeatures(self._layout, self._items.segments, self._model.n_kept)
            features = stored.take(rows)
        return Codes(np.stack(packed)), features


def completed(batch: Batch, encoded: Encoded, stored: StoredCodes) -> Encoded:
    """What became of all items of a batch, in their order: the encoded ones and the stored ones."""
    if not batch.stored:
        return encoded
    places = np.array(batch.to_encode, np.int64)
    kept = np.array(list(batch.stored), np.int64)
    codes, features = stored.take(np.array(list(batch.stored.values()), np.int64))
    rows = np.concatenate([places[encoded.rows], kept])
    order = np.argsort(rows)
    packed = np.concatenate([encoded.codes.packed, codes.packed])
    both = None
    if encoded.features is not None and features is not None:
        both = take_rows(stacked([encoded.features, features]), order)
    refused = {int(places[row]): why for row, why in encoded.refused.items()}
    return Encoded(rows[order], Codes(packed[order]), both, refused)
