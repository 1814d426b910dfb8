"""Add what came in to a commit in the making: count it, encode it, write it as segments.

A segment is codes, records, texts, features and a row of the catalog.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from itertools import tee
from typing import Any

import numpy as np

from hashret.codes import Codes
from hashret.sparse import Features, stacked
from hashret.store.catalog.staging import Staging
from hashret.store.layout import Layout
from hashret.store.segments.feature_files import write_features
from hashret.store.segments.record_batch import ItemRecord, batch_of, write_records
from hashret.store.segments.segment import Segment, write_codes
from hashret.store.segments.texts import write_texts
from indexer.ingest.counts import Progress, Stopwatch, Tally
from indexer.ingest.encode import Encoded
from indexer.ingest.intake import Batch
from indexer.ingest.stored_codes import StoredCodes, completed

#: Rows of a segment: few enough to be held in memory, enough that a collection has few files.
SEGMENT = 65_536
# Characters of the texts, or bytes of the payloads, of a segment, from which on it is written
# although it has fewer rows.
_MOST_SIZE = 1 << 27


class SegmentWriter:
    """Gathers items until they fill a segment, then writes and stages it.

    `waiting` is how many there are that stand in no segment yet.
    """

    def __init__(
        self, layout: Layout, staging: Staging, model: str, n_bits: int, *, keeps_payloads: bool
    ):
        """For codes of the model of this name, "" for none.

        `keeps_payloads` says whether the payloads of items with a code are written too.
        """
        self._layout = layout
        self._staging = staging
        self._model = model
        self._n_bits = n_bits
        self._keeps_payloads = keeps_payloads
        self._forget()

    def _forget(self) -> None:
        self._coded: list[ItemRecord] = []
        self._uncoded: list[ItemRecord] = []
        self._codes: list[np.ndarray] = []
        self._features: list[Features] = []
        self._size = 0  # characters of texts, bytes of payloads

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
        self._size += sum(len(item.text or "") + len(item.payload or b"") for item in to[before:])

    def write(self) -> tuple[int, int]:
        """Write and stage what was gathered; returns how many items, and how many they replace."""
        name, first = self._staging.new_segment()
        items = self._coded + self._uncoded
        codes = beside = texts = None
        if self._coded:
            packed = Codes(np.concatenate(self._codes))
            codes = write_codes(self._layout, name, packed)
        if self._features and self._coded:
            beside = write_features(self._layout, name, stacked(self._features))
        records = write_records(self._layout, name, batch_of(items))
        if any(item.text is not None for item in items):
            texts = write_texts(self._layout, name, [item.text for item in items])
        n_coded, parts = len(self._coded), (codes, records, texts, beside)
        segment = Segment(name, first, len(items), n_coded, self._n_bits, self._model, *parts)
        replaced = self._staging.add_segment(segment, [item.id for item in items])
        self._forget()
        return len(items), replaced


@dataclass(frozen=True, slots=True)
class Adding:
    """Fills segments with the items of batches, and counts these in a tally."""

    segments: SegmentWriter
    tally: Tally
    stopwatch: Stopwatch
    on_progress: Progress
    stored: StoredCodes | None = None
    """The codes of the items that need not be encoded again."""

    def encoded(
        self,
        batches: Iterable[Batch],
        encode: Callable[[Iterator[list[Any]]], Generator[Encoded]],
        total: int | None,
    ) -> None:
        """Add items with the codes that `encode` gives for what was prepared, batch for batch.

        Workers encode while others are read. `total`, if known, is for progress only.
        """
        batches, ahead = tee(batches)
        # an error leaves no worker process behind
        with closing(encode(batch.prepared for batch in ahead)) as found:
            for batch in batches:
                with self.stopwatch.stage("encode"):
                    encoded = next(found)
                    if self.stored is not None:
                        encoded = completed(batch, encoded, self.stored)
                batch.count(self.tally, encoded.refused)
                coded = (batch.pending[row] for row in encoded.rows.tolist())
                self.segments.gather(coded, encoded)
                unknown = encoded.unknown(len(batch.pending))
                self.segments.gather_uncoded(batch.pending[row] for row in unknown)
                self.tally.uncoded += len(unknown)
                if self.segments.is_full:
                    self._write()
                self.on_progress("encode", self.tally.seen + self.segments.waiting, total)
        if self.segments.waiting:
            self._write()

    def pending(self, batches: Iterable[Batch]) -> None:
        """Add items without a code, for the model that is to be learned."""
        for batch in batches:
            batch.count(self.tally, {})
            self.segments.gather_uncoded(batch.pending)
            self.tally.uncoded += len(batch.pending)
            if self.segments.is_full:
                self._write()
        if self.segments.waiting:
            self._write()

    def _write(self) -> None:
        with self.stopwatch.stage("write"):
            count, replaced = self.segments.write()
        self.tally.replaced += replaced
        self.tally.added += count - replaced
