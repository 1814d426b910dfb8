"""The catalog: which items, segments and models there are, at which commit.

Reading is by snapshot: every question names a commit, and what a writer stages meanwhile has a
higher number. Writing is `hashret.store.catalog_staging.Staging`. SQLite in rollback-journal mode
with full synchronisation, through SQLAlchemy Core.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from heapq import nsmallest
from itertools import islice
from typing import TYPE_CHECKING, Any, Self, TypeVar

import numpy as np
from sqlalchemy import Connection, Engine, create_engine, event, exc, func, or_, select
from sqlalchemy.pool import NullPool

from hashret.errors import DamagedError, FormatVersionError, NotACollectionError
from hashret.store import catalog_tables as t
from hashret.store.files import FileRecord
from hashret.store.layout import Layout
from hashret.store.model_files import ModelRecord
from hashret.store.segments import SegmentRecord

if TYPE_CHECKING:
    from hashret.store.catalog_staging import Staging

T = TypeVar("T")
_CHUNK = 500  # bound values of one statement
_BUSY_SECONDS = 30.0  # a writer's last transaction is short; wait for it rather than fail


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


class Catalog:
    """The catalog of one collection, open for reading or, by its one writer, for writing."""

    def __init__(self, layout: Layout, engine: Engine, kind: str):
        self.layout = layout
        self.kind = kind
        self._engine = engine
        self._connection = engine.connect()

    @classmethod
    def open(cls, layout: Layout, *, write: bool = False) -> Self:
        """Open the catalog of an existing collection.

        Raises `NotACollectionError`, `FormatVersionError` or `DamagedError`.
        """
        engine = _engine(layout, write)
        try:
            with engine.connect() as connection, _errors(layout), connection.begin():
                facts = {row.key: row.value for row in connection.execute(select(t.meta))}
        except BaseException:
            engine.dispose()
            raise
        if facts.get("format") != str(t.FORMAT_VERSION) or "kind" not in facts:
            engine.dispose()
            raise FormatVersionError(
                f"{layout.root}: expected format {t.FORMAT_VERSION}, got {facts.get('format')!r}; "
                "open it with the hashret that wrote it"
            )
        return cls(layout, engine, facts["kind"])

    @classmethod
    def create(cls, layout: Layout, kind: str) -> Self:
        """The catalog of `layout`, made first if it is not there, open for writing."""
        if not layout.catalog.exists():
            engine = _engine(layout, write=True)
            with engine.begin() as connection:
                t.metadata.create_all(connection)
                rows = {"format": str(t.FORMAT_VERSION), "kind": kind}
                connection.execute(
                    t.meta.insert(), [{"key": k, "value": v} for k, v in rows.items()]
                )
            engine.dispose()
        return cls.open(layout, write=True)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
        self._engine.dispose()

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
        with _errors(self.layout), self._connection.begin():
            yield self._connection

    # reading

    def last_commit(self) -> CommitRecord:
        """The newest commit; number 0 without items or model before the first."""
        query = select(t.commits).order_by(t.commits.c.commit.desc()).limit(1)
        with self.transaction() as connection:
            found = connection.execute(query).one_or_none()
        return CommitRecord(*found) if found else CommitRecord(0, "", 0, None)

    def segments(self, commit: int) -> list[SegmentRecord]:
        """The segments visible at `commit`, by first row."""
        s = t.segments
        columns = (s.c.name, s.c.first_row, s.c.n_rows, s.c.n_bits, s.c.size, s.c.sha256)
        query = select(*columns).where(_visible(s, commit)).order_by(s.c.first_row)
        with self.transaction() as connection:
            found = connection.execute(query).all()
        return [
            SegmentRecord(name, first, n, bits, FileRecord(f"{name}.npy", size, sha256))
            for name, first, n, bits, size, sha256 in found
        ]

    def model(self, name: str) -> ModelRecord:
        """The model of this name. Raises `DamagedError` if there is none."""
        with self.transaction() as connection:
            query = select(t.models).where(t.models.c.name == name)
            found = connection.execute(query).one_or_none()
        if found is None:
            raise DamagedError(
                f"{self.layout.root}: expected a model {name!r}, got none; index it again"
            )
        files = {n: FileRecord(n, size, sha) for n, (size, sha) in json.loads(found.files).items()}
        return ModelRecord(name, found.n_bits, files)

    def removed_rows(self, commit: int) -> np.ndarray:
        """The rows of visible segments that are not visible at `commit`, sorted int64."""
        first = select(func.min(t.segments.c.first_row)).where(_visible(t.segments, commit))
        query = (
            select(t.items.c.row)
            .where(t.items.c.removed.is_not(None), t.items.c.removed <= commit)
            .where(t.items.c.row >= first.scalar_subquery())
        )
        with self.transaction() as connection:
            return np.sort(np.array(connection.execute(query).scalars().all(), np.int64))

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
        columns = t.items.c.id, t.items.c.row
        pairs: list[tuple[str, int]] = []
        if count > 0:
            with self.transaction() as connection:
                for chunk in chunks(rows, _CHUNK):
                    query = select(*columns).where(t.items.c.row.in_(chunk))
                    pairs += [(item_id, row) for item_id, row in connection.execute(query)]
        return sorted(row for _, row in nsmallest(count, pairs))

    def rows(self, ids: Iterable[str], commit: int) -> dict[str, int]:
        """The row of each id that is visible at `commit`; unknown ids are left out."""
        found: dict[str, int] = {}
        with self.transaction() as connection:
            for chunk in chunks(filter(is_storable, ids), _CHUNK):
                query = select(t.items.c.id, t.items.c.row).where(
                    t.items.c.id.in_(chunk), _visible(t.items, commit)
                )
                found.update((row.id, row.row) for row in connection.execute(query))
        return found

    def item_pages(self, commit: int, page: int = 1000) -> Iterator[list[ItemRecord]]:
        """All items visible at `commit`, ordered by id, a page at a time."""
        after = None
        while True:
            query = select(t.items).where(_visible(t.items, commit)).order_by(t.items.c.id)
            if after is not None:
                query = query.where(t.items.c.id > after)
            with self.transaction() as connection:
                found = connection.execute(query.limit(page)).all()
            if not found:
                return
            after = found[-1].id
            yield [self._checked(row) for row in found]

    def _checked(self, row: Any) -> ItemRecord:
        content = (row.row, row.id, row.content_hash, row.metadata, row.preview, row.added)
        if row_checksum(*content) != row.checksum:
            raise DamagedError(
                f"{self.layout.catalog}: row {row.row}: expected its checksum to agree, got "
                "another; restore the collection from a copy or index it again"
            )
        return ItemRecord(
            row.row, row.id, bytes(row.content_hash), json.loads(row.metadata), row.preview
        )

    # writing

    def begin(self) -> Staging:
        """Begin the next commit, cleaning up what a dead writer left. The lock is the caller's."""
        from hashret.store.catalog_staging import Staging

        return Staging(self)


def row_checksum(
    row: int, item_id: str, content_hash: bytes, metadata: str, preview: str, added: int
) -> int:
    """The first 8 bytes, signed, of BLAKE2b over everything an item's row says."""
    digest = hashlib.blake2b(digest_size=8)
    for part in (str(row).encode(), item_id.encode(), content_hash, metadata.encode()):
        digest.update(len(part).to_bytes(8, "little") + part)
    digest.update(preview.encode() + str(added).encode())
    return int.from_bytes(digest.digest(), "little", signed=True)


def is_storable(text: str) -> bool:
    """Whether a string can stand in the catalog: lone surrogates and NUL cannot."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return "\0" not in text


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in lists of at most `size`."""
    stream = iter(values)
    while chunk := list(islice(stream, size)):
        yield chunk


def _visible(table: Any, commit: int) -> Any:
    return (table.c.added <= commit) & or_(table.c.removed.is_(None), table.c.removed > commit)


def _engine(layout: Layout, write: bool) -> Engine:
    # A reader may have to roll back what a killed writer left half done, so it opens for writing
    # where it may, and is kept from changing anything by query_only.
    writable = os.access(layout.root, os.W_OK) and (
        os.access(layout.catalog, os.W_OK) or not layout.catalog.exists()
    )
    mode = "rwc" if write else ("rw" if writable else "ro")
    uri = f"{layout.catalog.absolute().as_uri()}?mode={mode}"

    def connect() -> sqlite3.Connection:
        # by the URI itself: in a database URL a "#" or "?" of the path would be read as its end
        return sqlite3.connect(
            uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
        )

    engine = create_engine("sqlite://", creator=connect, poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _settings(connection: sqlite3.Connection, _: Any) -> None:
        if write:
            connection.execute("PRAGMA journal_mode=DELETE")
            connection.execute("PRAGMA synchronous=FULL")
        else:
            connection.execute("PRAGMA query_only=ON")
        connection.execute("PRAGMA trusted_schema=OFF")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


@contextmanager
def _errors(layout: Layout) -> Iterator[None]:
    try:
        yield
    except exc.OperationalError as error:
        message = str(error.orig)
        if "no such table" in message:
            raise NotACollectionError(
                f"{layout.catalog}: expected a hashret catalog, got another SQLite database; "
                "choose another path"
            ) from error
        raise OSError(f"{layout.catalog}: {message}") from error
    except exc.DatabaseError as error:
        if isinstance(error, exc.IntegrityError):
            raise
        raise DamagedError(
            f"{layout.catalog}: expected a sound SQLite database, got {error.orig}; "
            "restore the collection from a copy or index it again"
        ) from error
