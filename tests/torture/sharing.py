"""A writer beside others: ``python -m tests.torture.sharing replace|count|unlocked|hold PATH N``."""

import contextlib
import sys
import time
from collections.abc import Callable
from pathlib import Path

from hashret import Collection
from hashret.items import Item
from hashret.store.catalog_postgresql import PostgresqlDatabase
from indexer import Indexer, held
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
    held.writer_lock = lambda layout, wait: contextlib.nullcontext()
    PostgresqlDatabase._lock = lambda self, cursor, deadline: None
    waits = [True]

    def meet() -> None:
        if waits:
            waits.pop()
            sys.stdout.write("read\n")
            sys.stdout.flush()
            sys.stdin.readline()

    count(path, turns, meet)


def hold(path: Path, _: int) -> None:
    """Stage an item and never commit it."""
    with Indexer(path) as indexer:
        indexer.add([Item("staged", items_of("vector", 20)[0].payload, {})])
        sys.stdout.write("held\n")
        sys.stdout.flush()
        time.sleep(600)


if __name__ == "__main__":
    {"replace": replace, "count": count, "unlocked": count_unlocked, "hold": hold}[sys.argv[1]](
        Path(sys.argv[2]), int(sys.argv[3])
    )
