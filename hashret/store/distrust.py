"""What must hold before a stranger's collection is believed, or even opened.

Checksums say that a file is as its catalog describes it; whoever made the collection made both. So
names lead nowhere else, nothing but regular files is opened, the catalog's schema is the one that
hashret writes, and every value has the type and size that it may have.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sqlite3
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import IO, Any

from hashret.errors import DamagedError, NotACollectionError

#: What to do about damage that nothing here mends.
RESTORE = "restore the collection from a copy or index it again"
#: The longest string or blob that the catalog may give, in bytes.
MAX_VALUE = 64 << 20
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_HEADER = b"SQLite format 3\0"
# The last bytes of a rollback journal that takes part in a commit over several databases.
_SUPER_JOURNAL = bytes.fromhex("d9d505f920a163d7")


def require_plain(files: Iterable[Path], folders: Iterable[Path]) -> None:
    """Raise `NotACollectionError` for a link, or anything else where a file or folder may stand.

    A collection whose `segments` leads elsewhere would have a writer clean up there.
    """
    for paths, fits, noun in ((files, stat.S_ISREG, "file"), (folders, stat.S_ISDIR, "folder")):
        for path in paths:
            try:
                mode = path.lstat().st_mode
            except FileNotFoundError:
                continue
            if not fits(mode):
                got = "a link" if stat.S_ISLNK(mode) else "something else"
                raise NotACollectionError(
                    f"{path}: expected a {noun} of the collection, got {got}; "
                    "a collection stands in one folder, without links"
                )


#: What opening a link, a socket or a folder ends with, or what stands below a file.
_SOMETHING_ELSE = {errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR}


def open_plain(path: Path) -> IO[bytes]:
    """Open a regular file for reading, through no link and waiting for no pipe.

    Raises `DamagedError` for anything else, and OSError where it can't be opened now: too many open
    files or a disk that does not answer say nothing about what the file holds.
    """
    flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)
    damaged = DamagedError(f"{path}: expected a regular file, got something else; {RESTORE}")
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise damaged
        descriptor = os.open(path, flags | getattr(os, "O_BINARY", 0))
    except OSError as error:
        if error.errno in _SOMETHING_ELSE:
            raise damaged from error
        raise
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # put there since
        os.close(descriptor)
        raise damaged
    return os.fdopen(descriptor, "rb")


def require_name(name: Any, what: str) -> str:
    """The name of a file of the collection; raises `DamagedError` for one that leads elsewhere."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise DamagedError(f"catalog: expected the name of a {what}, got {name!r:.80}; {RESTORE}")
    return name


def require_number(value: Any, low: int, high: int, what: str) -> int:
    """An integer from `low` to `high`, both inclusive; raises `DamagedError` for anything else."""
    if type(value) is not int or not low <= value <= high:
        raise DamagedError(
            f"catalog: expected {what} from {low} to {high}, got {value!r:.80}; {RESTORE}"
        )
    return value


def require_types(row: Iterable[Any], *types: type) -> None:
    """Raise `DamagedError` unless the values of a row have these types: SQLite promises none."""
    values = list(row)
    if len(values) != len(types):
        raise DamagedError(f"catalog: expected {len(types)} values, got {len(values)}; {RESTORE}")
    for value, expected in zip(values, types, strict=True):
        if type(value) is not expected:
            raise DamagedError(
                f"catalog: expected {expected.__name__}, got {type(value).__name__} {value!r:.40}; "
                f"{RESTORE}"
            )


def require_object(text: str) -> dict[str, Any]:
    """The JSON object that a text of the catalog is; raises `DamagedError` for anything else."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"catalog: expected JSON, got {error}; index it again") from error
    if not isinstance(found, dict):
        raise DamagedError(f"catalog: expected a JSON object, got {text[:40]!r}; index it again")
    return found


def require_sqlite(catalog: Path) -> None:
    """Raise `DamagedError` unless SQLite may open this file and what stands beside it.

    The rollback journal of a commit over several databases names another journal, anywhere, and
    SQLite deletes the file of that name once it has rolled back: a collection could have any
    file of its reader deleted. hashret writes no such journal, and no write-ahead log.
    """
    try:
        with open_plain(catalog) as stream:
            header = stream.read(20)
    except FileNotFoundError:
        return  # about to be made
    journal = catalog.with_name(catalog.name + "-journal")
    if header and not (_is_plain(header) or (journal.exists() and _may_be_torn(header))):
        raise DamagedError(
            f"{catalog}: expected an SQLite database with a rollback journal, got another file; "
            f"{RESTORE}"
        )
    try:
        with open_plain(journal) as stream:
            stream.seek(max(0, os.fstat(stream.fileno()).st_size - len(_SUPER_JOURNAL)))
            end = stream.read()
    except FileNotFoundError:
        return
    if end == _SUPER_JOURNAL:
        raise DamagedError(
            f"{journal}: expected a journal of this catalog alone, got one that names another "
            "file; delete the collection, it was made to harm"
        )


def _is_plain(header: bytes) -> bool:
    return header.startswith(_HEADER) and header[18:20] == b"\x01\x01"


def _may_be_torn(header: bytes) -> bool:
    """Whether a power loss while the first page was written may leave this: the journal has it."""
    whole = _HEADER + header[16:18] + b"\x01\x01"
    return all(byte in (0, known) for byte, known in zip(header, whole, strict=False))


def restrain(connection: sqlite3.Connection) -> None:
    """Keep a connection from what a hostile schema or file could have SQLite do."""
    connection.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, MAX_VALUE)
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
            raise DamagedError(
                f"catalog: expected only hashret's own tables, got the {kind} {name!r:.80}; "
                "index it again"
            )


def _plain(sql: Any) -> str:
    return re.sub(r"[\s\"]+", "", str(sql)).lower()
