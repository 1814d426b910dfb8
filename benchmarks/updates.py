"""Refreshing after a small change beside opening anew, and conditions beside filtering afterwards.

    python -m benchmarks.updates [--n 1000000] [--bits 64] [--repeats 7]

Refresh: each turn removes and adds half a per cent of the items, then asks for everything within
1 bit of 10,000 codes. Conditions: the 10 nearest to one stored code among a share of the items.
Filtering afterwards is given the selected rows for free, and asks an index of all codes for twice
as many until 10 of them are selected; the same answers come of both. All in turns, in one process.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any

from benchmarks import environment
from benchmarks.open_collection import make_collection

_QUERIES = 10_000
_SHARES = (0.0001, 0.001, 0.01, 0.1, 0.5, 1.0)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    environment.set_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "c"
        make_collection(path, arguments.n, arguments.bits)
        _conditions(path, arguments.n, arguments.repeats)
        _refresh(path, arguments.n, arguments.bits, arguments.repeats)


def _timed(ask: Callable[[], Any]) -> tuple[float, Any]:
    began = perf_counter()
    answer = ask()
    return 1000 * (perf_counter() - began), answer


def _refresh(path: Path, n: int, n_bits: int, repeats: int) -> None:
    import numpy as np

    from hashret.codes import Codes
    from hashret.collection import Collection

    rng = np.random.default_rng(1)
    queries = Codes(rng.integers(0, 256, (_QUERIES, n_bits // 8), dtype=np.uint8))
    times: list[list[float]] = []
    with Collection.open(path) as standing:
        standing.index.within(queries, 1)
        for turn in range(repeats):
            make_collection(path, n // 200, n_bits, removed=n // 200, seed=turn + 2)
            refreshed, _ = _timed(standing.refresh)
            asked, found = _timed(lambda: standing.index.within(queries, 1))
            opening, anew = _timed(lambda: Collection.open(path))
            with anew:
                first, expected = _timed(lambda: anew.index.within(queries, 1))  # noqa: B023
            if not np.array_equal(found.rows, expected.rows):
                raise RuntimeError("refresh: expected the answers of a collection opened anew")
            times.append([refreshed, asked, opening, first])
    a, b, c, d = (median(column) for column in zip(*times, strict=True))
    print("| refresh, ms | its answers, ms | open anew, ms | its answers, ms | ratio |")
    print(f"|---|---|---|---|---|\n| {a:.0f} | {b:.0f} | {c:.0f} | {d:.0f} | ", end="")
    print(f"{median((t[2] + t[3]) / (t[0] + t[1]) for t in times):.1f} |")


def _conditions(path: Path, n: int, repeats: int) -> None:
    import numpy as np

    from hashret.collection import Collection

    print("| share | first question, ms | next question, ms | filtering afterwards, ms | k asked |")
    print("|---|---|---|---|---|")
    with Collection.open(path) as collection:
        for share in _SHARES:
            times, asked = [], 0
            for turn in range(repeats):
                n_first = max(10, int(share * n))
                where = f"n < {n_first} and n != -{turn + 1}"  # each turn another, unremembered
                item_id = str(n - 1 - turn)
                ask = partial(collection.similar, item_id, include_self=True, where=where)
                first, hits = _timed(ask)
                following, _ = _timed(ask)
                chosen = np.arange(n) < n_first
                codes = collection.codes[n - 1 - turn : n - turn]
                after, (distances, asked) = _timed(
                    lambda: _afterwards(collection.index, codes, chosen)  # noqa: B023
                )
                if [hit.distance for hit in hits] != distances:
                    raise RuntimeError("where: expected the answers of filtering afterwards")
                times.append([first, following, after])
            a, b, c = (median(column) for column in zip(*times, strict=True))
            print(f"| {share} | {a:.1f} | {b:.1f} | {c:.1f} | {asked:,} |", flush=True)


def _afterwards(index: Any, codes: Any, chosen: Any) -> tuple[list[int], int]:
    k = 10
    while True:
        found = index.search(codes, k)
        kept = found.distances[chosen[found.rows]]
        if len(kept) >= 10 or k >= len(index):
            return kept[:10].tolist(), k
        k *= 2


if __name__ == "__main__":
    main()
