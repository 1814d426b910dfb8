"""What a collection holds, to learn from and to encode again: no source is needed.

Where the items themselves are held (texts, images, or what no model has seen yet), all is learned
anew. Else their features are, if these are what a model learns from: then how features are computed
stays as it is, and only the encoder is new.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hashret._backports import chunks
from hashret.arguments import resolve
from hashret.coder import Coder, keeps_inputs
from hashret.errors import CollectionError
from hashret.features import FEATURIZERS
from hashret.items import Item
from hashret.kinds import kind_of
from hashret.sparse import Features
from hashret.store.layout import Layout
from hashret.store.segments.feature_files import StoredFeatures
from hashret.store.segments.record_schema import ItemRecord
from hashret.store.segments.segment import Segment
from hashret.store.segments.stored_items import StoredItems
from hashret.workers.refusals import Refused
from indexer.ingest.encode import Encoded
from indexer.ingest.intake import BATCH, Batch
from indexer.ingest.sample import reservoir
from indexer.training.labels.item_labels import ItemLabels, numbered


class StoredSource:
    """The items of some segments, which can be read any number of times.

    `features` are those stored of the items that have a code, where these are to be learned from;
    None where the items themselves are. `refused` are the ids of the items that `batches` found the
    new model can't encode, with the reasons.
    """

    def __init__(self, layout: Layout, kind: str, items: StoredItems, coder: Coder | None):
        """`coder` is the model in use.

        Raises CollectionError where there is no item, or one of which nothing to learn from is
        held.
        """
        if not len(items):
            raise CollectionError(
                f"{layout.root}: expected items to learn from, got none; pass them to fit, or add "
                "them"
            )
        self.refused: list[tuple[str, str]] = []
        self.features: StoredFeatures | None = None
        self._items = items
        self._are_texts = kind_of(kind).stores_texts
        self._featurizer = resolve(FEATURIZERS, kind, "kind")
        if all(map(self._has_payloads, items.segments)):
            return
        stored = coder is not None and keeps_inputs(coder.featurizer.spec)
        if coder is None or not stored or not all(map(_has_features, items.segments)):
            raise CollectionError(
                f"{layout.root}: expected every item or its features to be stored, to learn from "
                "them, got some that are not; give the source again, as `hashret index SOURCE "
                f"--retrain {kind_of(kind).kept_by}` does"
            )
        self.features = StoredFeatures(layout, items.segments, coder.n_kept)

    def _has_payloads(self, segment: Segment) -> bool:
        if self._are_texts:
            return segment.texts is not None
        return self._items.records(segment).has_payloads(segment.live(segment.n_rows))

    def __iter__(self) -> Iterator[Item]:
        for row in self._items.rows():
            record = self._record(row)
            yield Item(record.id, self._payload(record), record.metadata)

    def _record(self, row: int) -> ItemRecord:
        items = self._items
        return replace(items.record(row), text=items.text(row), thumbnail=items.thumbnail(row))

    def _payload(self, record: ItemRecord) -> Any:
        if self._are_texts:
            return record.text or ""
        return self._featurizer.kept(record.payload or b"")

    def sample(self, size: int, seed: int) -> tuple[Features, list[int]]:
        """The stored features of at most `size` items, a seeded sample, and their rows."""
        rows = (row for row in self._items.rows() if self._is_coded(row))
        taken = reservoir(rows, size, seed)
        return self._taken(taken), taken

    def labels(self, rows: list[int], field: str) -> ItemLabels:
        """The labels of some rows. Raises InputError where there is nothing to learn from them."""
        metadata = [self._items.record(row).metadata for row in rows]
        labels = ItemLabels(field, numbered([one.get(field) for one in metadata], {}))
        labels.require_learnable({name for one in metadata for name in one})
        return labels

    def _taken(self, rows: list[int]) -> Features:
        if self.features is None:
            raise ValueError("features: expected stored ones, got none; read the items themselves")
        return self.features.take(np.array(rows, np.int64))

    def _is_coded(self, row: int) -> bool:
        segment, offset = self._items.place(row)
        return offset < segment.n_coded

    def batches(
        self,
        prepare: Callable[[Sequence[Any]], Sequence[Any]],
        find: Callable[[list[str]], Iterable[str]],
    ) -> Iterator[Batch]:
        """All items in the order of rows, but for those that `find` finds to be staged already.

        `prepared` is what `prepare` made of them, or their stored features; of the last ones of a
        batch, which have neither, there is nothing.
        """
        for rows in chunks(self._items.rows(), BATCH):
            records = {row: self._record(row) for row in rows}
            staged = set(find([record.id for record in records.values()]))
            left = {row: one for row, one in records.items() if one.id not in staged}
            if self.features is not None:
                fit = [row for row in left if self._is_coded(row)]
                prepared: Any = self._taken(fit)
            else:
                results = prepare([self._payload(record) for record in left.values()])
                by_row = dict(zip(left, results, strict=True))
                fit = [row for row, one in by_row.items() if not isinstance(one, Refused)]
                prepared = [by_row[row] for row in fit]
                self.refused += [
                    (left[row].id, one.reason)
                    for row, one in by_row.items()
                    if isinstance(one, Refused)
                ]
            coded = set(fit)
            order = [*fit, *(row for row in left if row not in coded)]
            yield Batch([left[row] for row in order], prepared, kept=len(staged))

    def none_refused(self, found: Iterable[Encoded]) -> Generator[Encoded]:
        """The same, but that what can't be encoded is an item without a code: it is not lost."""
        for encoded in found:
            self.refused += [("", one.reason) for one in encoded.refused.values()]
            yield replace(encoded, refused={})


def _has_features(segment: Segment) -> bool:
    if segment.is_pending:
        return not segment.n_live
    return segment.features is not None or not len(segment.live(segment.n_coded))
