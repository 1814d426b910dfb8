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
from hashret.store.layout import Layout
from hashret.store.untrusted import open_plain

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
        self._layout = layout
        self._held: int | None = None
        self._file = self._open()

    def _open(self) -> IO[bytes] | None:
        self._process = os.getpid()
        if not AVAILABLE:
            return None
        try:
            return open_plain(self._layout.readers)
        except OSError as error:
            if error.errno in _UNREADABLE:
                return None
            raise

    @contextmanager
    def moved(self, last_commit: Callable[[], CommitRecord]) -> Iterator[CommitRecord]:
        """Move to the last commit, and stay there unless the block raises.

        The commit held before is given up only once the block is done.
        """
        before = self._held
        record = self._hold_last(last_commit)
        try:
            yield record
        except BaseException:
            if record.commit != before:
                self._lock(_NONE, record.commit)
            raise
        if before is not None and record.commit != before:
            self._lock(_NONE, before)
        self._held = record.commit

    def _hold_last(self, last_commit: Callable[[], CommitRecord]) -> CommitRecord:
        while True:
            record = last_commit()
            # held while it is the last one, it is safe: what deletes leaves the last one alone
            if self._lock(_SHARED, record.commit) and last_commit() == record:
                return record
            if record.commit != self._held:
                self._lock(_NONE, record.commit)

    def _lock(self, how: int, commit: int) -> bool:
        if self._file is None:
            return True
        if self._process != os.getpid():  # a fork: its parent's locks are not to be moved
            self._file.close()
            self._file = self._open()
            return self._lock(how, commit)
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
