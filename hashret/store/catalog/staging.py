"""Stage the next commit in small transactions, then make it visible with one row.

Everything staged carries the number of the commit to come, which no reader asks for until the
row in `commits` stands. A writer that dies leaves rows of that number; the next one deletes them,
or goes on from them where it does the same over again.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

import numpy as np
from sqlalchemy import ColumnElement, Connection, Table, delete, func, select, update

from hashret.errors import CatalogServerError
from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import NOT_WRITTEN, Catalog
from hashret.store.catalog.records import (
    FOLDERS,
    LAST,
    MOST_FOLDERS,
    CommitRecord,
    SourceFolder,
    checksum,
    removal_of,
    require_object,
    row_of_commit,
    row_of_removal,
    row_of_segment,
    sealed,
    state_of,
    value_of_folders,
)
from hashret.store.leftovers import delete_unnamed
from hashret.store.model_files import ModelRecord
from hashret.store.segments.segment import NOTHING, Segment
from hashret.store.segments.stored_items import StoredItems


class Staging:
    """A commit in the making; the caller holds the writer lock.

    `items` are those that it would show.
    """

    def __init__(self, catalog: Catalog, *, keep: bool = False, refitted: bool = False):
        """Begin the next commit, cleaning up what a dead writer left.

        With `keep`, go on from what that one had staged: the caller knows that it added the same
        items, `refitted` or not.
        """
        self._catalog = catalog
        last = catalog.last_commit()
        self._last = last.commit
        self.commit = self._last + 1
        self._refitted = refitted
        #: Whether what was staged before stays.
        self.kept = keep
        with catalog.transaction() as connection:
            first_row = _next_row(connection, self._last)
        #: The first row of what was staged before, or of what comes.
        self.kept_from = first_row
        if keep:
            self._keep()
        else:
            forget_staged(catalog)
        with catalog.transaction() as connection:
            self.next_row = _next_row(connection, self.commit)
        self.items = StoredItems(catalog.layout, catalog.segments(self.commit))
        self._removed: dict[str, np.ndarray] = {}  # by segment, for no new version

    def _keep(self) -> None:
        """Go on from what was staged, but for what was removed for another reason than anew."""
        r = t.removals.c
        with self._catalog.transaction() as connection:
            connection.execute(delete(t.removals).where(r.added > self._last, r.cause == ""))
        delete_unnamed(self._catalog.layout, *self._catalog.names())

    def n_kept_anew(self) -> int:
        """How many of the kept items replaced a former version."""
        return sum(len(rows) for *_, rows in self._replaced())

    def _replaced(self) -> list[tuple[Segment, str, np.ndarray]]:
        """What the kept items replaced: a former segment, the cause, and its rows, from its first.

        The cause is the segment that has the new versions.
        """
        r = t.removals.c
        query = select(t.removals).where(r.added == self.commit, r.cause != "")
        with self._catalog.transaction() as connection:
            found = connection.execute(query).all()
        former = {s.name: s for s in self.items.segments if s.first_row < self.kept_from}
        removals = [(row.cause, *removal_of(self._catalog.layout, row)) for row in found]
        return [(former[name], cause, rows) for cause, name, rows in removals if name in former]

    def give_up(self, rows: np.ndarray) -> None:
        """Give up kept items, which the source has no more; their former versions are back."""
        gone = [self.items.id(row) for row in rows.tolist()]
        if not gone:
            return
        self.remove(rows.tolist())
        if self._refitted:
            return
        replaced = self._replaced()
        former = {one.first_row + row for one, _, offsets in replaced for row in offsets.tolist()}
        back = np.array([row for _, row in self.items.versions(gone) if row in former], np.int64)
        self.items.restore(back)
        with self._catalog.transaction() as connection:
            for segment, cause, offsets in replaced:
                left = offsets[~np.isin(offsets + np.int64(segment.first_row), back)]
                if len(left) < len(offsets):
                    self._write_removal(connection, segment.name, cause, left)

    def add_segment(self, segment: Segment, ids: Sequence[str]) -> int:
        """Stage a segment whose rows have these ids; live items of the same ids are replaced.

        Returns how many those were.
        """
        replaced = np.array(sorted(self.items.find(ids).values()), np.int64)
        with self._catalog.transaction() as connection:
            for name, offsets in self.items.by_segment(replaced):
                self._write_removal(connection, name, segment.name, offsets)
            connection.execute(t.segments.insert().values(row_of_segment(segment, self.commit)))
        self.items.remove(replaced)
        self.items.add(segment)
        self.next_row = segment.stop
        return len(replaced)

    def remove(self, rows: Sequence[int]) -> None:
        """Stage the removal of rows."""
        with self._catalog.transaction() as connection:
            for name, offsets in self.items.by_segment(np.array(rows, np.int64)):
                now = np.union1d(self._removed.get(name, NOTHING), offsets).astype(np.uint32)
                self._removed[name] = now
                self._write_removal(connection, name, "", now)
        self.items.remove(np.array(rows, np.int64))

    def _write_removal(
        self, connection: Connection, segment: str, cause: str, rows: np.ndarray
    ) -> None:
        """Say which rows of a segment this commit removes for a cause, in place of what it said."""
        r = t.removals
        connection.execute(
            delete(r).where(r.c.segment == segment, r.c.added == self.commit, r.c.cause == cause)
        )
        if len(rows):
            connection.execute(r.insert().values(row_of_removal(segment, self.commit, cause, rows)))

    def drop_all_segments(self) -> None:
        """Stage the removal of every segment and item, for codes of a new model."""
        self.forget_segments([segment.name for segment in self.items.segments])

    def forget_segments(self, names: Sequence[str]) -> None:
        """Stage the removal of segments, with all of their rows."""
        with self._catalog.transaction() as connection:
            _change(connection, t.segments, t.segments.c.name.in_(names), removed=self.commit)
        self.items.drop(names)

    def forget_files(self, part: str, names: Sequence[str]) -> None:
        """Give up, for every commit, the files of a part of these segments, as "features"."""
        self._forget_file(t.segments, part, names)

    def forget_model_file(self, model: str, file: str) -> None:
        """Give up, for every commit, a file of a model that can do without, as its decoder's."""
        self._forget_file(t.models, file, [model])

    def _forget_file(self, table: Table, file: str, names: Sequence[str]) -> None:
        c = table.c
        with self._catalog.transaction() as connection:
            query = select(c.name, c.files).where(c.name.in_(names))
            for name, stored in connection.execute(query).all():
                files = require_object(stored)
                files.pop(file, None)
                _change(connection, table, c.name == name, files=json.dumps(files))

    def add_model(self, record: ModelRecord) -> None:
        """Stage a model; one of the same name, staged before, is replaced."""
        files = {name: [file.size, file.sha256] for name, file in record.files.items()}
        with self._catalog.transaction() as connection:
            connection.execute(delete(t.models).where(t.models.c.name == record.name))
            row = sealed(record.name, record.n_bits, json.dumps(files), self.commit)
            connection.execute(t.models.insert().values(row))

    def new_segment(self) -> tuple[str, int]:
        """The name of the next segment, and its first row.

        Raises CollectionError if the folder, into which it is to be written, was replaced.
        """
        self._catalog.folder.require_unchanged(NOT_WRITTEN)
        return f"c{self.commit:06d}-{self.next_row:012d}", self.next_row

    def finish(self, model: str) -> CommitRecord:
        """Make everything staged visible, durably, by one row."""
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        segments = self._catalog.segments(self.commit)
        n_items, n_uncoded = len(self.items), self.items.n_uncoded
        state = state_of(segments)
        record = CommitRecord(self.commit, created_at, n_items, n_uncoded, model or None, state)
        self._catalog.segments_of(record)
        row = row_of_commit(record)
        try:
            with self._catalog.transaction() as connection:
                connection.execute(t.commits.insert().values(row))
                _set_last(connection, row[-1])
        except CatalogServerError as error:
            raise CatalogServerError(
                f"{error}; whether commit {self.commit} was made, `hashret info` will say"
            ) from error
        return record

    def remember_folders(self, folders: Sequence[SourceFolder]) -> None:
        """Say at once that the collection was indexed from these folders too."""
        catalog = self._catalog
        all_of_them = list(dict.fromkeys([*folders, *(catalog.folders or ())]))
        kept = tuple(all_of_them[:MOST_FOLDERS])
        if kept == catalog.folders:
            return
        with catalog.transaction() as connection:
            connection.execute(delete(t.meta).where(t.meta.c.key == FOLDERS))
            connection.execute(t.meta.insert().values(key=FOLDERS, value=value_of_folders(kept)))
        catalog.folders = kept

    def abandon(self) -> None:
        """Undo everything staged; where the server was lost, that is left to the next writer."""
        with suppress(CatalogServerError):
            forget_staged(self._catalog)


def _next_row(connection: Connection, commit: int) -> int:
    """The row after the last of every segment up to this commit, shown or not."""
    s = t.segments.c
    query = select(func.max(s.first_row + s.n_rows)).where(s.added <= commit)
    return int(connection.execute(query).scalar() or 0)


def forget_staged(catalog: Catalog) -> None:
    """Undo what was staged and never committed, in the catalog and on disk.

    Also deletes what else no row names; the caller holds the writer lock.
    """
    # asked again: an error while committing does not say that nothing was committed
    last = catalog.last_commit().commit
    with catalog.transaction() as connection:
        for table in (t.removals, t.segments, t.models):
            connection.execute(delete(table).where(table.c.added > last))
        _change(connection, t.segments, t.segments.c.removed > last, removed=None)
    delete_unnamed(catalog.layout, *catalog.names())


def _change(
    connection: Connection, table: Table, which: ColumnElement[bool], **values: int | str | None
) -> None:
    """Change columns of segments or models, and the checksums of their rows with them."""
    for row in connection.execute(select(table).where(which)).all():
        now = row._asdict() | values
        now["checksum"] = checksum(*list(now.values())[:-1])
        connection.execute(update(table).where(table.c.name == now["name"]).values(now))


def forget_after(catalog: Catalog, commit: int) -> None:
    """Make `commit` the last one again; the caller holds the writer lock."""
    with catalog.transaction() as connection:
        connection.execute(t.commits.delete().where(t.commits.c.commit > commit))
        sums = connection.execute(select(t.commits.c.checksum).where(t.commits.c.commit == commit))
        _set_last(connection, sums.scalar_one())


def _set_last(connection: Connection, commit_checksum: int) -> None:
    """Say which commit is the last one, by its row's checksum."""
    statement = t.meta.update().where(t.meta.c.key == LAST).values(value=str(commit_checksum))
    connection.execute(statement)
