"""A writer beside others: ``python -m tests.torture.sharing replace|count|unlocked PATH N``."""

import contextlib
import multiprocessing
import os
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path

from hashret import Collection
from hashret.items import Item
from hashret.store.catalog.postgresql import PostgresqlDatabase
from indexer import Indexer
from indexer.ingest import writer_session
from tests.torture.bases import items_of


def replace(path: Path, turns: int) -> None:
    """Every item again in each commit, all with the same number; now and then compacted."""
    items = items_of("vector", 20)
    for turn in range(1000, 1000 + turns):
        with Indexer(path) as indexer:
            indexer.add([Item(item.id, item.payload, {"n": turn}) for item in items])
            indexer.commit()
            if turn % 10 == 0:
                indexer.compact()


def count(path: Path, turns: int, met: Callable[[], None] = lambda: None) -> None:
    """Read a counter, then write it one higher, under the lock; `met` is called in between."""
    payload = items_of("vector", 20)[0].payload
    for _ in range(turns):
        with Indexer(path, wait_seconds=600) as indexer:
            with Collection.open(path) as collection:
                n = collection.get("counter").metadata["n"] if "counter" in collection else 0
            met()
            indexer.add([Item("counter", payload, {"n": n + 1})])
            indexer.commit()


def count_unlocked(path: Path, turns: int) -> None:
    """The same with no lock; the first time, whoever has read the counter waits for a line."""
    writer_session.writer_lock = lambda layout, wait: contextlib.nullcontext()
    PostgresqlDatabase._lock = lambda self, cursor, deadline: None
    waits = [True]

    def meet() -> None:
        if waits:
            waits.pop()
            sys.stdout.write("read\n")
            sys.stdout.flush()
            sys.stdin.readline()

    count(path, turns, meet)


def hold(path: Path, to: Connection, environment: dict[str, str]) -> None:
    """Stage an item, say so, and never commit it."""
    os.environ.update(environment)  # the server of the forks has that of its own start
    with Indexer(path) as indexer:
        indexer.add([Item("staged", items_of("vector", 20)[0].payload, {})])
        to.send("held")
        time.sleep(600)


@contextlib.contextmanager
def holder(path: Path) -> Iterator[BaseProcess]:
    """A process that holds the lock of the collection at `path`, killed at the end.

    It is a fork of a server that has imported everything and done nothing, which takes a tenth of
    the time of a new process.
    """
    forks = multiprocessing.get_context("forkserver")
    forks.set_forkserver_preload([__name__])
    here, there = forks.Pipe(duplex=False)
    process = forks.Process(target=hold, args=(path, there, dict(os.environ)))
    process.start()
    there.close()  # so that a process that ends too early is an EOFError, not a silence
    try:
        assert here.recv() == "held"
        yield process
    finally:
        process.kill()
        process.join()
        here.close()


if __name__ == "__main__":
    {"replace": replace, "count": count, "unlocked": count_unlocked}[sys.argv[1]](
        Path(sys.argv[2]), int(sys.argv[3])
    )
