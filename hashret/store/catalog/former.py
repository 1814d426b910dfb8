"""Collections of format 2: read as they are, and rewritten by whoever is to write into them.

Their items are rows of the catalog. All of a commit are read at once, each believed only if it
agrees with its checksum, and made into the columns that a segment has now, in memory.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from hashlib import sha256
from typing import Any

import numpy as np
from sqlalchemy import Connection, select

from hashret.errors import DamagedError
from hashret.store.catalog import former_tables as f
from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import Catalog, visible
from hashret.store.catalog.records import (
    DISAGREES,
    MAX_BITS,
    MAX_ROW,
    CommitRecord,
    checksum,
    require_name,
    require_number,
    require_object,
    require_types,
    row_of_commit,
    row_of_removal,
    row_of_segment,
    rows_of_meta,
    state_of,
)
from hashret.store.disk.checked import CheckedFile
from hashret.store.disk.damage import damaged
from hashret.store.disk.files import BLOCK, FileRecord
from hashret.store.disk.files import DIGEST as BLOCK_DIGEST
from hashret.store.disk.untrusted import file_status
from hashret.store.layout import PARTS, Layout
from hashret.store.segments.record_batch import as_file, batch_of, write_records
from hashret.store.segments.record_schema import DIGEST, ItemRecord
from hashret.store.segments.records import Records
from hashret.store.segments.segment import Segment
from hashret.store.segments.stored_items import StoredItems

#: What stands in the rows of a segment whose items are gone; no item has this id.
_GONE = ItemRecord("\0", bytes(DIGEST), {}, "")
_RESTORE = (
    "restore the collection from a copy, or repair it with the hashret that wrote it (format "
    f"{f.FORMAT_VERSION})"
)


class FormerCatalog(Catalog):
    """The catalog of a collection of format 2. Nothing is staged in it."""

    _commits = f.commits

    def __init__(self, *opened: Any, **how: Any):
        """As of `Catalog`."""
        super().__init__(*opened, **how)
        self._known: dict[int, list[tuple[Segment, Records]]] = {}

    def _commit_of(self, row: Sequence[Any]) -> CommitRecord:
        require_types(row, int, str, int, str, int, int)
        commit, created_at, n_items, model, rows_sum, stated = row
        if checksum(*row[:-1]) != stated:
            raise _unlike(self.layout, f"commit {commit}", *DISAGREES)
        return CommitRecord(commit, created_at, n_items, 0, model, rows_sum)

    def segments(self, commit: int) -> list[Segment]:
        """The segments visible at `commit`, by first row, with their removed rows."""
        return [segment for segment, _ in self._read(commit)]

    def segments_of(self, commit: CommitRecord) -> list[Segment]:
        """The segments of a commit. Raises `DamagedError` unless it shows the same rows."""
        segments = self.segments(commit.commit)
        live = [segment.first_row + segment.live(segment.n_rows) for segment in segments]
        rows = np.concatenate([np.empty(0, np.int64), *live])
        if len(rows) != commit.n_items or _sum_of_rows(rows) != commit.state:
            what, expected = f"commit {commit.commit}", f"{commit.n_items} items"
            raise _unlike(self.layout, what, expected, f"{len(rows)}, or others")
        return segments

    def items_of(self, commit: CommitRecord) -> StoredItems:
        """The items of a commit, in memory."""
        segments = self.segments_of(commit)
        opened = {segment.name: records for segment, records in self._read(commit.commit)}
        return StoredItems(self.layout, segments, opened)

    def _read(self, commit: int) -> list[tuple[Segment, Records]]:
        """The segments of a commit and their items; read once."""
        if commit not in self._known:
            s, found, next_row = f.segments, [], 0
            with self.transaction() as connection:
                query = select(s).where(visible(s, commit)).order_by(s.c.first_row)
                for row in connection.execute(query).all():
                    segment = _segment_of(self.layout, row, next_row)
                    next_row = segment.stop
                    if segment.n_rows:
                        found.append(self._with_items(connection, segment, commit))
            self._known[commit] = found
        return self._known[commit]

    def _with_items(
        self, connection: Connection, segment: Segment, commit: int
    ) -> tuple[Segment, Records]:
        path = self.layout.part(segment.name, "codes")
        # a stranger's number of rows must not ask for more memory than there are codes
        found = file_status(path)
        if found is None or found.st_size < segment.n_rows:
            raise _unlike(self.layout, path.name, f"{segment.n_rows} rows", "fewer")
        i = f.items
        query = select(i).where(visible(i, commit), i.c.row >= segment.first_row)
        items, shown = [_GONE] * segment.n_rows, np.zeros(segment.n_rows, bool)
        for row in connection.execute(query.where(i.c.row < segment.stop)):
            at = row.row - segment.first_row
            items[at], shown[at] = _item_of(self.layout, row), True
        removed = np.flatnonzero(~shown).astype(np.uint32)
        path = self.layout.part(segment.name, "records")
        data = np.frombuffer(as_file(batch_of(items)), np.uint8)
        file = CheckedFile.in_memory(path, data)
        return replace(segment, removed=removed), Records(path, file, len(items))

    def rewrite(self) -> None:
        """Put a catalog of today's format, with the same last commit, in the place of this one.

        For the holder of the writer lock. The files of codes and features stay; what was staged,
        and commits before the last, are not taken over. Killed at any point, the collection is as
        it was, or of the new format. This one can't be asked afterwards.
        """
        last = self.last_commit()
        segments = self.segments_of(last)
        whole = {
            segment.name: replace(
                segment,
                codes=_with_blocks(self.layout, segment.codes),
                features=_with_blocks(self.layout, segment.features),
                records=write_records(self.layout, segment.name, records.batch),
            )
            for segment, records in self._read(last.commit)
        }
        commit = row_of_commit(replace(last, model=last.model or None, state=state_of(segments)))
        s, m = f.segments, f.models
        with self.transaction() as connection:
            former = connection.execute(select(s).where(s.c.added <= last.commit)).all()
            models = connection.execute(select(m).where(m.c.added <= last.commit)).all()
            f.metadata.drop_all(connection)
            t.metadata.create_all(connection)
            connection.execute(t.meta.insert(), rows_of_meta(self.kind, last=str(commit[-1])))
            for model in models:
                connection.execute(t.models.insert().values(tuple(model)))
            for row in former:
                # what former commits had goes with the next compaction that nobody reads it in
                gone = row.removed if row.name not in whole else None
                segment = whole.get(row.name) or _segment_of(self.layout, row, 0)
                values = row_of_segment(segment, row.added, gone)
                connection.execute(t.segments.insert().values(values))
            for segment in segments:
                if len(segment.removed):
                    values = row_of_removal(segment.name, last.commit, "", segment.removed)
                    connection.execute(t.removals.insert().values(values))
            connection.execute(t.commits.insert().values(commit))
        self.shrink()


def _with_blocks(layout: Layout, record: FileRecord | None) -> FileRecord | None:
    """The same with the digests of the file's blocks; as it is where the file is damaged."""
    if record is None:
        return None
    with suppress(DamagedError):
        file = CheckedFile(layout.segments / record.name, record)
        file.require_all()
        starts = range(0, record.size, BLOCK)
        digests = [sha256(file.data[at : at + BLOCK].data).digest()[:BLOCK_DIGEST] for at in starts]
        return replace(record, blocks=b"".join(digests))
    return record


def _unlike(layout: Layout, what: str, expected: str, got: object) -> DamagedError:
    """As `records.unlike`; nothing here repairs a catalog of this format."""
    return damaged(f"{layout.catalog}: {what}", expected, got, _RESTORE)


def _segment_of(layout: Layout, row: Sequence[Any], next_row: int) -> Segment:
    """The segment of a whole row of `segments`, not before `next_row`. Raises `DamagedError`."""
    if checksum(*row[:-1]) != row[-1]:
        raise _unlike(layout, f"segment {row[0]!r:.80}", *DISAGREES)
    name, first, n, bits, size, sha256, *kept, model = row[:9]
    require_name(name, "segment")
    require_types((first, n, bits, size, sha256, model), int, int, int, int, str, str)
    require_number(first, next_row, MAX_ROW, "rows in order")
    require_number(n, 0, MAX_ROW, "a number of rows")
    require_number(bits, 8, MAX_BITS, "a number of bits")
    features = None
    if kept != [None, None]:
        require_types(kept, int, str)
        features = FileRecord(f"{name}{PARTS['features']}", *kept)
    codes = FileRecord(f"{name}{PARTS['codes']}", size, sha256)
    return Segment(name, first, n, n, bits, model, codes, features=features)


def _item_of(layout: Layout, row: Any) -> ItemRecord:
    """The item of a whole row of `items`. Raises `DamagedError`."""
    content = (row.row, row.id, row.content_hash, row.metadata, row.preview, row.added)
    require_types(content, int, str, bytes, str, str, int)
    beside = None
    if row.removed is not None:
        require_types((row.removed,), int)
        beside = row.row * 32749 + row.removed
    if checksum(*content) != row.checksum or beside != row.removal or len(row.content_hash) != 32:
        raise _unlike(layout, f"row {row.row}", *DISAGREES)
    return ItemRecord(row.id, row.content_hash[:DIGEST], require_object(row.metadata), row.preview)


def _sum_of_rows(rows: np.ndarray) -> int:
    """What a commit of format 2 says of its rows: their sum, each mixed as SplitMix64 does."""
    mixed = rows.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return int(mixed.sum(dtype=np.uint64).astype(np.int64))
