"""Merge a collection's segments and drop the rows of removed or replaced items.

The live items become new rows of few, large segments, in their order and as they were, with all
that is kept of them. That is a commit like any other. What it replaced is then deleted as far
as no open snapshot still reads it (`hashret.store.catalog.purge`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hashret.codes import Codes
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.purge import purge
from hashret.store.catalog.records import CommitRecord
from hashret.store.catalog.staging import Staging
from hashret.store.disk.checked import most_mapped
from hashret.store.layout import Layout
from hashret.store.segments.feature_files import StoredFeatures, write_features
from hashret.store.segments.record_batch import merged, write_records
from hashret.store.segments.segment import Segment, open_codes, write_codes
from hashret.store.segments.stored_items import StoredItems
from hashret.store.segments.value_files import TEXTS, THUMBNAILS, write_values

#: Segments, and the live rows of each, counted from its first, that become one new segment.
_Lot = list[tuple[Segment, np.ndarray]]
#: Rows of a segment that compaction makes: 16 times those that a writer makes, so that a hundred
#: million items stand in a hundred segments. Its columns are held in memory while it is written.
COMPACTED = 1 << 20
# Bytes of the records, texts and thumbnails of such a segment, at most but for the last one's: a
# column of Arrow's strings holds 2 GiB, and all are in memory while they are written.
_MOST_BYTES = 1 << 30
# Files of a segment that are mapped while it is merged: records, texts or thumbnails, features.
_MAPPED = 3


@dataclass(frozen=True, slots=True)
class Compaction:
    """What a compaction did.

    `segments` and `size` (bytes on disk) before and after it; `dropped`, how many rows of items
    that are gone were left out. `oldest` is the oldest commit that can still be read: where it is
    not `commit.commit`, open snapshots keep what was replaced until it is compacted again; None:
    nobody says what is read, and nothing was deleted.
    """

    commit: CommitRecord
    segments: tuple[int, int]
    size: tuple[int, int]
    dropped: int
    oldest: int | None


def compact(layout: Layout, catalog: Catalog, n_features: int) -> Compaction:
    """Compact the last commit. For the holder of the writer lock, with nothing staged.

    Raises `DamagedError` for a damaged segment; the collection is then as it was.
    """
    size = _size(layout, catalog)
    last = catalog.last_commit()
    segments = catalog.segments_of(last)
    dropped = sum(len(segment.removed) for segment in segments)
    scattered = _scattered(segments)
    lots = list(_lots(scattered))
    if dropped or len(lots) < len(scattered):
        staging = Staging(catalog)
        try:
            staging.forget_segments([segment.name for segment in scattered])
            for lot in lots:
                _merge(layout, staging, scattered, lot, n_features)
            last = staging.finish(last.model or "")
        except BaseException:
            staging.abandon()
            raise
    oldest = purge(catalog)
    now = len(catalog.segments(last.commit)), _size(layout, catalog)
    return Compaction(last, (len(segments), now[0]), (size, now[1]), dropped, oldest)


def _size(layout: Layout, catalog: Catalog) -> int:
    """The bytes of a collection on disk."""
    return catalog.n_bytes() + sum(layout.sizes().values())


def _scattered(segments: list[Segment]) -> list[Segment]:
    """The segments from the first one that has removed rows or could be fuller; others stay."""
    for i, segment in enumerate(segments):
        if segment.n_live < max(segment.n_rows, COMPACTED):
            return segments[i:]
    return []


def _merge(
    layout: Layout, staging: Staging, segments: list[Segment], lot: _Lot, n_features: int
) -> None:
    """Write and stage the segment that a lot becomes: the rows with a code first."""
    items = StoredItems(layout, [segment for segment, _ in lot])
    coded = [(segment, rows[rows < segment.n_coded]) for segment, rows in lot]
    uncoded = [(segment, rows[rows >= segment.n_coded]) for segment, rows in lot]
    pieces = [(segment, rows) for segment, rows in coded + uncoded if len(rows)]
    name, first = staging.new_segment()
    codes = beside = texts = thumbnails = None
    n_coded = sum(len(rows) for _, rows in coded)
    model = lot[0][0]
    if n_coded:
        parts = [open_codes(layout, segment)[rows] for segment, rows in coded if len(rows)]
        codes = write_codes(layout, name, Codes.concatenate(parts))
        if model.features is not None:
            kept = StoredFeatures(layout, segments, n_features)
            rows = np.concatenate([segment.first_row + rows for segment, rows in coded])
            beside = write_features(layout, name, kept.take(rows))
    batch = merged([(items.records(segment), rows) for segment, rows in pieces])
    records = write_records(layout, name, batch)
    all_rows = [s.first_row + row for s, rows in pieces for row in rows.tolist()]
    if model.texts is not None:
        texts = write_values(layout, name, TEXTS, list(map(items.text, all_rows)))
    if model.thumbnails is not None:
        shown = list(map(items.thumbnail, all_rows))
        thumbnails = write_values(layout, name, THUMBNAILS, shown)
    files = (codes, records, texts, beside, thumbnails)
    segment = Segment(name, first, batch.num_rows, n_coded, model.n_bits, model.model, *files)
    staging.add_segment(segment, [])


def _lots(segments: list[Segment]) -> Iterator[_Lot]:
    """The live rows of the segments, in order, in lots of up to `COMPACTED`.

    The segments of a lot have the same parts, but for codes: one has features, or texts, of all of
    its rows or of none. And they are no more than can be mapped at once.
    """
    lot: _Lot = []
    room = COMPACTED
    most_segments = most_mapped() // _MAPPED
    for segment in segments:
        rows = segment.live(segment.n_rows)
        most = max(1, _MOST_BYTES * segment.n_rows // _size_of(segment))  # rows of so many bytes
        while len(rows):
            is_full = room <= 0 or len(lot) == most_segments
            if lot and (is_full or _parts(lot[0][0]) != _parts(segment)):
                yield lot
                lot, room = [], COMPACTED
            lot.append((segment, rows[: min(room, most)]))
            taken = len(lot[-1][1])
            # rows of many bytes leave as much less room
            rows, room = rows[taken:], room - max(taken, COMPACTED * taken // most)
    if lot:
        yield lot


def _size_of(segment: Segment) -> int:
    """The bytes of the records, texts and thumbnails of a segment, on disk."""
    files = (segment.records, segment.texts, segment.thumbnails)
    return sum(file.size for file in files if file is not None)


def _parts(segment: Segment) -> tuple[frozenset[str], str]:
    """What segments must have in common to become one."""
    return frozenset(segment.files) - {"codes", "records"}, segment.model
