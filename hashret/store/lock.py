"""One writer a collection: a lock that the operating system releases when its holder dies."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from hashret.errors import DamagedError, LockedError
from hashret.store.disk.file_systems import warn_of_network
from hashret.store.disk.refusals import plainly, storage_error
from hashret.store.disk.untrusted import create_plain, open_plain, require_single
from hashret.store.layout import Layout

_MAX_HOLDER = 4096  # bytes
# Locks of the process that this one was forked from: to forget one would release it there.
_INHERITED: list[FileLock] = []


@contextmanager
def writer_lock(layout: Layout, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the collection for writing. Raises `LockedError`, naming the holder, after the wait.

    Warns where locks may not be what they are on a disk (`hashret.store.disk.file_systems`).
    """
    warn_of_network(layout.root)
    require_single([layout.lock])  # some versions of filelock truncate it
    holder = layout.lock.with_suffix(".json")
    lock = FileLock(layout.lock, timeout=wait_seconds, thread_local=False)
    process = os.getpid()
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"{layout.root}: expected no other writer, got {_describe(layout)}; "
            "wait for it, or pass --wait SECONDS"
        ) from None
    except OSError as error:
        raise storage_error(layout.lock, "lock", error) from error
    try:
        me = {
            "pid": os.getpid(),
            "host": platform.node(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        with plainly(holder, "write"), create_plain(holder) as stream:
            stream.write(json.dumps(me).encode())
        yield
    finally:
        if os.getpid() == process:
            with suppress(OSError):  # who it was matters only while the lock is held
                holder.unlink(missing_ok=True)
            lock.release()
        else:
            _INHERITED.append(lock)


def _describe(layout: Layout) -> str:
    try:
        with open_plain(layout.lock.with_suffix(".json")) as stream:
            who = json.loads(stream.read(_MAX_HOLDER))
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (OSError, DamagedError, ValueError, KeyError, TypeError, RecursionError):
        return "one that has not said who it is"
