"""What the operating system refuses, in plain words: a full disk, no permission, no free handle."""

from __future__ import annotations

import errno
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hashret.errors import StorageError

_NO_ROOM = "make room and do it again; what was committed before is as it was"
_NO_PERMISSION = "have its owner allow it, or choose a place of your own"
#: What the system says by a number, and what to do about it.
_KNOWN = {
    errno.ENOSPC: ("a full disk", _NO_ROOM),
    errno.EDQUOT: ("a used-up quota of disk space", _NO_ROOM),
    errno.EFBIG: ("a limit on the size of a file", "raise the limit (`ulimit -f`) and do it again"),
    errno.EACCES: ("no permission", _NO_PERMISSION),
    errno.EPERM: ("no permission", _NO_PERMISSION),
    errno.EROFS: ("a file system that can only be read", "choose a place that can be written to"),
    errno.EMFILE: (
        "too many open files in this process",
        "close collections, raise the limit (`ulimit -n`), or `hashret compact` one with many",
    ),
    errno.ENFILE: ("too many open files on this machine", "close some programs and do it again"),
    errno.EIO: ("a failing disk", "look at the system's log, and copy what can still be read"),
    errno.ESTALE: ("a network file system that lost the file", "mount it again and do it again"),
    errno.ENAMETOOLONG: ("a name that is too long", "choose a shorter path"),
    errno.ENOENT: ("none", "was the folder moved or deleted meanwhile? look at the path"),
}
_OTHER = "see that the disk is there and can be used, and do it again"


def storage_error(path: Path | str, verb: str, error: OSError) -> StorageError:
    """The error for a file or folder that the system would not let us `verb` ("read", "write")."""
    got, remedy = _KNOWN.get(error.errno or 0, ("a refusal of the system", _OTHER))
    said = os.strerror(error.errno) if error.errno else str(error)
    return StorageError(f"{path}: expected to {verb} it, got {got} ({said}); {remedy}", error.errno)


@contextmanager
def plainly(path: Path, verb: str) -> Iterator[None]:
    """Within it, an OSError becomes a `StorageError`."""
    try:
        yield
    except StorageError:
        raise
    except OSError as error:
        raise storage_error(path, verb, error) from error


_HALF_DONE = (
    "a commit that a killed writer left half done, where nobody may roll it back; open it once as "
    "a user who may write there, or copy it to such a place"
)
_NOT_OPENED = (
    "a file that can't be opened; see that there is permission, and that the process may open more "
    "files (`ulimit -n`)"
)
_FAILED = (
    "a failing disk, a full one, or a limit on the size of a file; make room or look at the "
    "system's log, and do it again: what was committed before is as it was"
)
#: What SQLite says by a number: the system's number for it, what it is, and what to do.
_SQLITE = {
    sqlite3.SQLITE_FULL: (errno.ENOSPC, f"a full disk; {_NO_ROOM}"),
    sqlite3.SQLITE_READONLY: (errno.EROFS, f"a place that can only be read; {_NO_PERMISSION}"),
    sqlite3.SQLITE_READONLY_ROLLBACK: (errno.EROFS, _HALF_DONE),
    sqlite3.SQLITE_READONLY_RECOVERY: (errno.EROFS, _HALF_DONE),
    sqlite3.SQLITE_PERM: (errno.EACCES, f"no permission; {_NO_PERMISSION}"),
    sqlite3.SQLITE_CANTOPEN: (None, _NOT_OPENED),
    sqlite3.SQLITE_IOERR: (errno.EIO, _FAILED),
    sqlite3.SQLITE_BUSY: (errno.EBUSY, "another process that keeps it locked; wait for it"),
    sqlite3.SQLITE_LOCKED: (errno.EBUSY, "another process that keeps it locked; wait for it"),
    sqlite3.SQLITE_NOMEM: (errno.ENOMEM, "too little memory; end other programs, do it again"),
}


def sqlite_error(path: Path, error: BaseException | None) -> StorageError:
    """The error for a database file that SQLite could not read or write."""
    code = getattr(error, "sqlite_errorcode", None) or 0
    known = _SQLITE.get(code) or _SQLITE.get(code & 0xFF) or (None, f"an error; {_OTHER}")
    return StorageError(f"{path}: expected to use it, got {known[1]} (SQLite: {error})", known[0])
