"""Stage the next commit in small transactions, then make it visible with one row.

Everything staged carries the number of the commit to come, which no reader asks for until the
row in `commits` stands. A writer that dies leaves rows of that number; the next one deletes them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from shutil import rmtree

from sqlalchemy import delete, func, select, text, update

from hashret.errors import PayloadError
from hashret.store import catalog_tables as t
from hashret.store.catalog import (
    Catalog,
    CommitRecord,
    ItemRecord,
    chunks,
    is_storable,
    row_checksum,
)
from hashret.store.model_files import ModelRecord
from hashret.store.segments import SegmentRecord

_CHUNK = 500
_INSERT_ITEM = (
    "INSERT INTO items (row, id, content_hash, metadata, preview, checksum, added) "
    "VALUES (?, ?, ?, ?, ?, ?, ?)"
)


class Staging:
    """A commit in the making; the caller holds the writer lock."""

    def __init__(self, catalog: Catalog):
        self._catalog = catalog
        self._last = catalog.last_commit().commit
        self.commit = self._last + 1
        self._clean()
        with catalog.transaction() as connection:
            highest = connection.execute(select(func.max(t.items.c.row))).scalar()
            connection.execute(text("DROP TABLE IF EXISTS temp.seen"))
            connection.execute(text("CREATE TEMP TABLE seen (id TEXT PRIMARY KEY) WITHOUT ROWID"))
        self.next_row = 0 if highest is None else highest + 1

    def _clean(self) -> None:
        """Undo what a writer staged and never committed, in the catalog and on disk."""
        last = self._last
        with self._catalog.transaction() as connection:
            for table in (t.items, t.segments):
                connection.execute(delete(table).where(table.c.added > last))
                connection.execute(update(table).where(table.c.removed > last).values(removed=None))
            connection.execute(delete(t.models).where(t.models.c.added > last))
            segments = set(connection.execute(select(t.segments.c.name)).scalars())
            models = set(connection.execute(select(t.models.c.name)).scalars())
        layout = self._catalog.layout
        for path in layout.segments.iterdir():
            if path.suffix != ".npy" or path.stem not in segments:
                path.unlink()
        for path in layout.models.iterdir():
            if path.name not in models:
                rmtree(path)

    def known(self, ids: Sequence[str]) -> dict[str, tuple[int, bytes]]:
        """Row and content hash of the ids that are live, with what was staged so far."""
        columns = t.items.c.id, t.items.c.row, t.items.c.content_hash
        found = {}
        with self._catalog.transaction() as connection:
            for chunk in chunks(filter(is_storable, ids), _CHUNK):
                query = select(*columns).where(t.items.c.id.in_(chunk), t.items.c.removed.is_(None))
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
                places = ",".join("?" * len(chunk))
                before.update(
                    connection.exec_driver_sql(
                        f"SELECT id FROM temp.seen WHERE id IN ({places})",  # noqa: S608
                        tuple(chunk),
                    ).scalars()
                )
            new = [(item_id,) for item_id in once - before]
            if new:
                connection.exec_driver_sql("INSERT INTO temp.seen VALUES (?)", new)
        return before

    def unseen(self, page: int = 1000) -> Iterator[list[tuple[int, str]]]:
        """Live (row, id) pairs of former commits that were not seen in this run, by row."""
        query = text(
            "SELECT row, id FROM items WHERE removed IS NULL AND added <= :last AND row > :after "
            "AND id NOT IN (SELECT id FROM temp.seen) ORDER BY row LIMIT :page"
        )
        after = -1
        while True:
            with self._catalog.transaction() as connection:
                values = {"last": self._last, "after": after, "page": page}
                found = [(row, item_id) for row, item_id in connection.execute(query, values)]
            if not found:
                return
            after = found[-1][0]
            yield found

    def add_segment(self, record: SegmentRecord, model: str, items: Sequence[ItemRecord]) -> None:
        """Stage a segment and its items, rows in order; live items of the same ids are replaced."""
        replaced = [row for row, _ in self.known([item.id for item in items]).values()]
        rows = []
        for item in items:
            metadata = json.dumps(item.metadata, sort_keys=True, allow_nan=False)
            content = (item.row, item.id, item.content_hash, metadata, item.preview)
            rows.append((*content, row_checksum(*content, self.commit), self.commit))
        with self._catalog.transaction() as connection:
            self._mark_removed(replaced)
            connection.execute(
                t.segments.insert().values(
                    name=record.name,
                    first_row=record.first_row,
                    n_rows=record.n_rows,
                    n_bits=record.n_bits,
                    size=record.file.size,
                    sha256=record.file.sha256,
                    model=model,
                    added=self.commit,
                )
            )
            connection.exec_driver_sql(_INSERT_ITEM, rows)
        self.next_row = record.first_row + record.n_rows

    def remove(self, rows: Sequence[int]) -> None:
        """Stage the removal of rows."""
        with self._catalog.transaction():
            self._mark_removed(rows)

    def _mark_removed(self, rows: Sequence[int]) -> None:
        if rows:
            self._catalog.connection.exec_driver_sql(
                "UPDATE items SET removed = ? WHERE row = ?", [(self.commit, row) for row in rows]
            )

    def drop_all_segments(self) -> None:
        """Stage the removal of every segment and item, for codes of a new model."""
        with self._catalog.transaction() as connection:
            for table in (t.items, t.segments):
                connection.execute(
                    update(table).where(table.c.removed.is_(None)).values(removed=self.commit)
                )

    def add_model(self, record: ModelRecord) -> None:
        """Stage a model; one of the same name, staged before, is replaced."""
        files = {name: [file.size, file.sha256] for name, file in record.files.items()}
        with self._catalog.transaction() as connection:
            connection.execute(delete(t.models).where(t.models.c.name == record.name))
            connection.execute(
                t.models.insert().values(
                    name=record.name,
                    n_bits=record.n_bits,
                    files=json.dumps(files),
                    added=self.commit,
                )
            )

    def n_live(self) -> int:
        """How many items there would be."""
        query = select(func.count()).select_from(t.items).where(t.items.c.removed.is_(None))
        with self._catalog.transaction() as connection:
            return int(connection.execute(query).scalar_one())

    def finish(self, model: str) -> CommitRecord:
        """Make everything staged visible, durably, by one row."""
        created_at = datetime.now(UTC).isoformat(timespec="seconds")
        record = CommitRecord(self.commit, created_at, self.n_live(), model)
        with self._catalog.transaction() as connection:
            connection.execute(
                t.commits.insert().values(
                    commit=record.commit,
                    created_at=created_at,
                    n_items=record.n_items,
                    model=model,
                )
            )
        return record

    def abandon(self) -> None:
        """Undo everything staged."""
        self._clean()
