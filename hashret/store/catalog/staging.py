"""Stage the next commit in small transactions, then make it visible with one row.

Everything staged carries the number of the commit to come, which no reader asks for until the
row in `commits` stands. A writer that dies leaves rows of that number; the next one deletes them,
or goes on from them where it does the same over again.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Connection,
    Table,
    delete,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.schema import CreateTable, DropTable

from hashret._backports import chunks
from hashret.errors import CatalogServerError, PayloadError
from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.connection import NOT_WRITTEN
from hashret.store.catalog.records import CommitRecord, ItemRecord
from hashret.store.catalog.sums import LAST, checksum, removal, sum_of_rows
from hashret.store.leftovers import delete_unnamed
from hashret.store.model_files import ModelRecord
from hashret.store.segments import SegmentRecord
from hashret.unicode_text import is_storable

_CHUNK = 500
_ROWS = 5000
# made once: `json.dumps` with arguments builds an encoder at every call
_as_json = json.JSONEncoder(sort_keys=True, allow_nan=False).encode
_ITEM = ["row", "id", "content_hash", "metadata", "preview", "checksum", "added"]


class Staging:
    """A commit in the making; the caller holds the writer lock."""

    def __init__(self, catalog: Catalog, *, keep: bool = False, refitted: bool = False):
        """Begin the next commit, cleaning up what a dead writer left.

        With `keep`, go on from what that one had staged: the caller knows that it added the same
        items, `refitted` or not.
        """
        self._catalog = catalog
        self._last = catalog.last_commit().commit
        self.commit = self._last + 1
        self._refitted = refitted
        #: Whether what was staged before stays, and the first row of it, or of what comes.
        self.kept, self.kept_from = keep, 0
        if keep:
            self._keep()
        else:
            self._clean()
        with catalog.transaction() as connection:
            highest = connection.execute(select(func.max(t.items.c.row))).scalar()
            connection.execute(DropTable(t.seen, if_exists=True))
            connection.execute(CreateTable(t.seen))
        self.next_row = 0 if highest is None else highest + 1
        self._kept_to = self.next_row
        if not keep:
            self.kept_from = self.next_row

    def _keep(self) -> None:
        """Go on from what was staged, but for what was removed for another reason than anew."""
        i, anew = t.items.c, t.items.alias()
        with self._catalog.transaction() as connection:
            before = select(func.max(i.row)).where(i.added <= self._last)
            highest = connection.execute(before).scalar()
            if not self._refitted:  # else every former item left with its model
                replaced = select(anew.c.id).where(anew.c.added > self._last)
                undone = update(t.items).where(i.removed > self._last, i.added <= self._last)
                connection.execute(
                    undone.where(i.id.not_in(replaced)).values(removed=None, removal=None)
                )
        self.kept_from = 0 if highest is None else highest + 1
        self._delete_unnamed_files()

    def n_kept_anew(self) -> int:
        """How many of the kept items replaced a former version."""
        i, before = t.items.c, t.items.alias()
        query = select(func.count()).select_from(
            t.items.join(before, (i.id == before.c.id) & (before.c.removed == self.commit))
        )
        query = query.where(i.row >= self.kept_from, before.c.row < self.kept_from)
        with self._catalog.transaction() as connection:
            return 0 if self._refitted else int(connection.execute(query).scalar_one())

    def forget_unseen(self) -> None:
        """Give up kept items that the source has no more; their former versions are back."""
        if not self.kept:
            return
        i = t.items.c
        unseen = (i.row >= self.kept_from) & (i.row < self._kept_to) & i.removed.is_(None)
        query = select(i.row, i.id).where(unseen, ~exists().where(t.seen.c.id == i.id))
        with self._catalog.transaction() as connection:
            gone = connection.execute(query).all()
            self._mark_removed([row for row, _ in gone])
            for chunk in chunks([] if self._refitted else [item_id for _, item_id in gone], _CHUNK):
                back = update(t.items).where(i.removed == self.commit, i.row < self.kept_from)
                connection.execute(back.where(i.id.in_(chunk)).values(removed=None, removal=None))

    def _clean(self) -> None:
        """Undo what a writer staged and never committed, in the catalog and on disk."""
        # asked again: an error while committing does not say that nothing was committed
        last = self._catalog.last_commit().commit
        with self._catalog.transaction() as connection:
            for table in (t.items, t.segments):
                connection.execute(delete(table).where(table.c.added > last))
            undone = {"removed": None, "removal": None}
            connection.execute(update(t.items).where(t.items.c.removed > last).values(undone))
            self._set_segments(t.segments.c.removed > last, removed=None)
            connection.execute(delete(t.models).where(t.models.c.added > last))
        self._delete_unnamed_files()

    def _delete_unnamed_files(self) -> None:
        delete_unnamed(self._catalog.layout, *self._catalog.names())

    def known(self, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """Row and content hash of the ids that are live, with what was staged so far."""
        columns = t.items.c.id, t.items.c.row, t.items.c.content_hash
        found = {}
        with self._catalog.transaction() as connection:
            for chunk in chunks(filter(is_storable, ids), _CHUNK):
                query = select(*columns).where(
                    self._catalog.has_id(chunk), t.items.c.removed.is_(None)
                )
                for item_id, row, content_hash in connection.execute(query):
                    found[item_id] = (row, bytes(content_hash))
        return found

    def see(self, ids: Sequence[str]) -> set[str]:
        """Mark ids as seen in this run; returns those of them that had been seen before.

        Raises `PayloadError` for an id that cannot be stored (a lone surrogate, a NUL).
        """
        for item_id in ids:
            if not is_storable(item_id):
                raise PayloadError(
                    f"id: expected Unicode text without NUL, got {item_id!r}; give it another id"
                )
        once = set(ids)
        before: set[str] = set()
        with self._catalog.transaction() as connection:
            for chunk in chunks(once, _CHUNK):
                query = select(t.seen.c.id).where(self._catalog.one_of(t.seen.c.id, chunk))
                before.update(connection.execute(query).scalars())
            _insert(connection, t.seen, ["id"], [(item_id,) for item_id in once - before])
        return before

    def unseen(self, page: int = 1000) -> Iterator[list[tuple[int, str]]]:
        """Live (row, id) pairs of former commits that were not seen in this run, by row."""
        i = t.items.c
        query = (
            select(i.row, i.id)
            .where(i.removed.is_(None), i.added <= self._last)
            .where(~exists().where(t.seen.c.id == i.id))
            .order_by(i.row)
            .limit(page)
        )
        after = -1
        while True:
            with self._catalog.transaction() as connection:
                later = connection.execute(query.where(i.row > after))
                found = [(row, item_id) for row, item_id in later]
            if not found:
                return
            after = found[-1][0]
            yield found

    def add_segment(self, record: SegmentRecord, model: str, items: Sequence[ItemRecord]) -> int:
        """Stage a segment and its items, rows in order; live items of the same ids are replaced.

        Returns how many those were.
        """
        replaced = [row for row, _ in self.known([item.id for item in items]).values()]
        rows = []
        for item in items:
            metadata = _as_json(item.metadata)
            content = (item.row, item.id, item.content_hash, metadata, item.preview)
            rows.append((*content, checksum(*content, self.commit), self.commit))
        with self._catalog.transaction() as connection:
            self._mark_removed(replaced)
            beside = record.features
            segment = {
                "name": record.name,
                "first_row": record.first_row,
                "n_rows": record.n_rows,
                "n_bits": record.n_bits,
                "size": record.file.size,
                "sha256": record.file.sha256,
                "features_size": beside.size if beside else None,
                "features_sha256": beside.sha256 if beside else None,
                "model": model,
                "added": self.commit,
                "removed": None,
            }
            connection.execute(
                t.segments.insert().values(**segment, checksum=checksum(*segment.values()))
            )
            _insert(connection, t.items, _ITEM, rows)
        self.next_row = record.first_row + record.n_rows
        return len(replaced)

    def remove(self, rows: Sequence[int]) -> None:
        """Stage the removal of rows."""
        with self._catalog.transaction():
            self._mark_removed(rows)

    def _mark_removed(self, rows: Sequence[int]) -> None:
        for chunk in chunks(rows, _CHUNK):
            self._catalog.connection.execute(
                update(t.items)
                .where(t.items.c.row.in_(chunk))
                .values(removed=self.commit, removal=removal(t.items.c.row, self.commit))
            )

    def drop_all_segments(self) -> None:
        """Stage the removal of every segment and item, for codes of a new model."""
        live = t.items.c.removed.is_(None)
        gone = {"removed": self.commit, "removal": removal(t.items.c.row, self.commit)}
        with self._catalog.transaction() as connection:
            connection.execute(update(t.items).where(live).values(gone))
            self._set_segments(t.segments.c.removed.is_(None), removed=self.commit)

    def forget_segments(self, names: Sequence[str]) -> None:
        """Stage the removal of segments whose codes are lost; their rows are removed before."""
        with self._catalog.transaction():
            self._set_segments(t.segments.c.name.in_(names), removed=self.commit)

    def forget_features(self, names: Sequence[str]) -> None:
        """Give up, for every commit, the damaged feature files of these segments."""
        none = {"features_size": None, "features_sha256": None}
        with self._catalog.transaction():
            self._set_segments(t.segments.c.name.in_(names), **none)

    def _set_segments(self, which: ColumnElement[bool], **values: int | None) -> None:
        """Change columns of segments, and their checksums with them."""
        connection = self._catalog.connection
        for row in connection.execute(select(t.segments).where(which)).all():
            now = row._asdict() | values
            now["checksum"] = checksum(*list(now.values())[:-1])
            connection.execute(
                update(t.segments).where(t.segments.c.name == now["name"]).values(now)
            )

    def add_model(self, record: ModelRecord) -> None:
        """Stage a model; one of the same name, staged before, is replaced."""
        files = {name: [file.size, file.sha256] for name, file in record.files.items()}
        with self._catalog.transaction() as connection:
            connection.execute(delete(t.models).where(t.models.c.name == record.name))
            row = (record.name, record.n_bits, json.dumps(files), self.commit)
            connection.execute(t.models.insert().values((*row, checksum(*row))))

    def n_live(self) -> int:
        """How many items there would be."""
        query = select(func.count()).select_from(t.items).where(t.items.c.removed.is_(None))
        with self._catalog.transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def new_segment(self) -> tuple[str, int]:
        """The name of the next segment, and its first row.

        Raises CollectionError if the folder, into which it is to be written, was replaced.
        """
        self._catalog.folder.require_unchanged(NOT_WRITTEN)
        return f"c{self.commit:06d}-{self.next_row:012d}", self.next_row

    def finish(self, model: str) -> CommitRecord:
        """Make everything staged visible, durably, by one row."""
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        live = self._catalog.live_rows(self.commit)
        row = (self.commit, created_at, self.n_live(), model, sum_of_rows(live))
        record = CommitRecord(*row)
        self._catalog.require_rows(live, record)
        try:
            with self._catalog.transaction() as connection:
                connection.execute(t.commits.insert().values((*row, checksum(*row))))
                _set_last(connection, checksum(*row))
        except CatalogServerError as error:
            raise CatalogServerError(
                f"{error}; whether commit {self.commit} was made, `hashret info` will say"
            ) from error
        return record

    def abandon(self) -> None:
        """Undo everything staged; where the server was lost, that is left to the next writer."""
        with suppress(CatalogServerError):
            self._clean()


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


def _insert(
    connection: Connection, table: Table, names: list[str], rows: list[tuple[Any, ...]]
) -> None:
    """Insert rows with values of these columns.

    As they are where the driver takes values by position, which is three times as fast in SQLite as
    through SQLAlchemy's dicts. PostgreSQL gets them column by column, as arrays.
    """
    made = table.insert().compile(dialect=connection.dialect, column_keys=names)
    if getattr(made, "positiontup", None) == names:
        if rows:
            connection.exec_driver_sql(str(made), rows)
        return
    types = [table.c[name].type for name in names]
    for chunk in chunks(rows, _ROWS):
        columns = [
            func.unnest(literal(list(values), ARRAY(kind)))
            for values, kind in zip(zip(*chunk, strict=True), types, strict=True)
        ]
        connection.execute(table.insert().from_select(names, select(*columns)))
