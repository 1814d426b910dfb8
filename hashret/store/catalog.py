"""The catalog: which items, segments and models there are, at which commit.

Reading is by snapshot: every question names a commit, and what a writer stages meanwhile has a
higher number. Writing is `hashret.store.catalog_staging.Staging`. Through SQLAlchemy Core; what
the databases differ in is `hashret.store.catalog_database`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from sqlalchemy import ColumnElement, Connection, func, or_, select, true

from hashret.conditions import Condition
from hashret.errors import DamagedError, FormatVersionError, InputError
from hashret.store import catalog_tables as t
from hashret.store.catalog_address import (
    from_environment,
    new_address,
    read_address,
    settle,
    write_address,
)
from hashret.store.catalog_database import Database, database_of
from hashret.store.catalog_sums import FIXED, LAST, checksum, removal, sum_of_rows
from hashret.store.distrust import (
    require_name,
    require_number,
    require_object,
    require_types,
)
from hashret.store.feature_files import SUFFIX as FEATURES
from hashret.store.files import FileRecord
from hashret.store.layout import Layout
from hashret.store.model_files import ModelRecord
from hashret.store.segments import SegmentRecord
from hashret.unicode_text import is_storable

if TYPE_CHECKING:
    from hashret.store.catalog_staging import Staging

T = TypeVar("T")
_CHUNK = 500  # bound values of one statement
MAX_ROW = 1 << 48
MAX_BITS = 1 << 16


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An item's row: its id, what it is known by, and what is shown of it."""

    row: int
    id: str
    content_hash: bytes
    metadata: dict[str, Any]
    preview: str


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """A commit: its number, when it was made (ISO, UTC), how many items it shows, its model."""

    commit: int
    created_at: str
    n_items: int
    model: str | None
    rows_sum: int = 0
    """Over the rows of these items (`catalog_sums.sum_of_rows`)."""


class Catalog:
    """The catalog of one collection, open for reading or, by its one writer, for writing."""

    def __init__(self, layout: Layout, database: Database, connection: Connection, kind: str):
        self.layout = layout
        self.kind = kind
        self._database = database
        self._connection = connection

    @classmethod
    def open(
        cls,
        layout: Layout,
        *,
        write: bool = False,
        address: str | None = None,
        wait_seconds: float = 0.0,
    ) -> Self:
        """Open the catalog of an existing collection.

        Where it is on a server, `address` stands in place of the one that the collection records,
        and a writer waits so long for another one. Raises `NotACollectionError`,
        `FormatVersionError`, `DamagedError`, `CatalogServerError` or `LockedError`; InputError
        for the address of a server where the catalog is in the folder.
        """
        opened = cls._opened(layout, _database(layout, address), write, wait_seconds)
        if write and address is not None:
            settle(layout, address)
        return opened

    @classmethod
    def create(
        cls, layout: Layout, kind: str, *, address: str | None = None, wait_seconds: float = 0.0
    ) -> Self:
        """The catalog of `layout`, made first if it is not there, open for writing.

        In the folder, or on the server at `address`; what is there already stays where it is.
        """
        if not Layout.exists(layout.root) and (chosen := address or from_environment()):
            write_address(layout, new_address(chosen))  # first: no schema that nobody knows of
        opened = cls._opened(layout, _database(layout, address), True, wait_seconds, kind)
        if address is not None:
            settle(layout, address)
        return opened

    @classmethod
    def _opened(
        cls,
        layout: Layout,
        database: Database,
        write: bool,
        wait_seconds: float,
        make: str | None = None,
    ) -> Self:
        engine = database.engine(write, wait_seconds)
        with database.errors():
            connection = engine.connect()
            try:
                with connection.begin():
                    if make is not None and not database.is_made(connection):
                        database.make(connection)
                        rows = {"format": str(t.FORMAT_VERSION), "kind": make, LAST: ""}
                        rows[FIXED] = str(checksum(rows["format"], make))
                        connection.execute(
                            t.meta.insert(), [{"key": k, "value": v} for k, v in rows.items()]
                        )
                    return cls(layout, database, connection, _kind_of(connection, layout, database))
            except BaseException:
                connection.close()
                raise

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def connection(self) -> Connection:
        """The one connection, for statements inside a `transaction`."""
        return self._connection

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction; database errors become errors of the collection."""
        with self._database.errors(), self._connection.begin():
            yield self._connection

    def has_id(self, ids: list[str]) -> ColumnElement[bool]:
        """An item whose id is one of these."""
        return self._database.has_id(ids)

    def one_of(self, column: ColumnElement[str], texts: list[str]) -> ColumnElement[bool]:
        """A text that is one of these."""
        return self._database.one_of(column, texts)

    @property
    def place(self) -> str:
        """Where it is: "sqlite", or the address of the server without a password."""
        return self._database.name

    def n_bytes(self) -> int:
        """What it takes on disk."""
        with self.transaction() as connection:
            return self._database.n_bytes(connection)

    @property
    def is_local(self) -> bool:
        """Whether everybody who reads it does so by files that this machine's locks are on."""
        return self._database.is_local

    def shrink(self) -> None:
        """Give the space of deleted rows back."""
        self._database.shrink(self._connection)

    def discard(self) -> None:
        """Delete what is outside the folder, of a collection that never had a commit."""
        with self.transaction() as connection:
            self._database.discard(connection)

    # reading

    def last_commit(self) -> CommitRecord:
        """The newest commit; number 0 without items or model before the first."""
        last = select(t.meta.c.value).where(t.meta.c.key == LAST).scalar_subquery()
        newest = select(t.commits).order_by(t.commits.c.commit.desc()).limit(1).subquery()
        # one statement, so that both are of one moment
        query = select(last, newest).select_from(select(last).subquery().outerjoin(newest, true()))
        with self.transaction() as connection:
            stated, *found = connection.execute(query).one()
        if stated == "" and found == [None] * len(found):
            return CommitRecord(0, "", 0, None)
        record = _commit(found)
        if stated != str(found[-1]):
            raise self._damaged("commits: expected the last one", f"commit {record.commit}")
        return record

    def segments(self, commit: int) -> list[SegmentRecord]:
        """The segments visible at `commit`, by first row."""
        s = t.segments
        query = select(s).where(_visible(s, commit)).order_by(s.c.first_row)
        with self.transaction() as connection:
            found = connection.execute(query).all()
        records: list[SegmentRecord] = []
        next_row = 0
        for row in found:
            self._require_checksum(row, "segment")
            name, first, n, bits, size, sha256, *kept = row[:8]
            require_name(name, "segment")
            require_types((first, n, bits, size, sha256), int, int, int, int, str)
            require_number(first, next_row, MAX_ROW, "rows in order")
            next_row = first + require_number(n, 0, MAX_ROW, "a number of rows")
            require_number(bits, 8, MAX_BITS, "a number of bits")
            features = None
            if kept != [None, None]:
                require_types(kept, int, str)
                features = FileRecord(f"{name}{FEATURES}", *kept)
            codes = FileRecord(f"{name}.npy", size, sha256)
            records.append(SegmentRecord(name, first, n, bits, codes, features))
        if len({record.n_bits for record in records}) > 1:
            raise DamagedError(f"{self.layout.catalog}: expected codes of one length, got several")
        return records

    def model(self, name: str) -> ModelRecord:
        """The model of this name. Raises `DamagedError` if there is none."""
        with self.transaction() as connection:
            query = select(t.models).where(t.models.c.name == name)
            found = connection.execute(query).one_or_none()
        if found is None:
            raise DamagedError(
                f"{self.layout.root}: expected a model {name!r}, got none; index it again"
            )
        self._require_checksum(found, "model")
        require_name(found.name, "model")
        require_number(found.n_bits, 8, MAX_BITS, "a number of bits")
        files = {}
        for file, stored in require_object(found.files).items():
            require_types(stored if isinstance(stored, list) else [stored], int, str)
            files[require_name(file, "file")] = FileRecord(file, *stored)
        return ModelRecord(name, found.n_bits, files)

    def has_model(self, name: str, sha256: str) -> bool:
        """Whether there is a model of this name whose arrays have this digest, staged or not."""
        try:
            return self.model(name).sha256 == sha256
        except DamagedError:
            return False

    def removed_rows(self, commit: int) -> np.ndarray:
        """The rows of visible segments that are not visible at `commit`, sorted int64."""
        i = t.items.c
        first = select(func.min(t.segments.c.first_row)).where(_visible(t.segments, commit))
        query = (
            select(i.row, i.removed, i.removal)
            .where(i.removed.is_not(None), i.removed <= commit)
            .where(i.row >= first.scalar_subquery())
        )
        with self.transaction() as connection:
            found = connection.execute(query).all()
        for values in found:
            require_types(values, int, int, int)
        rows, removed, beside = np.array(found, np.int64).reshape(-1, 3).T
        if (removal(rows, removed) != beside).any():
            raise self._damaged("items: expected a removal as it was written", "another")
        return np.sort(rows)

    def live_rows(self, commit: int) -> np.ndarray:
        """The rows visible at `commit`, sorted int64: those of its segments, less the removed."""
        parts = []
        for segment in self.segments(commit):
            path = self.layout.segments / segment.file.name
            # a stranger's number of rows must not ask for more memory than there are codes
            if not path.is_file() or path.stat().st_size < segment.n_rows:
                raise self._damaged(f"{segment.n_rows} rows in {path}", "fewer")
            stop = segment.first_row + segment.n_rows
            parts.append(np.arange(segment.first_row, stop, dtype=np.int64))
        rows = np.concatenate(parts) if parts else np.empty(0, np.int64)
        removed = self.removed_rows(commit)
        if len(removed):
            at = np.searchsorted(rows, removed)  # both are sorted
            rows = np.delete(rows, at[np.append(rows, -1)[at] == removed])
        return rows

    def require_rows(self, rows: np.ndarray, commit: CommitRecord) -> None:
        """Raise `DamagedError` unless these are the rows that `commit` shows."""
        if len(rows) != commit.n_items or sum_of_rows(rows) != commit.rows_sum:
            raise self._damaged(
                f"expected {commit.n_items} items in commit {commit.commit}",
                f"{len(rows)}" if len(rows) != commit.n_items else "others",
            )

    def items(self, rows: Iterable[int]) -> dict[int, ItemRecord]:
        """The items of these rows. Raises `DamagedError` if one is missing or not as written."""
        found = {}
        wanted = 0
        with self.transaction() as connection:
            for chunk in chunks(rows, _CHUNK):
                wanted += len(chunk)
                query = select(t.items).where(t.items.c.row.in_(chunk))
                for row in connection.execute(query):
                    found[row.row] = self._checked(row)
        if len(found) != wanted:
            raise DamagedError(
                f"{self.layout.catalog}: expected {wanted} rows, got {len(found)}; "
                "restore the collection from a copy or index it again"
            )
        return found

    def first_by_id(self, rows: Iterable[int], count: int) -> list[int]:
        """The `count` of these rows whose ids come first, sorted by row."""
        if count < 1:
            return []
        pairs = [(record.id, row) for row, record in self.items(rows).items()]
        return sorted(row for _, row in nsmallest(count, pairs))

    def versions(self, ids: Iterable[str]) -> list[tuple[str, int]]:
        """Id and row of all that have one of these ids, whatever commit shows them; unchecked."""
        found = []
        with self.transaction() as connection:
            for chunk in chunks(filter(is_storable, ids), _CHUNK):
                query = select(t.items.c.id, t.items.c.row).where(self._database.has_id(chunk))
                for item_id, row in connection.execute(query):
                    require_types((item_id, row), str, int)
                    found.append((item_id, row))
        return found

    def rows(self, ids: Iterable[str], commit: int) -> dict[str, int]:
        """The row of each id that is visible at `commit`; unknown ids are left out."""
        found: dict[str, int] = {}
        with self.transaction() as connection:
            for chunk in chunks(filter(is_storable, ids), _CHUNK):
                query = select(t.items.c.id, t.items.c.row).where(
                    self._database.has_id(chunk), _visible(t.items, commit)
                )
                for item_id, row in connection.execute(query):
                    require_types((item_id, row), str, int)
                    found[item_id] = row
        return found

    def rows_where(self, condition: Condition) -> np.ndarray:
        """The rows, at whatever commit, whose items satisfy the condition, sorted int64."""
        with self.transaction() as connection:
            query = select(t.items.c.row).where(self._database.where(connection, condition, true()))
            # an index may be damaged where the rows are not; they are all read anyway
            query = query.with_hint(t.items, "NOT INDEXED", "sqlite")
            found = connection.execute(query).scalars().all()
        require_types(found, *[int] * len(found))
        return np.sort(np.array(found, np.int64))

    def item_pages(
        self, commit: int, page: int = 1000, where: Condition | None = None
    ) -> Iterator[list[ItemRecord]]:
        """All items visible at `commit` that satisfy `where`, ordered by id, a page at a time."""
        visible = _visible(t.items, commit)
        wanted = select(t.items).where(visible).order_by(*self._database.by_id()).limit(page)
        if where is not None:
            with self.transaction() as connection:
                wanted = wanted.where(self._database.where(connection, where, visible))
        query = wanted
        while True:
            with self.transaction() as connection:
                found = connection.execute(query).all()
            if not found:
                return
            query = wanted.where(self._database.after_id(found[-1].id))
            yield [self._checked(row) for row in found]

    def faults(self) -> list[str]:
        """What the database itself finds wrong with what it keeps; empty if nothing."""
        with self.transaction() as connection:
            return self._database.faults(connection)

    def examined_rows(self, commit: int) -> Iterator[tuple[int, DamagedError | None]]:
        """Each row visible at `commit`, with what is wrong with it, or None."""
        after = -1
        while True:
            query = select(t.items).where(_visible(t.items, commit), t.items.c.row > after)
            with self.transaction() as connection:
                found = connection.execute(query.order_by(t.items.c.row).limit(1000)).all()
            if not found:
                return
            after = found[-1].row
            for row in found:
                try:
                    self._checked(row)
                except DamagedError as error:
                    yield row.row, error
                else:
                    yield row.row, None

    def ids_of_rows(self, rows: Iterable[int]) -> list[str]:
        """The ids that stand in these rows, unchecked, sorted: for saying what is lost."""
        with self.transaction() as connection:
            found = [
                str(item_id)
                for chunk in chunks(rows, _CHUNK)
                for item_id in connection.execute(
                    select(t.items.c.id).where(t.items.c.row.in_(chunk))
                ).scalars()
            ]
        return sorted(found)

    def commits(self) -> list[CommitRecord]:
        """All commits, newest first."""
        with self.transaction() as connection:
            found = connection.execute(select(t.commits).order_by(t.commits.c.commit.desc())).all()
        return [_commit(row) for row in found]

    def _checked(self, row: Any) -> ItemRecord:
        content = (row.row, row.id, row.content_hash, row.metadata, row.preview, row.added)
        require_types(content, int, str, bytes, str, str, int)
        beside = None
        if row.removed is not None:
            require_types((row.removed,), int)
            beside = removal(row.row, row.removed)
        if checksum(*content) != row.checksum or beside != row.removal:
            raise self._damaged(f"row {row.row}: expected its checksum to agree", "another")
        return ItemRecord(
            row.row, row.id, row.content_hash, require_object(row.metadata), row.preview
        )

    def _require_checksum(self, row: Any, noun: str) -> None:
        """Of a whole row whose last column is its checksum."""
        if checksum(*row[:-1]) != row[-1]:
            raise self._damaged(f"{noun} {row[0]!r:.80}: expected its checksum to agree", "another")

    def _damaged(self, expected: str, got: str) -> DamagedError:
        return DamagedError(
            f"{self.layout.catalog}: {expected}, got {got}; `hashret verify` names the damage, "
            "`hashret repair` rescues what is sound"
        )

    # writing

    def forget_after(self, commit: int) -> None:
        """Make `commit` the last one again; the caller holds the writer lock."""
        with self.transaction() as connection:
            connection.execute(t.commits.delete().where(t.commits.c.commit > commit))
            sums = connection.execute(
                select(t.commits.c.checksum).where(t.commits.c.commit == commit)
            )
            self.set_last(sums.scalar_one())

    def set_last(self, commit_checksum: int) -> None:
        """Say, within a transaction, which commit is the last one, by its row's checksum."""
        statement = t.meta.update().where(t.meta.c.key == LAST).values(value=str(commit_checksum))
        self._connection.execute(statement)

    def begin(self, *, keep: bool = False, refitted: bool = False) -> Staging:
        """Begin the next commit, cleaning up what a dead writer left. The lock is the caller's.

        With `keep`, go on from what that one had staged: the caller knows that it did the same.
        """
        from hashret.store.catalog_staging import Staging

        return Staging(self, keep=keep, refitted=refitted)


def _commit(row: Sequence[Any]) -> CommitRecord:
    """The commit of a row of `commits`, of the right types and with the right checksum."""
    require_types(row, int, str, int, str, int, int)
    if checksum(*row[:-1]) != row[-1]:
        raise DamagedError(f"catalog: commit {row[0]}: expected its checksum to agree, got another")
    return CommitRecord(*row[:-1])


def _database(layout: Layout, given: str | None) -> Database:
    """The database that the folder says; raises InputError where another one is asked for."""
    if layout.server.is_file():
        return database_of(layout, read_address(layout, given))
    if given is not None and layout.sqlite.is_file():
        raise InputError(
            f"--catalog: expected none, since the catalog of {layout.root} is in its folder, got "
            "an address; leave it out, or index into another collection"
        )
    return database_of(layout, None)


def _kind_of(connection: Connection, layout: Layout, database: Database) -> str:
    """The kind of the items, once the format and the schema are known to be ours."""
    database.require_table(connection, t.meta)
    facts = {row.key: row.value for row in connection.execute(select(t.meta))}
    if facts.get("format") != str(t.FORMAT_VERSION):
        raise FormatVersionError(
            f"{layout.root}: expected format {t.FORMAT_VERSION}, got {facts.get('format')!r}; "
            "open it with the hashret that wrote it"
        )
    database.require_schema(connection)
    kind = require_name(facts.get("kind"), "kind")
    if facts.get(FIXED) != str(checksum(facts["format"], kind)):
        raise DamagedError(f"{layout.catalog}: kind {kind!r}: expected its checksum to agree")
    return kind


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in lists of at most `size`."""
    stream = iter(values)
    while chunk := list(islice(stream, size)):
        yield chunk


def _visible(table: Any, commit: int) -> Any:
    return (table.c.added <= commit) & or_(table.c.removed.is_(None), table.c.removed > commit)
