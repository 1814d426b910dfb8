"""Workers: strangers' files are decoded in other processes, which may hang, bloat or die.

A batch of items goes to a worker, and its results come back one for one. The item that a worker
hung on, died of or ran out of memory with is tried once more, alone, by another one; if that
ends badly too the item is refused with the class of what happened. All other items of the
batch are worked on again. So no file can end a run or cost another file its place.

Not promised: a sandbox. A decoder that a file takes over runs as the user; limits and the fixed
list of formats make that harder, not impossible (SECURITY.md).
"""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from multiprocessing.connection import Connection, wait
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, Self

from hashret.errors import HashretError
from hashret.workers.protocol import Mark, Wire
from hashret.workers.refusals import Refused

_PYTHONS = ("python", "pypy", "graalpy")


def interpreter() -> str | None:
    """The Python that workers are started with: this one; None where none is found.

    In a program that embeds Python, or was frozen into one file, `sys.executable` is that program,
    which another copy of must not be started; then it is the one of the installation.
    """
    found = Path(sys.executable or "")
    if found.name.startswith(_PYTHONS) and not getattr(sys, "frozen", False):
        return str(found)
    name = f"python{sys.version_info.major}.{sys.version_info.minor}"
    candidates = [Path(prefix, "bin", name) for prefix in (sys.prefix, sys.base_prefix)]
    return next((str(path) for path in candidates if os.access(path, os.X_OK)), None)


_INTERPRETER = interpreter()
#: Whether there is an interpreter, and the sockets and limits, that workers need; else all is done
#: in this process.
AVAILABLE = os.name == "posix" and _INTERPRETER is not None

_BOOT = "import sys; sys.path[:] = {!r}; from hashret.workers.process import main; main({}, {})"
_MAX_MESSAGE = 2**31 - 1
_START_SECONDS = 120.0  # a cold disk may take long to give all modules
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


#: Applied to the items of a batch; says by its second argument which one it begins with. The
#: results stand one for one, a `Refused` among them where an item cannot be used.
Work = Callable[[Sequence[Any], Callable[[int], None]], list[Any]]


def each(one: Callable[[Any], Any]) -> Work:
    """The work on a batch that is `one` function on each of its items."""

    def work(items: Sequence[Any], begin: Callable[[int], None]) -> list[Any]:
        results: list[Any] = []
        for i, item in enumerate(items):
            begin(i)
            try:
                results.append(one(item))
            except Refused as refused:
                results.append(refused)
            except MemoryError:
                raise  # the worker ends with it
            except Exception as error:  # no item ends a run, whatever it brought up
                reason = f"the decoder failed: {type(error).__name__}: {error}"
                results.append(Refused("decoder-failed", reason))
        return results

    return work


@dataclass(frozen=True, slots=True)
class Limits:
    """What a worker may hold, in bytes of address space, and an item may take, in seconds."""

    memory_bytes: int = 3 << 30
    """Enough for every step on an image of the most pixels allowed."""
    seconds: float = 20.0
    """By the clock."""


@dataclass(slots=True)
class _Job:
    """A batch as given, and its results as they come."""

    items: Sequence[Any]
    results: list[Any]
    missing: int


@dataclass(frozen=True, slots=True)
class _Piece:
    """Positions in a job that go to a worker together; `again`: one, that a worker failed with."""

    job: _Job
    positions: list[int]
    again: bool = False


@dataclass(slots=True)
class _Worker:
    """One process, the line to it, and the mark by which it says what it is at."""

    process: subprocess.Popen[bytes]
    line: Connection
    mark: Mark
    ready: bool = False
    piece: _Piece | None = None


@dataclass(slots=True)
class Workers:
    """Up to `n` processes that apply one task to batches of items within `limits`.

    `task` is "module:function"; called once in each worker with `args`, it returns the
    `Work` to apply. Arguments, items and results are data as `hashret.workers.protocol`
    carries it. Processes start when they are first needed and end with `close`.
    """

    task: str
    args: Sequence[Any] = ()
    n: int = 1
    limits: Limits = field(default_factory=Limits)
    _wire: Wire = field(default_factory=lambda: Wire(secrets.token_hex(16)))
    _workers: list[_Worker] = field(default_factory=list)
    _waiting: deque[_Piece] = field(default_factory=deque)
    _false_starts: int = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all processes, whatever they are at."""
        for worker in list(self._workers):
            self._end(worker)
        self._waiting.clear()

    def map(self, batches: Iterable[Sequence[Any]]) -> Iterator[list[Any]]:
        """The results of each batch, in order: one for each item, a `Refused` for a bad one.

        Reads ahead by two batches a worker, which they work on while the caller uses a result.
        Raises HashretError if a worker cannot start.
        """
        stream = iter(batches)
        jobs: deque[_Job] = deque()
        try:
            while True:
                for batch in islice(stream, 2 * self.n - len(jobs)):
                    jobs.append(_Job(batch, [None] * len(batch), len(batch)))
                    if batch:
                        self._waiting.append(_Piece(jobs[-1], list(range(len(batch)))))
                if not jobs:
                    return
                self._hand_out()
                if jobs[0].missing == 0:
                    yield jobs.popleft().results
                else:
                    self._listen()
        finally:
            if jobs:  # given up in the middle: what the workers are at is nobody's any more
                self.close()

    def _hand_out(self) -> None:
        for worker in list(self._workers):
            if worker.ready and worker.piece is None and worker.process.poll() is not None:
                self._end(worker)  # it died of nothing that it was given
        idle = [worker for worker in self._workers if worker.ready and worker.piece is None]
        starting = sum(not worker.ready for worker in self._workers)
        wanted = min(len(self._waiting) - len(idle) - starting, self.n - len(self._workers))
        for _ in range(wanted):
            self._workers.append(self._start())
        for worker in idle:
            if not self._waiting:
                break
            worker.piece = piece = self._waiting.popleft()
            worker.mark.set(None)
            message = self._wire.pack([piece.job.items[i] for i in piece.positions])
            try:
                worker.line.send_bytes(message)
            except OSError:
                self._failed(worker, _died(worker))

    def _listen(self) -> None:
        """Take what workers say, and end those that are over their time."""
        left = min(self._deadline(worker) for worker in self._busy()) - time.monotonic()
        heard = wait([worker.line for worker in self._busy()], max(0.0, left))
        for worker in self._busy():
            if worker.line in heard:
                try:
                    self._take(worker, self._wire.unpack(worker.line.recv_bytes(_MAX_MESSAGE)))
                except (EOFError, OSError, ValueError, LookupError, TypeError):
                    self._failed(worker, _died(worker))
            elif time.monotonic() >= self._deadline(worker):
                seconds = self.limits.seconds
                self._failed(worker, Refused("over-time", f"expected to be read in {seconds:g} s"))

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.piece is not None or not worker.ready]

    def _deadline(self, worker: _Worker) -> float:
        return worker.mark.since + (self.limits.seconds if worker.ready else _START_SECONDS)

    def _take(self, worker: _Worker, message: list[Any]) -> None:
        said, *rest = message
        if said == "ready":
            worker.ready, self._false_starts = True, 0
        elif said == "broken":
            raise HashretError(f"worker: expected {self.task} to start, got {rest[0]}")
        elif said == "out of memory":
            most = self.limits.memory_bytes >> 20
            self._failed(worker, Refused("over-memory", f"expected to need at most {most} MiB"))
        elif worker.piece is not None:
            piece, worker.piece = worker.piece, None
            for position, (verdict, *value) in zip(piece.positions, rest[0], strict=True):
                self._settle(
                    piece.job, position, Refused(*value) if verdict == "refused" else value[0]
                )

    def _settle(self, job: _Job, position: int, result: Any) -> None:
        job.results[position] = result
        job.missing -= 1

    def _failed(self, worker: _Worker, refused: Refused) -> None:
        """End a worker, and give the item it had in hand and the others to another one."""
        piece = worker.piece
        self._end(worker)
        if piece is None:
            self._false_starts += 1
            if self._false_starts > 2:
                raise HashretError(
                    f"worker: expected a process to start, got {refused.reason}; "
                    "is there memory for one?"
                )
            return
        job, positions, at = piece.job, piece.positions, worker.mark.at
        if piece.again:
            self._settle(job, positions[0], refused)
        elif len(positions) == 1:
            self._waiting.appendleft(_Piece(job, positions, again=True))
        elif at is None:  # it failed with no item in hand: look for the one in halves
            half = len(positions) // 2
            self._waiting.extendleft([_Piece(job, positions[half:]), _Piece(job, positions[:half])])
        else:
            rest = positions[:at] + positions[at + 1 :]
            alone = _Piece(job, [positions[at]], again=True)
            self._waiting.extendleft([_Piece(job, rest), alone])

    def _start(self) -> _Worker:
        ours, theirs = socket.socketpair()
        with ours, theirs, TemporaryFile() as shared:
            descriptors = theirs.fileno(), shared.fileno()
            mark = Mark(shared.fileno())
            try:
                process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                    [str(_INTERPRETER), "-c", _BOOT.format(sys.path, *descriptors)],
                    stdin=subprocess.DEVNULL,
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                    pass_fds=descriptors,
                    env=os.environ | dict.fromkeys(_THREADS, "1"),
                )
            except OSError as error:
                raise HashretError(
                    f"worker: expected a process of {_INTERPRETER}, got {error}; see that it is "
                    "there and may be started, or do without, as with workers=1"
                ) from error
            line = Connection(ours.detach())
        worker = _Worker(process, line, mark)
        opening = {
            "tag": self._wire.tag,
            "task": self.task,
            "seconds": self.limits.seconds,
            "memory_bytes": self.limits.memory_bytes,
        }
        try:
            line.send_bytes(Wire("").pack(opening))
            line.send_bytes(self._wire.pack(list(self.args)))
        except OSError:
            pass  # it is dead already, and its line says so to whom listens
        return worker

    def _end(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        worker.line.close()
        worker.process.kill()
        worker.process.wait()


def _died(worker: _Worker) -> Refused:
    try:
        code = worker.process.wait(1.0)
    except subprocess.TimeoutExpired:
        code = 0
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return Refused("decoder-died", f"expected to be decoded, got {how} in the decoder")
