"""Which commits are being read? Readers say so by locks; compaction leaves those commits alone.

A snapshot holds a shared lock on one byte of `readers.lock`, whose offset is the number of its
commit; the file stays empty. Who wants to delete what only old commits show locks the bytes of
those commits exclusively. The locks belong to open files, not to processes (Linux's open file
description locks), and end with them, however a reader ends. Elsewhere nobody says what is read:
then nothing is ever deleted.
"""

from __future__ import annotations

import errno
import os
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import IO

from hashret.store.catalog.records import CommitRecord
from hashret.store.disk.untrusted import open_plain
from hashret.store.layout import Layout

try:
    import fcntl

    _SET, _ASK = fcntl.F_OFD_SETLK, fcntl.F_OFD_GETLK
    _SHARED, _ALONE, _NONE = fcntl.F_RDLCK, fcntl.F_WRLCK, fcntl.F_UNLCK
except (ImportError, AttributeError):  # not Linux
    AVAILABLE = False
    _SHARED = _ALONE = _NONE = 0
else:
    AVAILABLE = True

_FLOCK = struct.Struct("hhqqi0q")  # struct flock: type, whence, start, length, process
_UNREADABLE = (errno.ENOENT, errno.EACCES, errno.EPERM)
_REFUSED = (errno.EACCES, errno.EAGAIN)


class Lease:
    """The commit that one snapshot stands on, known to whoever would delete it.

    Holds nothing where the system has no such locks, or the file of locks is not there to be read.
    """

    def __init__(self, layout: Layout):
        self._file = _opened(layout)

    def hold(self, find: Callable[[], CommitRecord]) -> CommitRecord:
        """Hold the commit that `find` gives, until `close`.

        `find` is called again once it is held: what deletes asks who holds a commit before it does.
        """
        while True:
            record = find()
            if self._lock(_SHARED, record.commit) and find() == record:
                return record
            self._lock(_NONE, record.commit)

    def _lock(self, how: int, commit: int) -> bool:
        if self._file is None:
            return True
        try:
            return _set(self._file, how, commit, 1)
        except OSError:  # a file system without these locks: whoever deletes meets the same
            self.close()
            return True

    def close(self) -> None:
        """Let go of the commit."""
        if self._file is not None:
            self._file.close()
            self._file = None


def _opened(layout: Layout) -> IO[bytes] | None:
    if not AVAILABLE:
        return None
    try:
        return open_plain(layout.readers)
    except OSError as error:
        if error.errno in _UNREADABLE:
            return None
        raise


@contextmanager
def out_of_reach(layout: Layout, commit: int) -> Iterator[int | None]:
    """The oldest commit, up to `commit`, that anybody reads; earlier ones nobody can begin to read.

    It is `commit` where nobody reads an earlier one, and None where nobody says what is read.
    """
    if not AVAILABLE:
        yield None
        return
    with open_plain(layout.readers, write=True) as stream:
        yield _keep_out(stream, commit)


def _keep_out(stream: IO[bytes], commit: int) -> int | None:
    try:
        while commit and not _set(stream, _ALONE, 0, commit):
            asked = _FLOCK.pack(_ALONE, os.SEEK_SET, 0, commit, 0)
            how, _, start, *_ = _FLOCK.unpack(fcntl.fcntl(stream, _ASK, asked))
            if how != _NONE:  # else the reader is gone by now
                commit = start
    except OSError:  # a file system without these locks
        return None
    return commit


def _set(stream: IO[bytes], how: int, start: int, length: int) -> bool:
    """Whether the lock could be set. Where a file system has none at all, OSError."""
    try:
        fcntl.fcntl(stream, _SET, _FLOCK.pack(how, os.SEEK_SET, start, length, 0))
    except OSError as error:
        if error.errno in _REFUSED:
            return False
        raise
    return True
