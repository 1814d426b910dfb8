"""Add what came in to a commit in the making: count it, encode it, write it as segments."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import tee
from typing import Any

from indexer.ingest.counts import Progress, Stopwatch, Tally
from indexer.ingest.encode import Encoded
from indexer.ingest.intake import Batch
from indexer.ingest.segments import SegmentWriter
from indexer.ingest.stored_codes import StoredCodes, completed


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
