"""Write segments of a commit in the making, all of their files, and their row in the catalog."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hashret.codes import Codes
from hashret.sparse import Features, stacked
from hashret.store.catalog.staging import Staging
from hashret.store.layout import Layout
from hashret.store.segments.feature_files import write_features
from hashret.store.segments.record_batch import batch_of, write_records
from hashret.store.segments.record_schema import ItemRecord
from hashret.store.segments.segment import Segment, write_codes
from hashret.store.segments.value_files import TEXTS, THUMBNAILS, write_values
from indexer.ingest.encode import Encoded

#: Rows of a segment: few enough to be held in memory, enough that a collection has few files.
SEGMENT = 65_536
# Characters of the texts, or bytes of the payloads and thumbnails, of a segment, from which on it
# is written although it has fewer rows.
_MOST_SIZE = 1 << 27


class SegmentWriter:
    """Gathers items until they fill a segment, then writes and stages it.

    `waiting` is how many there are that stand in no segment yet.
    """

    def __init__(
        self,
        layout: Layout,
        staging: Staging,
        model: str,
        n_bits: int,
        *,
        keeps_payloads: bool,
        keeps_thumbnails: bool,
    ):
        """For codes of the model of this name, "" for none.

        `keeps_payloads` says whether the payloads of items with a code are written too,
        `keeps_thumbnails` whether thumbnails are.
        """
        self._layout = layout
        self._staging = staging
        self._model = model
        self._n_bits = n_bits
        self._keeps_payloads = keeps_payloads
        self._keeps_thumbnails = keeps_thumbnails
        self._forget()

    def _forget(self) -> None:
        self._coded: list[ItemRecord] = []
        self._uncoded: list[ItemRecord] = []
        self._codes: list[np.ndarray] = []
        self._features: list[Features] = []
        self._size = 0  # characters of texts, bytes of payloads and thumbnails

    @property
    def waiting(self) -> int:
        """The number of items gathered."""
        return len(self._coded) + len(self._uncoded)

    @property
    def is_full(self) -> bool:
        """Whether they fill a segment."""
        return self.waiting >= SEGMENT or self._size >= _MOST_SIZE

    def gather(self, coded: Iterable[ItemRecord], encoded: Encoded) -> None:
        """Take items and, row for row, what they were encoded to."""
        if not self._keeps_payloads:
            coded = (replace(item, payload=None) if item.payload else item for item in coded)
        self._take(self._coded, coded)
        self._codes.append(encoded.codes.packed)
        if encoded.features is not None:
            self._features.append(encoded.features)

    def gather_uncoded(self, items: Iterable[ItemRecord]) -> None:
        """Take items that no code could be made of."""
        self._take(self._uncoded, items)

    def _take(self, to: list[ItemRecord], items: Iterable[ItemRecord]) -> None:
        before = len(to)
        to += items
        self._size += sum(
            len(item.text or "") + len(item.payload or b"") + len(item.thumbnail or b"")
            for item in to[before:]
        )

    def write(self) -> tuple[int, int]:
        """Write and stage what was gathered; returns how many items, and how many they replace."""
        name, first = self._staging.new_segment()
        items = self._coded + self._uncoded
        codes = beside = texts = thumbnails = None
        if self._coded:
            packed = Codes(np.concatenate(self._codes))
            codes = write_codes(self._layout, name, packed)
        if self._features and self._coded:
            beside = write_features(self._layout, name, stacked(self._features))
        records = write_records(self._layout, name, batch_of(items))
        if any(item.text is not None for item in items):
            texts = write_values(self._layout, name, TEXTS, [item.text for item in items])
        if self._keeps_thumbnails and any(item.thumbnail is not None for item in items):
            shown = [item.thumbnail for item in items]
            thumbnails = write_values(self._layout, name, THUMBNAILS, shown)
        n_coded, parts = len(self._coded), (codes, records, texts, beside, thumbnails)
        segment = Segment(name, first, len(items), n_coded, self._n_bits, self._model, *parts)
        replaced = self._staging.add_segment(segment, [item.id for item in items])
        self._forget()
        return len(items), replaced
