"""Read the rows of one table of an SQLite database, whoever made it.

The file is never written to, nor is anything beside it opened by SQLite. Views and virtual tables,
which run what they say, are not read. A computed column may call the functions that SQLite takes
for harmless, within the limits of the worker in which all this happens (`binary`).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

from hashret.unicode_text import is_unicode
from hashret.workers.refusals import Refused
from indexer.corpus import files
from indexer.corpus.tables.rows import Lost

_JOURNAL_MAGIC = bytes.fromhex("d9d505f920a163d7")
_MAX_VALUE = 256 << 20  # bytes of a value; a computed one could take all memory
_SHOWN = 12  # tables that are listed in a message
_ALLOWED = {sqlite3.SQLITE_SELECT, sqlite3.SQLITE_READ}


class Unclear(Exception):  # noqa: N818 - becomes an InputError of the run
    """Which table is meant is not clear."""


def require_settled(path: Path) -> None:
    """Raise `Refused` if the database has changes that stand in another file beside it."""
    path = path.resolve()
    if files.is_collection(path.parent):
        raise Refused("collection", "expected a database with texts, got one of a collection")
    log, journal = (path.with_name(path.name + end) for end in ("-wal", "-journal"))
    is_logged = log.is_file() and log.stat().st_size > 0
    if is_logged or (
        journal.is_file()
        and files.read_head(journal, len(_JOURNAL_MAGIC), follow=True) == _JOURNAL_MAGIC
    ):
        raise Refused(
            "unreadable",
            "expected a database that nobody writes to, got one with changes in "
            f"{(log if is_logged else journal).name}; copy it with: sqlite3 {path.name} "
            "'.backup COPY.sqlite'",
        )


def opened(path: Path, data: bytes | None) -> sqlite3.Connection:
    """A connection to the database at `path`, or to the one that consists of `data`."""
    if data is None:
        address = f"{path.absolute().as_uri()}?mode=ro&immutable=1"
        connection = sqlite3.connect(address, uri=True)
    else:
        connection = sqlite3.connect(":memory:")
        connection.deserialize(data)
    for pragma in ("trusted_schema=OFF", "cell_size_check=ON", "mmap_size=0", "query_only=ON"):
        connection.execute(f"PRAGMA {pragma}")
    connection.setlimit(sqlite3.SQLITE_LIMIT_ATTACHED, 0)
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _MAX_VALUE)
    connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")
    connection.set_authorizer(
        lambda action, *about: sqlite3.SQLITE_OK if action in _ALLOWED else sqlite3.SQLITE_DENY
    )
    return connection


def table_of(connection: sqlite3.Connection, wanted: str | None) -> str:
    """The name of the table that is wanted, or of the only one; raises `Unclear`."""
    listed = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0 ORDER BY name"
    ).fetchall()
    names = [name for (name,) in listed if not name.lower().startswith("sqlite_")]
    if wanted in names or (wanted is None and len(names) == 1):
        return wanted or str(names[0])
    shown = ", ".join(f"{name!r:.60}" for name in names[:_SHOWN]) + ", ..." * (len(names) > _SHOWN)
    if wanted is None and names:
        raise Unclear(f"expected one table, got {shown}; choose one with --table NAME")
    said = "a table" if wanted is None else f"the table {wanted!r:.60}"
    raise Unclear(f"expected {said}, got {shown or 'none'}; check --table")


def database_rows(
    connection: sqlite3.Connection, table: str, start: int
) -> Iterator[dict[str, Any]]:
    """The rows of a table from row `start` on, from 0, in their stored order.

    Closes the connection at the end.
    """
    quoted = table.replace('"', '""')
    with closing(connection):
        cursor = connection.execute(f'SELECT * FROM "{quoted}" LIMIT -1 OFFSET ?', (start,))  # noqa: S608
        names = [column[0] for column in cursor.description]
        for row in cursor:
            yield {
                name: value if not isinstance(value, str) or is_unicode(value) else Lost()
                for name, value in zip(names, row, strict=True)
                if value is not None
            }
