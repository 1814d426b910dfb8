"""How a file of a collection is opened and made: a stranger made the folder that it is in.

Checksums say that a file is as its catalog describes it; whoever made the collection made both. So
nothing but a regular file is opened, through no link; what is written is made anew, or has no other
name. What the values of the catalog may be, `hashret.store.catalog.records` says.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO

from hashret.errors import NotACollectionError
from hashret.store.disk.damage import damaged
from hashret.store.disk.refusals import plainly, storage_error

#: What SQLite puts, or would read, beside the catalog: its name, a hyphen and one of these.
BESIDE = ("journal", "wal", "shm")


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


def file_status(path: Path) -> os.stat_result | None:
    """What the system knows of the regular file that stands here; None for none, or for a link.

    Of several things asked about one file: a writer may delete it between two looks.
    """
    return _status(stat.S_ISREG, path)


def is_file(path: Path) -> bool:
    """Whether a regular file stands here; a link to one is none."""
    return file_status(path) is not None


def is_folder(path: Path) -> bool:
    """Whether a folder stands here; a link to one is none."""
    return _status(stat.S_ISDIR, path) is not None


def _status(fits: Callable[[int], bool], path: Path) -> os.stat_result | None:
    try:
        found = path.lstat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # the last: a NUL in the name
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # of a link above it
            return None
        raise storage_error(path, "look at", error) from error
    return found if fits(found.st_mode) else None


def require_single(files: Iterable[Path]) -> None:
    """Raise `NotACollectionError` for a file that has another name, as a hard link.

    What is written into it would change the file of the other name, wherever that stands.
    """
    for path in files:
        found = file_status(path)
        if found is not None and found.st_nlink > 1:
            raise NotACollectionError(
                f"{path}: expected a file of this collection alone, got one with {found.st_nlink} "
                "names (hard links), which writing would change under all of them; put a copy in "
                "its place"
            )


# Through no link, waiting for no pipe, and, on Windows, byte for byte.
_PLAINLY = sum(getattr(os, name, 0) for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_BINARY"))
#: What opening a link, a socket or a folder ends with, or what stands below a file.
_SOMETHING_ELSE = {errno.ELOOP, errno.ENXIO, errno.EISDIR, errno.ENOTDIR}
_NOT_REGULAR = "a regular file", "something else"


def open_plain(path: Path, *, write: bool = False) -> IO[bytes]:
    """Open a regular file for reading, or to `write` in it, through no link, waiting for no pipe.

    Raises `DamagedError` for anything else, FileNotFoundError for nothing, and `StorageError` where
    it can't be opened now: too many open files or a disk that does not answer say nothing about
    what the file holds.
    """
    flags = (os.O_RDWR if write else os.O_RDONLY) | _PLAINLY
    try:
        if not stat.S_ISREG(path.lstat().st_mode):
            raise damaged(path, *_NOT_REGULAR)
        descriptor = os.open(path, flags)
    except OSError as error:
        if error.errno in _SOMETHING_ELSE:
            raise damaged(path, *_NOT_REGULAR) from error
        if error.errno == errno.ENOENT:
            raise
        raise storage_error(path, "write" if write else "read", error) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):  # put there since
        os.close(descriptor)
        raise damaged(path, *_NOT_REGULAR)
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
