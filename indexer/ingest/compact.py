"""Merge a collection's segments and drop the rows of removed or replaced items.

The live items become new rows of few, full segments, in their order and as they were: ids,
content hashes, metadata, previews, codes and features. That is a commit like any other. What it
replaced is then deleted as far as no open snapshot still reads it (`store.catalog_purge`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from hashret.codes import Codes
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.purge import purge
from hashret.store.catalog.records import CommitRecord
from hashret.store.catalog.staging import Staging
from hashret.store.feature_files import StoredFeatures, write_features
from hashret.store.layout import Layout
from hashret.store.segments import SegmentRecord, open_segment, write_segment

#: The rows of former segments that become one new segment.
_Lot = list[tuple[SegmentRecord, np.ndarray]]
SEGMENT = 65_536  # rows of a segment: one transaction each, 0.5 MB of codes at 64 bits


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
    segments = catalog.segments(last.commit)
    live = catalog.live_rows(last.commit)
    catalog.require_rows(live, last)
    dropped = sum(segment.n_rows for segment in segments) - len(live)
    scattered = _scattered(segments, live)
    lots = list(_lots(scattered, live))
    if dropped or len(lots) < len(scattered):
        staging = Staging(catalog)
        try:
            _merge(layout, catalog, staging, scattered, lots, n_features)
            last = staging.finish(str(last.model))
        except BaseException:
            staging.abandon()
            raise
    oldest = purge(catalog)
    now = len(catalog.segments(last.commit)), _size(layout, catalog)
    return Compaction(last, (len(segments), now[0]), (size, now[1]), dropped, oldest)


def _size(layout: Layout, catalog: Catalog) -> int:
    return catalog.n_bytes() + sum(layout.sizes().values())


def _scattered(segments: list[SegmentRecord], live: np.ndarray) -> list[SegmentRecord]:
    """The segments from the first on that has gone rows or could be fuller; those before stay."""
    for i, segment in enumerate(segments):
        if len(_live_of(segment, live)) < max(segment.n_rows, SEGMENT):
            return segments[i:]
    return []


def _live_of(segment: SegmentRecord, live: np.ndarray) -> np.ndarray:
    bounds = segment.first_row, segment.first_row + segment.n_rows
    return live[slice(*np.searchsorted(live, bounds))]


def _merge(
    layout: Layout,
    catalog: Catalog,
    staging: Staging,
    segments: list[SegmentRecord],
    lots: list[_Lot],
    n_features: int,
) -> None:
    kept = StoredFeatures(layout, segments, n_features)
    opened = {segment.name: open_segment(layout, segment) for segment in segments}
    for pieces in lots:
        rows = np.concatenate([rows for _, rows in pieces])
        parts = [opened[segment.name][rows - segment.first_row] for segment, rows in pieces]
        name, first = staging.new_segment()
        codes = Codes.concatenate(parts)
        file = write_segment(layout, name, codes)
        beside = None
        if pieces[0][0].features is not None:
            beside = write_features(layout, name, kept.take(rows))
        found = catalog.items(rows.tolist())
        records = [replace(found[row], row=first + i) for i, row in enumerate(rows.tolist())]
        record = SegmentRecord(name, first, len(rows), codes.n_bits, file, beside)
        staging.add_segment(record, str(catalog.last_commit().model), records)
    staging.forget_segments([segment.name for segment in segments])


def _lots(segments: list[SegmentRecord], live: np.ndarray) -> Iterator[_Lot]:
    """The live rows of the segments, in order, in lots of up to `SEGMENT`.

    A lot holds rows with features or rows without: a segment has them of all its rows or none.
    """
    lot: _Lot = []
    room = SEGMENT
    for segment in segments:
        rows = _live_of(segment, live)
        while len(rows):
            if lot and (room == 0 or (lot[0][0].features is None) != (segment.features is None)):
                yield lot
                lot, room = [], SEGMENT
            lot.append((segment, rows[:room]))
            rows, room = rows[room:], room - len(lot[-1][1])
    if lot:
        yield lot
