"""Opening a collection of a million codes, and the first answer, each in a fresh process.

    python -m benchmarks.open_collection [--n 1000000] [--bits 64]

The items are made up: random codes written through the store as the indexer would.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from statistics import median
from time import perf_counter

from benchmarks import environment

_SEGMENT = 65_536
_OPEN = """
import sys, resource
from time import perf_counter
from hashret.collection import Collection
began = perf_counter()
with Collection.open(sys.argv[1]) as collection:
    n = len(collection)
    opened = perf_counter()
    collection.similar("12345", k=10)
    answered = perf_counter()
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
print(n, opened - began, answered - opened, peak)
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=1_000_000)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=7)
    arguments = parser.parse_args()
    environment.set_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        began = perf_counter()
        _make(Path(folder) / "c", arguments.n, arguments.bits)
        print(f"written in {perf_counter() - began:.1f} s")
        runs = []
        for _ in range(arguments.repeats):
            command = [sys.executable, "-c", _OPEN, f"{folder}/c"]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            runs.append([float(part) for part in done.stdout.split()])
    n, opened, answered, peak = (median(column) for column in zip(*runs, strict=True))
    print("| items | open, ms | first answer, ms | peak memory, MiB |\n|---|---|---|---|")
    print(f"| {n:,.0f} | {1000 * opened:.0f} | {1000 * answered:.0f} | {peak:.0f} |")


def _make(path: Path, n: int, n_bits: int) -> None:
    import numpy as np

    from hashret.codes import Codes
    from hashret.store.catalog import Catalog, ItemRecord
    from hashret.store.layout import Layout
    from hashret.store.model_files import write_model
    from hashret.store.segments import SegmentRecord, write_segment

    rng = np.random.default_rng(0)
    layout = Layout.create(path)
    with Catalog.create(layout, "vector") as catalog:
        staging = catalog.begin()
        staging.add_model(write_model(layout, "m", {}, {"none": np.zeros(1)}, n_bits))
        for first in range(0, n, _SEGMENT):
            rows = range(first, min(first + _SEGMENT, n))
            codes = Codes(rng.integers(0, 256, (len(rows), n_bits // 8), dtype=np.uint8))
            name = f"c{first}"
            file = write_segment(layout, name, codes)
            items = [ItemRecord(row, str(row), bytes(32), {}, "") for row in rows]
            record = SegmentRecord(name, first, len(rows), n_bits, file)
            staging.add_segment(record, "m", items)
        staging.finish("m")


if __name__ == "__main__":
    main()
