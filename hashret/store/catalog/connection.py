"""The database of a collection's catalog: opened or made, asked in transactions, closed."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Self, cast

from sqlalchemy import Connection, select

from hashret.errors import CollectionError, FormatVersionError, InputError
from hashret.kinds import KINDS
from hashret.store.catalog import tables as t
from hashret.store.catalog.address import (
    from_environment,
    new_address,
    read_address,
    settle,
    write_address,
)
from hashret.store.catalog.records import (
    DISAGREES,
    FIXED,
    FOLDERS,
    LAST,
    MOST_FOLDERS,
    SourceFolder,
    checksum,
    folders_of,
    require_name,
    unlike,
    value_of_folders,
)
from hashret.store.layout import Layout
from hashret.store.opened_folder import OpenedFolder

if TYPE_CHECKING:
    from hashret.store.catalog.postgresql import PostgresqlDatabase
    from hashret.store.catalog.sqlite import SqliteDatabase

    Database = SqliteDatabase | PostgresqlDatabase

#: What a writer is told whose folder is no longer there.
NOT_WRITTEN = "nothing was committed; open it again and do it once more"
# The format before this one, which is read and rewritten (`hashret.store.catalog.former`).
_FORMER = "2"


class CatalogConnection:
    """One connection to the database that a catalog is in, for a reader or for the one writer."""

    def __init__(
        self,
        layout: Layout,
        database: Database,
        connection: Connection,
        kind: str,
        folders: tuple[SourceFolder, ...] | None,
        *,
        write: bool,
    ):
        self.layout = layout
        self.kind = kind
        #: The folders that were indexed; None where what is said of them is damaged.
        self.folders = folders
        #: The format that the collection had until it was opened for writing, if another.
        self.rewritten_from: int | None = None
        #: What stood at the path when the catalog was opened.
        self.folder = OpenedFolder(layout)
        #: Where it is: "sqlite", or the address of the server without a password.
        self.place = database.name
        #: Whether everybody who reads it does so by files that this machine's locks are on.
        self.is_local = database.is_local
        self._database = database
        self._connection = connection
        self._writes = write
        self._process = os.getpid()
        self._is_closed = False

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
        and a writer waits so long for another one. One of the former format is read as it is, and
        rewritten before it is written into (`rewritten_from`). Raises `NotACollectionError`,
        `FormatVersionError`, `DamagedError`, `CatalogServerError` or `LockedError`; InputError
        for the address of a server where the catalog is in the folder.
        """
        layout.require_catalog()
        return cls._opened(layout, address, write, wait_seconds)

    @classmethod
    def open_if_made(cls, layout: Layout, *, address: str | None = None) -> Self | None:
        """As `open` for reading; None where there is no catalog yet.

        Nor is there where a killed writer left its file without a table.
        """
        layout.require_catalog()
        if not layout.has_catalog:
            return None
        database = _database(layout, address)
        with (
            database.errors(),
            closing(database.connect(False, 0.0)) as connection,
            connection.begin(),
        ):
            is_made = database.is_made(connection)
        if not is_made and not layout.has_data:
            return None
        return cls.open(layout, address=address)

    @classmethod
    def create(
        cls, layout: Layout, kind: str, *, address: str | None = None, wait_seconds: float = 0.0
    ) -> Self:
        """The catalog of `layout`, made first if it is not there, open for writing.

        In the folder, or on the server at `address`; what is there already stays where it is.
        Raises `DamagedError` for codes or models without the catalog that they had: the next
        writer would delete them.
        """
        layout.require_catalog()
        if not Layout.exists(layout.root) and (chosen := address or from_environment()):
            write_address(layout, new_address(chosen))  # first: no schema that nobody knows of
        return cls._opened(layout, address, True, wait_seconds, kind)

    @classmethod
    def _opened(
        cls,
        layout: Layout,
        address: str | None,
        write: bool,
        wait_seconds: float,
        make: str | None = None,
    ) -> Self:
        database = _database(layout, address)
        with database.errors():
            connection = database.connect(write, wait_seconds)
            try:
                with connection.begin():
                    # beside data that are not of it a new catalog would have them deleted
                    if make and not database.is_made(connection) and not layout.has_data:
                        database.make(connection)
                        connection.execute(t.meta.insert(), facts(make))
                    version, kind, folders = _known_facts(connection, layout, database)
                if write and address is not None:
                    settle(layout, address)
                if version == t.FORMAT_VERSION:
                    return cls(layout, database, connection, kind, folders, write=write)
                # loaded where it is needed: it has tables of its own
                from hashret.store.catalog.former import FormerCatalog

                former = FormerCatalog(layout, database, connection, kind, folders, write=write)
                if not write or make not in (None, kind):  # who wants another kind refuses it
                    return cast(Self, former)
                with closing(former.folder):
                    former.rewrite()
                rewritten = cls(layout, database, connection, kind, folders, write=write)
                rewritten.rewritten_from = version
                return rewritten
            except BaseException:
                connection.close()
                raise

    def remember_folders(self, folders: Sequence[SourceFolder]) -> None:
        """Say that the collection was indexed from these folders too; for the writer."""
        all_of_them = list(dict.fromkeys([*folders, *(self.folders or ())]))
        kept = tuple(all_of_them[:MOST_FOLDERS])
        if kept == self.folders:
            return
        with self.transaction() as connection:
            connection.execute(t.meta.delete().where(t.meta.c.key == FOLDERS))
            connection.execute(t.meta.insert().values(key=FOLDERS, value=value_of_folders(kept)))
        self.folders = kept

    def close(self) -> None:
        """Close the connection; the catalog can't be asked afterwards."""
        if self._is_closed:
            return
        self._is_closed = True
        self.folder.close()
        if self._process == os.getpid():  # in a fork it would say good-bye in the parent's name
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    @property
    def connection(self) -> Connection:
        """The one connection, for statements inside a `transaction`.

        Raises CollectionError once it is closed, and in a fork.
        """
        self.require_open()
        if self._process != os.getpid():
            raise CollectionError(
                f"{self.layout.root}: expected to use its catalog in process {self._process}, "
                "which opened it, got a fork of it; open an Indexer in the process that uses it"
            )
        return self._connection

    def require_open(self) -> None:
        """Raise CollectionError once it is closed."""
        if self._is_closed:
            raise CollectionError(
                f"{self.layout.root}: expected an open collection, got one that was closed; "
                "open it again"
            )

    @contextmanager
    def transaction(self) -> Iterator[Connection]:
        """One transaction; database errors become errors of the collection.

        Of a reader whose folder was replaced it is answered from the file that was opened. A writer
        would commit into nothing: CollectionError.
        """
        connection = self.connection
        if self._writes:
            self.folder.require_unchanged(NOT_WRITTEN)
        else:
            self.folder.require_own_journal()
        with self.folder.reading(), self._database.errors(), connection.begin():
            yield connection

    def n_bytes(self) -> int:
        """What it takes on disk."""
        with self.transaction() as connection:
            return self._database.n_bytes(connection)

    def shrink(self) -> None:
        """Give the space of deleted rows back."""
        self._database.shrink(self.connection)

    def discard(self) -> None:
        """Delete what is outside the folder, of a collection that never had a commit."""
        with self.transaction() as connection:
            self._database.discard(connection)

    def faults(self) -> list[str]:
        """What the database itself finds wrong with what it keeps; empty if nothing."""
        with self.transaction() as connection:
            return self._database.faults(connection)


def _database(layout: Layout, given: str | None) -> Database:
    """The database that the folder says; raises InputError where another one is asked for."""
    if layout.catalog == layout.server:
        from hashret.store.catalog.postgresql import PostgresqlDatabase

        return PostgresqlDatabase(layout, read_address(layout, given))
    if given is not None and layout.has_catalog:
        raise InputError(
            f"--catalog: expected none, since the catalog of {layout.root} is in its folder, got "
            "an address; leave it out, or index into another collection"
        )
    from hashret.store.catalog.sqlite import SqliteDatabase

    return SqliteDatabase(layout)


def facts(kind: str, last: str = "") -> list[dict[str, str]]:
    """The rows of `meta`; `last` is the checksum of the last commit, "" before the first."""
    rows = {"format": str(t.FORMAT_VERSION), "kind": kind, LAST: last}
    rows[FIXED] = str(checksum(rows["format"], kind))
    return [{"key": key, "value": value} for key, value in rows.items()]


def _known_facts(
    connection: Connection, layout: Layout, database: Database
) -> tuple[int, str, tuple[SourceFolder, ...] | None]:
    """The format, the kind of the items and their folders, once the schema is known to be ours."""
    database.require_table(connection, t.meta)
    found = {row.key: row.value for row in connection.execute(select(t.meta))}
    version = found.get("format")
    if version == str(t.FORMAT_VERSION):
        tables = t.metadata
    elif version == _FORMER:
        from hashret.store.catalog import former_tables

        tables = former_tables.metadata
    else:
        raise FormatVersionError(
            f"{layout.root}: expected format {t.FORMAT_VERSION} or {_FORMER}, got {version!r}; "
            "open it with the hashret that wrote it"
        )
    database.require_schema(connection, tables)
    kind = require_name(found.get("kind"), "kind")
    if found.get(FIXED) != str(checksum(version, kind)):
        raise unlike(layout, f"kind {kind!r}", *DISAGREES)
    if kind not in KINDS:
        raise unlike(layout, "kind", f"one of {', '.join(KINDS)}", repr(kind))
    folders = folders_of(found[FOLDERS]) if FOLDERS in found else ()
    return int(version), kind, folders
