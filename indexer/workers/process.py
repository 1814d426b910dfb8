"""Inside a worker: limits first, then one batch after the other until the run closes the line.

A worker is a new interpreter (never a fork: a child forked after torch or Faiss hangs) that a run
starts to decode files of strangers. It has less memory than the machine, writes no file, leaves
no core dump, and dies with its run.
"""

from __future__ import annotations

import os
import resource
import signal
import time
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from hashret.registry import resolve
from indexer.refusals import Refused
from indexer.workers.pool import Work
from indexer.workers.protocol import Mark, Wire


def main(line: int, mark: int) -> None:
    """Serve batches over the socket `line` until its other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the run that is interrupted closes the line
    try:
        _serve(Connection(line), Mark(mark))
    except (EOFError, OSError):
        pass  # the run is over, or was killed
    finally:
        # No destructor of a library runs that a stranger's file may have upset.
        os._exit(0)


def _serve(line: Connection, mark: Mark) -> None:
    opening = Wire("").unpack(line.recv_bytes())
    wire, seconds = Wire(opening["tag"]), opening["seconds"]
    try:
        work: Work = resolve({"task": opening["task"]}, "task", "worker")(
            *wire.unpack(line.recv_bytes())
        )
        limit(opening["memory_bytes"])
    except Exception as error:
        line.send_bytes(wire.pack(["broken", f"{type(error).__name__}: {error}"]))
        return
    line.send_bytes(wire.pack(["ready"]))

    def begin(i: int) -> None:
        mark.set(i)
        limit_cpu(seconds)

    while True:
        items = wire.unpack(line.recv_bytes())
        try:
            limit_cpu(seconds)
            results = [_outcome(result) for result in work(items, begin)]
            line.send_bytes(wire.pack(["done", results]))
        except MemoryError:
            # What is left of this heap is no measure for other items: the next one is another's.
            line.send_bytes(wire.pack(["out of memory"]))
            return


def _outcome(result: Any) -> list[Any]:
    if isinstance(result, Refused):
        return ["refused", result.error_class, result.reason]
    return ["used", result]


def limit(memory_bytes: int) -> None:
    """Allow this process so many bytes of address space, no file of its own and no dump."""
    _set(resource.RLIMIT_CORE, 0)
    _set(resource.RLIMIT_FSIZE, 0)
    _set(resource.RLIMIT_AS, memory_bytes)


def limit_cpu(seconds: float) -> None:
    """Allow so many seconds of processor time from now, twice: for a worker without its run.

    The run measures the time of an item and kills; this stops a decoder that outlives its run.
    """
    used = time.process_time()
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    soft = int(used + 2 * seconds) + 2
    resource.setrlimit(
        resource.RLIMIT_CPU, (soft if hard == resource.RLIM_INFINITY else min(soft, hard), hard)
    )


def _set(which: int, value: int) -> None:
    soft, hard = resource.getrlimit(which)
    for given in (soft, hard):
        if given != resource.RLIM_INFINITY:
            value = min(value, given)
    with suppress(OSError, ValueError):  # macOS knows RLIMIT_AS by name only
        resource.setrlimit(which, (value, hard))
