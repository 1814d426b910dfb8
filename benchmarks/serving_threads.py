"""One open `Collection` and many threads: every answer compared with one computed beforehand.

    python -m benchmarks.serving_threads COLLECTION QUERIES.json

Prints one JSON object: how many answers were right, wrong or an error, and the questions a second
(wall clock) of one thread and of two. It may hang where threads are not provided for, so whoever
starts it sets a time limit.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from statistics import median
from threading import Thread
from time import perf_counter
from typing import Any

from hashret import Collection, Hits

_THREADS = 8
_ASKED = 40  # questions of each verb
_TURNS = 30  # questions of each thread in a round
_REPEATS = 5


def measure(path: Path, queries: list[str]) -> dict[str, Any]:
    """The counts of 8 threads' answers, and the throughput of one and of two threads."""
    with Collection.open(path) as collection:
        verbs = _verbs(collection, queries)
        truth = {name: [ask(i) for i in range(_ASKED)] for name, ask in verbs.items()}
        seen: Counter[str] = Counter()

        def asks(name: str, start: int) -> None:
            for turn in range(_TURNS):
                i = (7 * start + turn) % _ASKED
                try:
                    seen["right" if verbs[name](i) == truth[name][i] else "wrong"] += 1
                except Exception as error:  # whatever it is, it is counted
                    seen["error"] += 1
                    seen[f"{type(error).__module__}.{type(error).__name__}"] += 1

        names = list(verbs) * 2
        for first in range(len(verbs)):
            _together([(asks, (names[(first + i) % len(names)], i)) for i in range(_THREADS)])
        for name in verbs:
            _together([(asks, (name, i)) for i in range(_THREADS)])
        figures: dict[str, Any] = dict(seen)
        if not seen["error"]:
            figures |= _throughput(verbs["query"], verbs["rerank"])
        return figures


def _verbs(collection: Collection, queries: list[str]) -> dict[str, Callable[[int], Any]]:
    ids = [f"post-{row:08}" for row in range(_ASKED)]

    def plain(hits: Hits) -> list[Any]:
        return [(hit.id, hit.distance, hit.code, hit.preview, dict(hit.metadata)) for hit in hits]

    return {
        "query": lambda i: plain(collection.query(queries[i])),
        "where": lambda i: plain(collection.query(queries[i], where=f"year >= {1990 + i % 7}")),
        "similar": lambda i: plain(collection.similar(ids[i])),
        "within": lambda i: plain(collection.within(queries[i], 3)),
        "get": lambda i: collection.get(ids[i]),
        "rerank": lambda i: plain(collection.query(queries[i], rerank=50)),
    }


def _together(calls: list[tuple[Callable[..., None], tuple[Any, ...]]]) -> None:
    threads = [Thread(target=call, args=given) for call, given in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _throughput(*asks: Callable[[int], Any]) -> dict[str, float]:
    """Questions a second of one thread and of two, in turns; medians."""
    n = 200

    def some(n: int) -> None:
        for i in range(n):
            for ask in asks:
                ask(i % _ASKED)

    seconds: dict[int, list[float]] = {1: [], 2: []}
    for _ in range(_REPEATS):
        for n_threads, taken in seconds.items():
            began = perf_counter()
            _together([(some, (n // n_threads,))] * n_threads)
            taken.append(perf_counter() - began)
    one, two = (n * len(asks) / median(taken) for taken in seconds.values())
    return {"one_per_s": one, "two_per_s": two, "two_threads_gain": two / one}


def main() -> None:
    """Measure the collection that the command line names."""
    queries = json.loads(Path(sys.argv[2]).read_text(encoding="utf-8"))
    print(json.dumps(measure(Path(sys.argv[1]), queries)))


if __name__ == "__main__":
    main()
