"""The catalog as a schema of a PostgreSQL database; codes and models stay files of the folder.

The commit is the server's: what it acknowledges is as durable as `fsync` and `synchronous_commit`
make it there, and every file that a row names was synced before. A connection that is lost takes
its session's advisory lock with it, so a writer never goes on with another one: it ends, and
what it had not committed is cleaned up by the next.
"""

from __future__ import annotations

import os
import platform
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from sqlalchemy import (
    Connection,
    MetaData,
    Table,
    create_engine,
    event,
    exc,
    select,
    text,
)
from sqlalchemy.pool import NullPool
from sqlalchemy.schema import CreateSchema, DropSchema

from hashret.errors import (
    CatalogServerError,
    DamagedError,
    DurabilityWarning,
    LockedError,
    MissingExtraError,
    NotACollectionError,
)
from hashret.store.catalog import tables as t
from hashret.store.catalog.address import Address
from hashret.store.disk.damage import damaged
from hashret.store.layout import Layout

_CONNECT_SECONDS = 10
_POLL_SECONDS = 0.1
# A writer that was killed keeps its lock until the server notices; the folder's is free at once.
_GRACE_SECONDS = 5.0
_KEEPALIVES = {"keepalives_idle": 30, "keepalives_interval": 10, "keepalives_count": 3}
_READER = {
    "default_transaction_read_only": "on",
    "default_transaction_isolation": "repeatable read",
}
_WRITER = {
    "lock_timeout": "30s",
    # so soon the server notices that a writer's machine is gone, and frees its lock
    **{f"tcp_{name}": str(value) for name, value in _KEEPALIVES.items()},
}
LOST = "nothing was lost that was committed; run it again"
_UNDEFINED = ("3F000", "42P01")  # no such schema, no such table
_CORRUPTED = ("XX001", "XX002")


class PostgresqlDatabase:
    """A schema; `SqliteDatabase` has the same methods, and says what each is for."""

    is_local = False

    def __init__(self, layout: Layout, address: Address):
        self._layout = layout
        self._address = address
        self.name = address.shown

    def connect(self, write: bool, wait_seconds: float) -> Connection:
        """A connection of a reader, or the one of a writer, which holds the collection's lock."""
        role = "writer" if write else "reader"
        try:
            engine = create_engine(
                self._address.url,
                poolclass=NullPool,
                connect_args={
                    "connect_timeout": _CONNECT_SECONDS,
                    **_KEEPALIVES,  # so soon a client notices that the server's machine is gone
                    "application_name": f"hashret {role}, process {os.getpid()} on "
                    f"{platform.node()}"[:63],
                },
                execution_options={
                    "schema_translate_map": {None: self._address.schema, "temp": "pg_temp"}
                },
            )
        except ImportError as error:
            raise MissingExtraError(
                f"--catalog: expected psycopg for PostgreSQL, got {error}; install "
                "hashret[postgresql]"
            ) from error
        begun: list[float] = []

        @event.listens_for(engine, "do_connect")
        def _connect(dialect: Any, _: Any, arguments: Any, options: Any) -> Any:
            if begun and write:
                raise self._error("a connection that was lost", LOST)
            begun.append(time.monotonic())
            connection = dialect.connect(*arguments, **options)
            try:
                with connection.cursor() as cursor:
                    _set(cursor, _WRITER if write else _READER)
                    if write:
                        self._require_durable(cursor)
                        self._lock(cursor, begun[0] + max(wait_seconds, _GRACE_SECONDS))
                connection.commit()
            except BaseException:
                connection.close()
                raise
            return connection

        return engine.connect()

    def _require_durable(self, cursor: Any) -> None:
        """Never acknowledge what is not on the server's disk yet, as far as a session can say."""
        cursor.execute(
            "SELECT set_config('synchronous_commit', 'on', false) "
            "WHERE current_setting('synchronous_commit') = 'off'"
        )
        cursor.execute("SELECT current_setting('fsync'), current_setting('full_page_writes')")
        if cursor.fetchone() != ("on", "on"):
            warnings.warn(
                f"{self.name}: expected fsync = on and full_page_writes = on, got a server "
                "without; what it acknowledges may not survive a crash of its machine",
                DurabilityWarning,
                stacklevel=2,
            )

    def _lock(self, cursor: Any, deadline: float) -> None:
        """Be the one writer, on whatever machine; the server frees the lock of the dead."""
        key = (int(self._address.schema[-16:], 16) ^ (1 << 63)) - (1 << 63)
        while True:
            cursor.execute("SELECT pg_try_advisory_lock(%s::bigint)", (key,))
            if cursor.fetchone()[0]:
                return
            if time.monotonic() >= deadline:
                break
            cursor.connection.commit()
            time.sleep(_POLL_SECONDS)
        cursor.execute(
            "SELECT application_name, backend_start FROM pg_stat_activity JOIN pg_locks "
            "USING (pid) WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
            "AND classid::bigint << 32 | objid::bigint = %s::bigint",
            (key,),
        )
        found = cursor.fetchone()
        who = f"{found[0]} since {found[1]:%Y-%m-%dT%H:%M:%S%z}" if found else "one that just left"
        raise LockedError(
            f"{self._layout.root}: expected no other writer, got {who}; wait for it, or pass "
            "--wait SECONDS"
        )

    @contextmanager
    def errors(self) -> Iterator[None]:
        """As in SQLite; a lost or refusing server is a `CatalogServerError`."""
        try:
            yield
        except exc.IntegrityError:
            raise
        except exc.DBAPIError as error:
            state = str(getattr(error.orig, "sqlstate", "") or "")
            said = " ".join(str(error.orig).split())
            if state in _UNDEFINED:
                raise NotACollectionError(
                    f"{self._layout.root}: expected its catalog at {self.name}, got none in the "
                    f"schema {self._address.schema}; is it another database?"
                ) from error
            if state in _CORRUPTED:
                remedy = "restore the database"
                raise damaged(self.name, "sound tables", said, remedy) from error
            raise self._error(said, LOST) from error

    def _error(self, got: str, remedy: str) -> CatalogServerError:
        return CatalogServerError(
            f"{self._layout.root}: expected its catalog at {self.name}, got {got}; {remedy}"
        )

    def is_made(self, connection: Connection) -> bool:
        """Whether the schema is there: it is made with its tables, in one transaction."""
        query = text("SELECT 1 FROM pg_catalog.pg_namespace WHERE nspname = :schema")
        return bool(connection.execute(query, {"schema": self._address.schema}).all())

    def make(self, connection: Connection) -> None:
        """Make the schema and its tables; refuses a database that cannot hold every text."""
        encoding = connection.execute(text("SHOW server_encoding")).scalar()
        if encoding != "UTF8":
            raise CatalogServerError(
                f"{self.name}: expected a database in UTF8, got one in {encoding}; make one with "
                "`createdb --encoding UTF8 --template template0 NAME`"
            )
        connection.execute(CreateSchema(self._address.schema))
        t.metadata.create_all(connection)

    def require_table(self, connection: Connection, table: Table) -> None:
        """Raise `DamagedError` if a table is not as hashret makes it."""
        found = self._columns(connection)
        if table.name in found and found[table.name] != _expected(connection, table):
            raise self._other(table.name)

    def require_schema(self, connection: Connection, tables: MetaData) -> None:
        """Raise `DamagedError` unless there are these tables, all of them and no other."""
        found = self._columns(connection)
        for name in sorted(found.keys() | tables.tables.keys()):
            table = tables.tables.get(name)
            if table is None or found.get(name) != _expected(connection, table):
                raise self._other(name)

    def _columns(self, connection: Connection) -> dict[str, list[tuple[str, str]]]:
        """The columns of each table or view of the schema, with their types, in order."""
        query = text(
            "SELECT c.relname, c.relkind::text, a.attname, format_type(a.atttypid, a.atttypmod) "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "JOIN pg_catalog.pg_attribute a ON a.attrelid = c.oid "
            "WHERE n.nspname = :schema AND c.relkind NOT IN ('i', 'I') "
            "AND a.attnum > 0 AND NOT a.attisdropped ORDER BY c.relname, a.attnum"
        )
        found: dict[str, list[tuple[str, str]]] = {}
        for table, kind, *column in connection.execute(query, {"schema": self._address.schema}):
            # what is no plain table is known by no name
            name = table if kind == "r" else f"{table} of kind {kind}"
            found.setdefault(name, []).append((column[0], column[1]))
        return found

    def _other(self, name: str) -> DamagedError:
        where, got = f"{self.name}: schema {self._address.schema}", f"another {name!r:.80}"
        remedy = "restore the database or index it again"
        return damaged(where, "hashret's own tables", got, remedy)

    def faults(self, connection: Connection) -> list[str]:
        """Indexes that the server itself holds invalid; rows have checksums of their own."""
        query = text(
            "SELECT c.relname FROM pg_catalog.pg_index x "
            "JOIN pg_catalog.pg_class c ON c.oid = x.indexrelid "
            "JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = :schema AND NOT x.indisvalid LIMIT 10"
        )
        found = connection.execute(query, {"schema": self._address.schema}).scalars()
        return [f"PostgreSQL: the index {name} is not valid; REINDEX it" for name in found]

    def n_bytes(self, connection: Connection) -> int:
        """Tables and indexes of the schema."""
        query = text(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint "
            "FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace "
            "WHERE n.nspname = :schema AND c.relkind = 'r'"
        )
        return int(connection.execute(query, {"schema": self._address.schema}).scalar_one())

    def shrink(self, connection: Connection) -> None:
        """Nothing: the server's own vacuum does."""

    def discard(self, connection: Connection) -> None:
        """Drop the schema; only ever of a collection that never had a commit."""
        if not connection.execute(select(t.commits.c.commit).limit(1)).all():
            connection.execute(DropSchema(self._address.schema, cascade=True))


def _set(cursor: Any, settings: dict[str, str]) -> None:
    """Set what holds until the connection ends."""
    calls = ", ".join(["set_config(%s, %s, false)"] * len(settings))
    cursor.execute(f"SELECT {calls}", [part for setting in settings.items() for part in setting])


def _expected(connection: Connection, table: Table) -> list[tuple[str, str]]:
    types = {"VARCHAR": "character varying", "TEXT": "text", "BIGINT": "bigint", "BYTEA": "bytea"}
    return [
        (c.name, types[c.type.compile(dialect=connection.dialect).split()[0]])
        for c in table.columns
    ]
