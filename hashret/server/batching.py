"""Which questions are answered together, and when? Those of one form that wait at the same time.

A question is answered at once while a thread is free. Those that come while all are busy wait for
the next free one, which takes as many of one form as there are: no window of time is waited out.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import TypeVar

from hashret.collection import Collection
from hashret.errors import HashretError
from hashret.server.answers import Asked, Form, answers
from hashret.server.metrics import Metrics

_Result = TypeVar("_Result")

#: Most questions that one call answers: enough to gain by it, and few enough that the first does
#: not wait long for the last.
TOGETHER = 64
#: Most questions that wait. More are refused at once: they would not be answered in time.
_WAITING = 1_024


class BusyError(HashretError):
    """More questions wait than can be answered in time."""


@dataclass(frozen=True, slots=True)
class _Waiting:
    """A question and who waits for its answer."""

    form: Form
    asked: Asked
    answer: asyncio.Future[bytes]


class Batcher:
    """A pool of threads that answers questions. It is used from one event loop."""

    def __init__(
        self,
        collections: dict[str, Collection],
        n_threads: int,
        metrics: Metrics,
        together: int = TOGETHER,
    ) -> None:
        """At most `together` questions are answered by one call; 1: each alone."""
        self._collections = collections
        self._pool = ThreadPoolExecutor(n_threads, thread_name_prefix="hashret-answer")
        self._free = n_threads
        self._metrics = metrics
        self._together = together
        self._waiting: dict[Hashable, deque[_Waiting]] = {}  # the form that waits longest is first
        self._n_waiting = 0
        self._running: set[asyncio.Task[None]] = set()

    async def ask(self, form: Form, asked: Asked) -> bytes:
        """The answer as JSON. Raises what the collection does, and `BusyError`."""
        if self._n_waiting >= _WAITING:
            raise BusyError(
                f"server: expected at most {_WAITING:,} waiting questions, got more; ask later"
            )
        one = _Waiting(form, asked, asyncio.get_running_loop().create_future())
        key = form if asked.is_short else one.answer  # a long one is answered alone
        self._waiting.setdefault(key, deque()).append(one)
        self._n_waiting += 1
        self._start()
        return await one.answer

    async def call(self, function: Callable[..., _Result], *given: object) -> _Result:
        """What the function returns, called in a thread of the pool."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, function, *given)

    def close(self) -> None:
        """Wait for the threads; what none of them has begun is not begun."""
        self._pool.shutdown(cancel_futures=True)

    def _start(self) -> None:
        """Give every free thread the questions of the form that waits longest."""
        while self._free and self._waiting:
            key = next(iter(self._waiting))
            queue = self._waiting.pop(key)
            batch = [queue.popleft() for _ in range(min(len(queue), self._together))]
            if queue:
                self._waiting[key] = queue  # behind the other forms
            self._n_waiting -= len(batch)
            batch = [one for one in batch if not one.answer.done()]  # nobody waits any more
            if batch:
                self._free -= 1
                task = asyncio.get_running_loop().create_task(self._answer(batch))
                self._running.add(task)
                task.add_done_callback(self._running.discard)

    async def _answer(self, batch: list[_Waiting]) -> None:
        form = batch[0].form
        self._metrics.batch(len(batch))
        try:
            collection = self._collections[form.collection]
            told = await self.call(answers, collection, form, [one.asked for one in batch])
        except Exception as error:  # an error of ours: whoever waits is told, and the log
            told = [error] * len(batch)
        finally:
            self._free += 1
        for one, answer in zip(batch, told, strict=True):
            if one.answer.done():
                continue
            if isinstance(answer, Exception):
                one.answer.set_exception(answer)
            else:
                one.answer.set_result(answer)
        self._start()
