"""The catalog as an SQLite file in the collection's folder, in rollback-journal mode."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache, partial
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sqlalchemy import (
    Connection,
    Engine,
    MetaData,
    Table,
    create_engine,
    event,
    exc,
)
from sqlalchemy.engine import Dialect
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateIndex, CreateTable

from hashret.errors import HashretError, NotACollectionError
from hashret.store.catalog import tables as t
from hashret.store.catalog.sqlite_guard import require_schema, require_sqlite, restrain, vacuum
from hashret.store.disk.damage import damaged
from hashret.store.disk.refusals import sqlite_error
from hashret.store.layout import Layout

_SOUND = "a sound SQLite database"
_BUSY_SECONDS = 30.0  # a writer's last transaction is short; wait for it rather than fail

#: The file that a connection is being made to.
_FILE: ContextVar[Path] = ContextVar("_FILE")


@cache
def _engine(write: bool) -> Engine:
    """Makes connections to the file that `_FILE` says.

    One for all files: an engine compiles each statement when it first meets it, which is two
    fifths of the time that opening a small collection takes.
    """
    engine = create_engine("sqlite://", creator=partial(_connect, write), poolclass=NullPool)

    @event.listens_for(engine, "connect")
    def _settings(connection: sqlite3.Connection, _: Any) -> None:
        if write:
            connection.execute("PRAGMA journal_mode=DELETE")
            # more than FULL: the folder is synced after the journal is deleted, else a power
            # loss could bring the journal back, and with it undo what was acknowledged
            connection.execute("PRAGMA synchronous=EXTRA")
        else:
            connection.execute("PRAGMA query_only=ON")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    return engine


def _connect(write: bool) -> sqlite3.Connection:
    path = _FILE.get()
    # A reader may have to roll back what a killed writer left half done, so it opens for
    # writing where it may, and is kept from changing anything by query_only.
    writable = os.access(path.parent, os.W_OK) and (os.access(path, os.W_OK) or not path.exists())
    mode = "rwc" if write else ("rw" if writable else "ro")
    # by the URI itself: in a database URL a "#" or "?" of the path would be read as its end
    uri = f"{path.absolute().as_uri()}?mode={mode}"
    require_sqlite(path, write=write)
    connection = sqlite3.connect(
        uri, uri=True, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False
    )
    restrain(connection)
    return connection


class SqliteDatabase:
    """A file. A catalog on a server has the same methods (`PostgresqlDatabase`).

    `name` is what a user sees, without a password; `is_local` says whether everybody who reads it
    does so by files that this machine's locks are on.
    """

    name = "sqlite"
    is_local = True

    def __init__(self, layout: Layout):
        self._layout = layout

    def connect(self, write: bool, wait_seconds: float) -> Connection:
        """A connection for reading, or the one of a writer that has waited for its turn.

        A reader's can change nothing.
        """
        # The writer is alone by the lock of the folder: nothing to wait for here.
        token = _FILE.set(self._layout.catalog)
        try:
            return _engine(write).connect()
        finally:
            _FILE.reset(token)

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Within it, errors of the database become errors of the collection."""
        catalog = self._layout.catalog
        try:
            yield
        except exc.OperationalError as error:
            message = str(error.orig)
            if "no such table" in message:
                raise self._without_tables() from error
            if "Could not decode" in message:
                raise damaged(catalog, "UTF-8", "another text") from error
            raise sqlite_error(catalog, error.orig) from error
        except UnicodeDecodeError as error:  # of a message of SQLite that quotes the damage
            raise damaged(catalog, _SOUND, "text that is not UTF-8") from error
        except exc.DatabaseError as error:
            if isinstance(error, exc.IntegrityError):
                raise
            raise damaged(catalog, _SOUND, error.orig) from error

    def _without_tables(self) -> HashretError:
        layout = self._layout
        if layout.has_data:
            expected = "the catalog of the codes and models beside it"
            remedy = "put it back from a copy, or see `hashret repair`"
            return damaged(layout.catalog, expected, "a database without its tables", remedy)
        if not layout.has_catalog:  # rolled back to nothing
            return NotACollectionError(
                f"{layout.root}: expected a collection, got one whose making was interrupted; "
                f"make one with `hashret index SOURCE --to {layout.root}`"
            )
        return NotACollectionError(
            f"{layout.catalog}: expected a hashret catalog, got another SQLite database; "
            "choose another path"
        )

    def is_made(self, connection: Connection) -> bool:
        """Whether the tables are there, all of them: they are made in one transaction.

        A writer that died while it made them leaves an empty database, or one that SQLite rolls
        back to empty.
        """
        return bool(connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").all())

    def make(self, connection: Connection) -> None:
        """Make the tables."""
        t.metadata.create_all(connection)

    def require_table(self, connection: Connection, table: Table) -> None:
        """Raise `DamagedError` if this table, where it stands, is not as hashret makes it."""
        found = [row for row in _schema(connection) if row[1] == table.name]
        require_schema(found, _statements(table.metadata, connection.dialect))

    def require_schema(self, connection: Connection, tables: MetaData) -> None:
        """Raise `DamagedError` if there is anything but these tables and their indexes."""
        require_schema(_schema(connection), _statements(tables, connection.dialect))

    def faults(self, connection: Connection) -> list[str]:
        """What the database itself finds wrong with what it keeps, at most ten."""
        found = connection.exec_driver_sql("PRAGMA integrity_check(10)").scalars().all()
        return [f"SQLite: {fault}" for fault in found if fault != "ok"]

    def n_bytes(self, connection: Connection) -> int:
        """What the catalog takes on disk."""
        return self._layout.catalog.stat().st_size

    def shrink(self, connection: Connection) -> None:
        """Give the space of deleted rows back, outside of a transaction."""
        database = connection.connection.driver_connection
        if not isinstance(database, sqlite3.Connection):
            raise TypeError(f"connection: expected one of sqlite3, got {type(database).__name__}")
        try:
            vacuum(database)
        except sqlite3.Error as error:
            raise sqlite_error(self._layout.catalog, error) from error

    def discard(self, connection: Connection) -> None:
        """Delete what is outside the folder, of a collection without a commit: nothing."""


def _schema(connection: Connection) -> list[tuple[Any, Any, Any]]:
    """The (type, name, SQL) of everything that is in the database."""
    found = connection.exec_driver_sql("SELECT type, name, sql FROM sqlite_master").all()
    return [(kind, name, sql) for kind, name, sql in found]


@lru_cache(maxsize=4)  # of the readers' engine and of the writers', for two formats
def _statements(tables: MetaData, dialect: Dialect) -> Mapping[str, str]:
    """The statement that makes each of these tables, and each of their indexes, by name."""
    made: dict[str, str] = {}
    for table in tables.tables.values():
        made[table.name] = str(CreateTable(table).compile(dialect=dialect))
        for index in table.indexes:
            made[str(index.name)] = str(CreateIndex(index).compile(dialect=dialect))
    return MappingProxyType(made)
