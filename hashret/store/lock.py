"""One writer a collection: a lock that the operating system releases when its holder dies."""

from __future__ import annotations

import json
import os
import platform
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

from filelock import FileLock, Timeout

from hashret.errors import LockedError
from hashret.store.file_systems import warn_of_network
from hashret.store.layout import Layout


@contextmanager
def writer_lock(layout: Layout, wait_seconds: float = 0.0) -> Iterator[None]:
    """Hold the collection for writing. Raises `LockedError`, naming the holder, after the wait.

    Warns where locks may not be what they are on a disk (`hashret.store.file_systems`).
    """
    warn_of_network(layout.root)
    holder = layout.lock.with_suffix(".json")
    lock = FileLock(layout.lock, timeout=wait_seconds, thread_local=False)
    try:
        lock.acquire()
    except Timeout:
        raise LockedError(
            f"{layout.root}: expected no other writer, got {_describe(layout)}; "
            "wait for it, or pass --wait SECONDS"
        ) from None
    try:
        me = {
            "pid": os.getpid(),
            "host": platform.node(),
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        holder.write_text(json.dumps(me), encoding="utf-8")
        yield
    finally:
        holder.unlink(missing_ok=True)
        lock.release()


def _describe(layout: Layout) -> str:
    try:
        who = json.loads(layout.lock.with_suffix(".json").read_text(encoding="utf-8"))
        return f"process {who['pid']} on {who['host']} since {who['since']}"
    except (OSError, ValueError, KeyError, TypeError):
        return "one that has not said who it is"
