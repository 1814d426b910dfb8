"""The worker process: it sets its limits, then processes batches until the run closes the socket.

A run starts workers to decode files that come from strangers. A worker is a new interpreter, and
not a fork, because a process that is forked after torch or Faiss was used hangs. It has a limit on
memory, can't write files, leaves no core dump, and ends with its run.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from hashret.arguments import resolve
from hashret.workers.pool import Work
from hashret.workers.protocol import Mark, Wire
from hashret.workers.refusals import Refused


def main(socket: int, mark: int) -> None:
    """Process batches from a socket until its other end is closed; both are file descriptors."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # an interrupted run closes the socket itself
    try:
        _serve(Connection(socket), Mark(mark))
    except (EOFError, OSError):
        pass  # the run has ended or was killed
    finally:
        # exits without running destructors of libraries, whose state a file may have damaged
        os._exit(0)


def _serve(connection: Connection, mark: Mark) -> None:
    """Receive the task and its limits, then one batch after the other."""
    opening = Wire("").unpack(connection.recv_bytes())
    wire, seconds = Wire(opening["tag"]), opening["seconds"]
    try:
        work: Work = resolve({"task": opening["task"]}, "task", "worker")(
            *wire.unpack(connection.recv_bytes())
        )
        limit(opening["memory_bytes"])
    except Exception as error:
        connection.send_bytes(wire.pack(["broken", f"{type(error).__name__}: {error}"]))
        return
    connection.send_bytes(wire.pack(["ready"]))

    def begin(i: int) -> None:
        mark.set(i)
        limit_cpu(seconds)

    while True:
        items = wire.unpack(connection.recv_bytes())
        try:
            limit_cpu(seconds)
            results = [_outcome(result) for result in work(items, begin)]
            connection.send_bytes(wire.pack(["done", results]))
        except MemoryError:
            # The heap may be fragmented, so other items might fail too: a new worker goes on.
            connection.send_bytes(wire.pack(["out of memory"]))
            return


def _outcome(result: Any) -> list[Any]:
    """The result for one item as plain data."""
    if isinstance(result, Refused):
        return ["refused", result.error_class, result.reason]
    return ["used", result]


def limit(memory_bytes: int) -> None:
    """Limit this process to so many bytes of address space; forbid core dumps and writing files."""
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_FSIZE, 0)
    _set(resource.RLIMIT_AS, memory_bytes)


def limit_cpu(seconds: float) -> None:
    """Limit the processor time from now on to twice so many seconds.

    The run itself kills a worker that takes too long for an item. This limit is for a worker whose
    run was killed first.
    """
    used = time.process_time()
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used + 2 * seconds) + 2
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def _set(which: int, value: int) -> None:
    """Set a limit of this process to the value, or to the existing limit if that is lower."""
    soft, hard = resource.getrlimit(which)
    for existing in (soft, hard):
        if existing != resource.RLIM_INFINITY:
            value = min(value, existing)
    with suppress(OSError, ValueError):  # macOS has RLIMIT_AS, but does not allow setting it
        resource.setrlimit(which, (value, hard))
