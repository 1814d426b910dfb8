"""A cold `hashret query` beside `python -c "import torch"`, in turns, medians and their ratio.

    python -m benchmarks.cold_query COLLECTION "some text" [--n 1000000] [--repeats 15]

Every run is a process of its own; the first of each is not counted, so that both read their files
from the page cache. With --n the collection of texts is first filled up to so many items, with
made-up ones of random codes.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks import environment, search_results

_HEAVY = ("torch", "sklearn", "scipy", "faiss")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("collection", type=Path)
    parser.add_argument("text")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--n", type=int, help="fill the collection up to so many items")
    parser.add_argument("--results", type=Path, help="put the figures among those of the search")
    arguments = parser.parse_args()
    environment.set_threads(1)
    n, n_bits = filled(arguments.collection, arguments.n or 0)
    query = [sys.executable, "-c", "from indexer.cli import main; main()", "query"]
    query += [str(arguments.collection), arguments.text]
    reference = [sys.executable, "-c", "import torch"]
    loaded = imported_modules(query[1:])
    heavy = [name for name in _HEAVY if name in loaded]
    times: dict[str, list[float]] = {"query": [], "import torch": []}
    for turn in range(arguments.repeats + 1):
        for name, command in (("query", query), ("import torch", reference)):
            began = perf_counter()
            subprocess.run(command, capture_output=True, check=True)
            if turn:
                times[name].append(perf_counter() - began)
    cold, torch = median(times["query"]), median(times["import torch"])
    print(f"heavy imports of a query: {', '.join(heavy) or 'none'}")
    print("| cold query, s | import torch, s | ratio |\n|---|---|---|")
    print(f"| {cold:.3f} | {torch:.3f} | {cold / torch:.2f} |")
    if arguments.results is not None:
        record = {"part": "cold", "family": "text", "bits": n_bits, "n": n, "kind": "cold"}
        record |= {"query_s": cold, "torch_s": torch}
        search_results.replace(arguments.results, [record])


def filled(collection: Path, n: int) -> tuple[int, int]:
    """The number of items of a collection of texts, made n if there were fewer, and its bits."""
    from benchmarks.open_collection import make_collection
    from hashret.collection import Collection

    with Collection.open(collection) as snapshot:
        found, n_bits = len(snapshot), snapshot.n_bits
    if found < n:
        make_collection(collection, n - found, n_bits, kind="text")
    return max(n, found), n_bits


def imported_modules(arguments: list[str]) -> set[str]:
    """Every module that a fresh Python with these arguments imports, at whatever depth."""
    command = [sys.executable, "-X", "importtime", *arguments]
    lines = subprocess.run(command, capture_output=True, text=True, check=True).stderr.splitlines()
    # "import time: SELF | CUMULATIVE | NAME", the name indented by its depth
    return {line.rpartition("|")[2].strip() for line in lines if line.startswith("import time:")}


if __name__ == "__main__":
    main()
