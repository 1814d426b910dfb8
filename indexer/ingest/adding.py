"""Add items to a commit in the making: look them up, encode the new ones, fill segments."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import tee
from typing import Any

from hashret.coder import Coder
from hashret.items import Item
from hashret.kinds import kind_of
from hashret.specs import TextSpec
from indexer.corpus import Skipped
from indexer.ingest.counts import Progress, Stopwatch, Tally
from indexer.ingest.encode import Encoded, encode_all, encode_features
from indexer.ingest.intake import Batch, Intake
from indexer.ingest.pending_commit import PendingCommit
from indexer.ingest.prepare import Preparer
from indexer.ingest.segments import SegmentWriter
from indexer.ingest.stored_codes import StoredCodes, completed
from indexer.ingest.stored_source import StoredSource


class Adder:
    """Adds to a commit in the making, by the model that it has when something is added."""

    def __init__(
        self,
        pending: PendingCommit,
        preparer: Preparer,
        stopwatch: Stopwatch,
        on_progress: Progress,
        workers: int,
    ):
        """`workers` is how many processes encode texts and vectors; 1: this one does."""
        self._pending = pending
        self._preparer = preparer
        self._stopwatch = stopwatch
        self._progress = on_progress
        self._workers = workers

    def add(self, items: Iterable[Item | Skipped], total: int | None) -> None:
        """Add items; of documents that are split, also remove the passages that are left over."""
        pending = self._pending
        if not pending.passages:
            self._add(items, total)
            return
        self._add(pending.documents.split(items, pending.passages), total)
        left_over = pending.documents.left_over(
            pending.staging.items, pending.seen.unseen()
        ).tolist()
        pending.staging.remove(left_over)
        pending.tally.left_over += len(left_over)
        pending.tally.removed += len(left_over)

    def _add(self, items: Iterable[Item | Skipped], total: int | None) -> None:
        pending, keep = self._pending, self._pending.keep
        coder, kind = pending.model.coder, pending.catalog.kind
        spec = known = None
        if coder is not None:
            spec = coder.featurizer.spec
        elif kind_of(kind).stores_texts:
            spec = TextSpec()
        if coder is not None and keep.texts:
            known = StoredCodes(
                pending.catalog.layout,
                pending.staging.items,
                pending.model,
                with_features=keep.features,
                of_documents=pending.passages > 0,
            )
        filling = self._filling(pending.tally, known)
        intake = Intake(
            kind,
            spec,
            pending.seen,
            self._preparer,
            self._stopwatch,
            keeps_texts=keep.texts,
            keeps_payloads=keep.images or spec is None,
            keeps_thumbnails=keep.thumbnails,
            known=known,
        )
        if coder is None:
            filling.pending(intake.batches(items))
        else:
            filling.encoded(intake.batches(items), partial(self._encode, coder), total)

    def encode_again(
        self, coder: Coder, stored: StoredSource, on_note: Callable[[str], None]
    ) -> None:
        """Encode by the new model what the collection holds; no item of it counts as new.

        `on_note` is told how many items it can't encode: they stay without a code.
        """
        again = Tally()
        filling = self._filling(again)
        prepare = partial(self._preparer.prepare, spec=coder.featurizer.spec)
        batches = stored.batches(prepare, self._pending.staging.items.find)
        if stored.features is None:
            filling.encoded(
                batches, lambda blocks: stored.none_refused(self._encode(coder, blocks)), None
            )
        else:
            encode = partial(encode_features, coder, with_features=self._pending.keep.features)
            filling.encoded(batches, encode, None)
        self._pending.tally.encoded_again += again.added
        self._pending.seen.begin(self._pending.staging.next_row)
        if stored.refused:
            on_note(
                f"{len(stored.refused)} stored items stay without a code, because the new model "
                f"can't encode them (the first: {stored.refused[0]})"
            )

    def _filling(self, tally: Tally, known: StoredCodes | None = None) -> _Filling:
        segments = self._pending.new_segments()
        return _Filling(segments, tally, self._stopwatch, self._progress, known)

    def _encode(self, coder: Coder, blocks: Iterable[list[Any]]) -> Generator[Encoded]:
        catalog = self._pending.catalog
        return encode_all(
            coder,
            blocks,
            layout=catalog.layout,
            model=catalog.model(self._pending.model.name),
            with_features=self._pending.keep.features,
            # most of the time of a file is its decoding, which the preparer's workers do
            workers=1 if kind_of(catalog.kind).decodes_files else self._workers,
        )


@dataclass(frozen=True, slots=True)
class _Filling:
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
