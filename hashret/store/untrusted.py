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
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, Any

from hashret.errors import DamagedError, NotACollectionError
from hashret.store.refusals import plainly, storage_error

#: What to do about damage that nothing here mends.
RESTORE = "restore the collection from a copy or index it again"
#: The longest string or blob that the catalog may give, in bytes.
MAX_VALUE = 64 << 20
#: What SQLite puts, or would read, beside the catalog: its name, a hyphen and one of these.
BESIDE = ("journal", "wal", "shm")
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")


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


def is_file(path: Path) -> bool:
    """Whether a regular file stands here; a link to one is none."""
    return _is(stat.S_ISREG, path)


def is_folder(path: Path) -> bool:
    """Whether a folder stands here; a link to one is none."""
    return _is(stat.S_ISDIR, path)


def _is(fits: Callable[[int], bool], path: Path) -> bool:
    try:
        return fits(path.lstat().st_mode)
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a NUL in the name
        return False
    except OSError as error:
        if error.errno == errno.ELOOP:  # of a link above it
            return False
        raise storage_error(path, "look at", error) from error


def require_single(files: Iterable[Path]) -> None:
    """Raise `NotACollectionError` for a file that has another name, as a hard link.

    What is written into it would change the file of the other name, wherever that stands.
    """
    for path in files:
        if is_file(path) and (n_names := path.lstat().st_nlink) > 1:
            raise NotACollectionError(
                f"{path}: expected a file of this collection alone, got one with {n_names} names "
                "(hard links), which writing would change under all of them; put a copy in its "
                "place"
            )


# Through no link, waiting for no pipe, and, on Windows, byte for byte.
_PLAINLY = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
#: What opening a link, a socket or a folder ends with, or what stands below a file.
_SOMETHING_ELSE = {errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR}


def open_plain(path: Path, *, write: bool = False) -> IO[bytes]:
    """Open a regular file for reading, or to `write` in it, through no link, waiting for no pipe.

    Raises `DamagedError` for anything else, FileNotFoundError for nothing, and `StorageError` where
    it can't be opened now: too many open files or a disk that does not answer say nothing about
    what the file holds.
    """
    flags = (os.O_RDWR if write else os.O_RDONLY) | _PLAINLY
    damaged = DamagedError(f"{path}: expected a regular file, got something else; {RESTORE}")
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise damaged
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in _SOMETHING_ELSE:
            raise damaged from error
        if error.errno == errno.ENOENT:
            raise
        raise storage_error(path, "write" if write else "read", error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # put there since
        os.close(descriptor)
        raise damaged
    return os.fdopen(descriptor, "r+b" if write else "rb")


def create_plain(path: Path) -> IO[bytes]:
    """Make a new file and open it for writing.

    A file or a link that stood there is gone, and what it was or led to is as it was. Raises
    `StorageError`, also for a folder.
    """
    with plainly(path, "write"):
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | _PLAINLY, 0o666)
    return os.fdopen(descriptor, "wb")


def touch_plain(path: Path) -> None:
    """Make an empty file, through no link, if there is none. Raises `StorageError`."""
    with plainly(path, "write"):
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | _PLAINLY, 0o666))


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
