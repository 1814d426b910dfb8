"""What must hold before SQLite opens a stranger's database, and what it may do with one.

A database can name other files, and its schema can hold code that runs when a table is read. So no
journal may lead elsewhere, the schema is the one that hashret writes, and SQLite is restrained.
"""

from __future__ import annotations

import os
import re
import sqlite3
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from hashret.store.disk.damage import INDEX_AGAIN, damaged
from hashret.store.disk.untrusted import BESIDE, open_plain, require_single

# The longest string or blob that the catalog may give, in bytes.
_MAX_VALUE = 64 << 20
_HEADER = b"SQLite format 3\0"
# The last bytes of a rollback journal that takes part in a commit over several databases.
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")


def require_sqlite(catalog: Path, *, write: bool) -> None:
    """Raise `DamagedError` unless SQLite may open this file and what stands beside it.

    SQLite writes into them where it is to `write`, and where a journal is to be rolled back: then
    each must be a file of its own (`require_single`).

    The rollback journal of a commit over several databases names another journal, anywhere, and
    SQLite deletes the file of that name once it has rolled back: a collection could have any
    file of its reader deleted. hashret writes no such journal, and no write-ahead log.
    """
    try:
        with open_plain(catalog) as stream:
            header = stream.read(20)
    except FileNotFoundError:
        return  # about to be made
    beside = [catalog.with_name(f"{catalog.name}-{part}") for part in BESIDE]
    journal = beside[0]
    if write or any(path.exists() for path in beside):
        require_single([catalog, *beside])
    if header and not (_is_plain(header) or (journal.exists() and _may_be_torn(header))):
        raise damaged(catalog, "an SQLite database with a rollback journal", "another file")
    try:
        with open_plain(journal) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - len(_SUPER_JOURNAL)))
            end = stream.read()
    except FileNotFoundError:
        return
    if end == _SUPER_JOURNAL:
        got, remedy = "one that names another file", "delete the collection, it was made to harm"
        raise damaged(journal, "a journal of this catalog alone", got, remedy)


def _is_plain(header: bytes) -> bool:
    return header.startswith(_HEADER) and header[18:20] == b"\x01\x01"


def _may_be_torn(header: bytes) -> bool:
    """Whether a power loss while the first page was written may leave this: the journal has it."""
    whole = _HEADER + header[16:18] + b"\x01\x01"
    return all(byte in (0, known) for byte, known in zip(header, whole, strict=False))


def restrain(connection: sqlite3.Connection) -> None:
    """Keep a connection from what a hostile schema or file could have SQLite do."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_TRIGGER_DEPTH, 1)
    if sys.version_info >= (3, 12):
        connection.setconfig(sqlite3.SQLITE_DBCONFIG_DEFENSIVE, True)
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0"):
        connection.execute(f"PRAGMA {pragma}")
    connection.set_authorizer(_authorize)


def vacuum(connection: sqlite3.Connection) -> None:
    """Rewrite a restrained connection's database without its free pages.

    SQLite attaches an empty database of its own to do so, which is allowed for this one statement:
    the schema was found to be hashret's own when the catalog was opened.
    """
    connection.set_authorizer(None)
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 1)
    try:
        connection.execute("VACUUM")
    finally:
        restrain(connection)


def _authorize(action: int, *about: str | None) -> int:
    """Deny what comes from within a trigger or a view, and what reaches out of the catalog."""
    if about[3] is not None or action in (sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH):
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK


def require_schema(found: Iterable[tuple[Any, Any, Any]], known: Mapping[str, str]) -> None:
    """Raise `DamagedError` if the schema has anything but what is known.

    `found` holds (type, name, SQL) of SQLite's schema, `known` the SQL of each table and index.
    Virtual tables, views, triggers and computed columns run what they say when they are read.
    """
    for kind, name, sql in found:
        if sql is None and kind == "index" and str(name).startswith("sqlite_autoindex_"):
            continue  # SQLite's own, of a primary key
        if name not in known or _plain(sql) != _plain(known[name]):
            got = f"the {kind} {name!r:.80}"
            raise damaged("catalog", "only hashret's own tables", got, INDEX_AGAIN)


def _plain(sql: Any) -> str:
    return re.sub(r"[\s\"]+", "", str(sql)).lower()
