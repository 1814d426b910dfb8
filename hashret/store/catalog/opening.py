"""Open the catalog of a collection, or make it: in which database is it, and of which format?

Where it is on a server, the `address` given to these functions stands in place of the one that the
collection records, and a writer waits `wait_seconds` for another one.
"""

from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

from sqlalchemy import Connection, select

from hashret.errors import FormatVersionError, InputError
from hashret.kinds import KINDS
from hashret.store.catalog import tables as t
from hashret.store.catalog.address import (
    from_environment,
    new_address,
    read_address,
    settle,
    write_address,
)
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import (
    DISAGREES,
    FIXED,
    FOLDERS,
    SourceFolder,
    checksum,
    folders_of,
    require_name,
    rows_of_meta,
    unlike,
)
from hashret.store.layout import Layout

if TYPE_CHECKING:
    from hashret.store.catalog.catalog import Database

# The format before this one, which is read and rewritten (`hashret.store.catalog.former`).
_FORMER = "2"


def open_catalog(
    layout: Layout, *, write: bool = False, address: str | None = None, wait_seconds: float = 0.0
) -> Catalog:
    """The catalog of an existing collection.

    One of the former format is read as it is, and rewritten before it is written into
    (`Catalog.rewritten_from`). Raises `NotACollectionError`, `FormatVersionError`, `DamagedError`,
    `CatalogServerError` or `LockedError`; InputError for the address of a server where the catalog
    is in the folder.
    """
    layout.require_catalog()
    return _opened(layout, address, write, wait_seconds)


def open_if_made(layout: Layout, *, address: str | None) -> Catalog | None:
    """As `open_catalog` for reading; None where there is no catalog yet.

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
    return open_catalog(layout, address=address)


def create_catalog(
    layout: Layout, kind: str, *, address: str | None = None, wait_seconds: float = 0.0
) -> Catalog:
    """The catalog of a collection, made first if it is not there, open for writing.

    In the folder, or on the server at `address`; what is there already stays where it is. Raises
    `DamagedError` for codes or models without the catalog that they had: the next writer would
    delete them.
    """
    layout.require_catalog()
    if not layout.is_there and (chosen := address or from_environment()):
        write_address(layout, new_address(chosen))  # first: no schema that nobody knows of
    return _opened(layout, address, True, wait_seconds, kind)


def _opened(
    layout: Layout,
    address: str | None,
    write: bool,
    wait_seconds: float,
    make: str | None = None,
) -> Catalog:
    database = _database(layout, address)
    with database.errors():
        connection = database.connect(write, wait_seconds)
        try:
            with connection.begin():
                # beside data that are not of it a new catalog would have them deleted
                if make and not database.is_made(connection) and not layout.has_data:
                    database.make(connection)
                    connection.execute(t.meta.insert(), rows_of_meta(make))
                version, kind, folders = _known_facts(connection, layout, database)
            if write and address is not None:
                settle(layout, address)
            if version == t.FORMAT_VERSION:
                return Catalog(layout, database, connection, kind, folders, write=write)
            from hashret.store.catalog.former import FormerCatalog  # seldom needed

            former = FormerCatalog(layout, database, connection, kind, folders, write=write)
            if not write or make not in (None, kind):  # who wants another kind refuses it
                return former
            with closing(former.folder):
                former.rewrite()
            rewritten = Catalog(layout, database, connection, kind, folders, write=write)
            rewritten.rewritten_from = version
            return rewritten
        except BaseException:
            connection.close()
            raise


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
        from hashret.store.catalog import former_tables  # seldom needed

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
