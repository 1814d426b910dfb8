"""One open `Collection` and many threads: every answer compared with one computed beforehand.

    python -m benchmarks.serving_threads COLLECTION QUERIES.json|QUERIES.npy

Prints one JSON object: how many answers were right, wrong or an error, and the questions a second
(wall clock) of one thread and of two; of vectors only what two threads answer for each question of
one, by the way of asking. It may hang where threads are not provided for, so whoever starts it sets
a time limit.
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

import numpy as np

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
            one, two = _throughput(verbs["query"], verbs["rerank"])
            figures |= {"one_per_s": one, "two_per_s": two, "two_threads_gain": two / one}
        return figures


def measure_vectors(path: Path, asked: np.ndarray) -> dict[str, float]:
    """What two threads answer in the time of one, for each question that this answers alone."""
    with Collection.open(path) as collection:
        codes = collection.coder.encode(list(asked)).codes
        several = [list(asked[30 * i : 30 * i + 30]) for i in range(10)]
        ways: dict[str, Callable[[int], Any]] = {
            "query": lambda i: collection.query(asked[i]),
            "query, rerank=200": lambda i: collection.query(asked[i], rerank=200),
            "30 at once, rerank=200": lambda i: collection.query(several[i % 10], rerank=200),
            "search_rows of 300 codes": lambda i: collection.search_rows(codes),
        }
        gains = {}
        for name, ask in ways.items():
            for i in range(_ASKED):
                ask(i)
            one, two = _throughput(ask, n=200 if name.startswith("query") else 20)
            gains[name] = two / one
        return gains


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


def _throughput(*asks: Callable[[int], Any], n: int = 200) -> tuple[float, float]:
    """Calls a second of one thread and of two, in turns; medians."""

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
    return one, two


def main() -> None:
    """Measure the collection that the command line names."""
    path, queries = Path(sys.argv[1]), Path(sys.argv[2])
    if queries.suffix == ".npy":
        print(json.dumps(measure_vectors(path, np.load(queries))))
    else:
        print(json.dumps(measure(path, json.loads(queries.read_text(encoding="utf-8")))))


if __name__ == "__main__":
    main()
