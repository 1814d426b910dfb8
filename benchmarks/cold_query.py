"""A cold `hashret query` beside `python -c "import torch"`, in turns, medians and their ratios.

    python -m benchmarks.cold_query COLLECTION "some text" [--n 1000000] [--repeats 15]

Every run is a process of its own, with compiled modules, as an installation has them; the first of
each is not counted, so that both read their files from the page cache. With --n the collection of
texts is first filled up to so many items, with made-up ones of random codes.
"""

from __future__ import annotations

import argparse
import os
import resource
import subprocess
import sys
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks import environment, search_results

_HEAVY = ("torch", "sklearn", "scipy", "faiss")
_NO_COMPILED_MODULES = "PYTHONDONTWRITEBYTECODE"


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
    loaded = imported_modules(_query(arguments.collection, arguments.text))
    heavy = [name for name in _HEAVY if name in loaded]
    found = measure(arguments.collection, arguments.text, arguments.repeats)
    print(f"heavy imports of a query: {', '.join(heavy) or 'none'}")
    print("| | cold query, s | import torch, s | ratio |\n|---|---|---|---|")
    for name, key in (("wall clock", "s"), ("processor", "cpu_s")):
        cold, torch = found[f"query_{key}"], found[f"torch_{key}"]
        print(f"| {name} | {cold:.3f} | {torch:.3f} | {cold / torch:.2f} |")
    if arguments.results is not None:
        record = {"part": "cold", "family": "text", "bits": n_bits, "n": n, "kind": "cold"}
        search_results.replace(arguments.results, [record | found])


def measure(collection: Path, text: str, repeats: int) -> dict[str, float]:
    """Medians of wall and processor seconds, of a query and of importing torch, in turns."""
    commands = {"query": _query(collection, text), "torch": ["-c", "import torch"]}
    # else every process would compile hashret anew, and no installation does
    given = {name: value for name, value in os.environ.items() if name != _NO_COMPILED_MODULES}
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in commands}
    for _ in range(repeats + 1):
        for name, command in commands.items():
            began, spent = perf_counter(), _processor_s()
            subprocess.run([sys.executable, *command], capture_output=True, check=True, env=given)
            times[name].append((perf_counter() - began, _processor_s() - spent))
    found = {}
    for name, taken in times.items():
        found[f"{name}_s"], found[f"{name}_cpu_s"] = map(median, zip(*taken[1:], strict=True))
    return found


def _query(collection: Path, text: str) -> list[str]:
    """What Python is given to run `hashret query`."""
    return ["-c", "from indexer.cli import main; main()", "query", str(collection), text]


def _processor_s() -> float:
    """Seconds of processor that the finished children of this process took."""
    children = resource.getrusage(resource.RUSAGE_CHILDREN)
    return children.ru_utime + children.ru_stime


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
