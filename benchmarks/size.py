"""What the indexes of many codes take: processor time, and memory while they are built and after.

    python -m benchmarks.size [--items 10000000] [--bits 64] [--steps table,keep,open,...]

The codes are made up: 200,000 random centres, the first of them with many more codes than the last,
each bit flipped with a probability of 1/16. Each step is a process of its own with one thread, and
reads the codes into memory first. The most memory that it has while it works, and what it has
afterwards, are counted beyond that; both contain what the index holds, which is told apart.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks import environment

if TYPE_CHECKING:
    from hashret.codes import Codes

ROOT = Path(__file__).resolve().parents[1]
_CENTRES, _MADE = 200_000, 1 << 18  # centres; codes made at once
_SEGMENT = 65_536  # items, as the indexer writes them
_LOOK_UPS = 1000  # stored codes that each table must find


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--items", type=int, default=10_000_000)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--steps", default=",".join(STEPS), help=f"of {', '.join(STEPS)}")
    parser.add_argument("--codes", type=Path, help=argparse.SUPPRESS)  # in a process of a step
    arguments = parser.parse_args()
    steps = arguments.steps.split(",")
    if unknown := [step for step in steps if step not in STEPS]:
        parser.error(f"--steps: expected some of {', '.join(STEPS)}, got {unknown[0]}")
    environment.set_threads(1)
    if arguments.codes is not None:
        print(json.dumps(_measured(steps[0], arguments.codes)))
        return
    print(
        "| step | CPU s | ns an item | holds, bytes an item | at most, beyond the codes | after |"
    )
    print("|---|---:|---:|---:|---:|---:|")
    with tempfile.TemporaryDirectory() as folder:
        codes = Path(folder) / "codes.npy"
        make_codes(codes, arguments.items, arguments.bits)
        cache = {"XDG_CACHE_HOME": folder}  # what one step keeps, another opens
        for step in steps:
            command = [sys.executable, "-m", "benchmarks.size", "--steps", step]
            command += ["--codes", str(codes)]
            done = subprocess.run(
                command, check=True, cwd=ROOT, env=os.environ | cache, stdout=subprocess.PIPE
            )
            found = {
                name: value / arguments.items for name, value in json.loads(done.stdout).items()
            }
            memory = " | ".join(f"{found[name]:.1f}" for name in ("held", "peak", "after"))
            took = f"{found['seconds'] * arguments.items:.2f} | {1e9 * found['seconds']:.0f}"
            print(f"| {step} | {took} | {memory} |", flush=True)


def make_codes(path: Path, n: int, n_bits: int) -> None:
    """Write n codes as a .npy file, (n, n_bits // 8) uint8."""
    import numpy as np

    rng = np.random.default_rng(0)
    centres = rng.integers(0, 256, (_CENTRES, n_bits // 8), dtype=np.uint8)
    shape = (n, n_bits // 8)
    packed = np.lib.format.open_memmap(path, mode="w+", dtype=np.uint8, shape=shape)
    for start in range(0, n, _MADE):
        part = packed[start : start + _MADE]
        near = (_CENTRES * rng.random(len(part)) ** 2).astype(np.int64)
        coins = rng.integers(0, 256, (4, *part.shape), dtype=np.uint8)
        part[:] = centres[near] ^ np.bitwise_and.reduce(coins)  # 1/16: each of four coins is set


def _measured(step: str, path: Path) -> dict[str, float]:
    import numpy as np

    from hashret.codes import Codes

    codes = Codes(np.load(path))
    work, holds = STEPS[step]
    work(codes[:1000])  # so that what is imported on first use is there
    before = environment.resident_bytes()
    environment.forget_peak()
    began = process_time()
    result = work(codes)
    seconds = process_time() - began
    peak, after = environment.peak_bytes() - before, environment.resident_bytes() - before
    return {"seconds": seconds, "held": holds(result), "peak": peak, "after": after}


def _table(codes: Codes) -> Any:
    from hashret.indexes.table.index import TableIndex

    return TableIndex(codes)


def _kept_table(codes: Codes) -> Any:
    """The table as a collection has it: built and kept, or, where one is kept, opened."""
    from hashret.search.kept_tables import table_of

    return table_of(codes)


def _opened_table(codes: Codes) -> Any:
    import numpy as np

    table = _kept_table(codes)
    mapped = all(isinstance(array.base, np.memmap) for array in table.tensors().values())
    if not mapped and len(codes) > _LOOK_UPS:
        raise RuntimeError("open: expected a table that is kept, got none; put the step keep first")
    rows = np.linspace(0, len(codes) - 1, _LOOK_UPS, dtype=np.int64)
    if not all(row in table.bucket(codes.packed[row].tobytes()) for row in rows):
        raise RuntimeError("open: expected each code to be found, got others")
    return table


def _multi_index(codes: Codes) -> Any:
    from hashret.indexes.multi_index.index import MultiIndex

    return MultiIndex(codes)


def _clusters(codes: Codes) -> Any:
    from hashret import kernels
    from hashret.indexes.clusters import ClusterIndex

    kernels.enable()  # without them it takes three times as long
    return ClusterIndex(codes)


def _rows(codes: Codes) -> Any:
    """The rows of full segments without one in the middle, and where each has moved."""
    from hashret.row_numbers import Moves, RowNumbers

    firsts = range(0, len(codes), _SEGMENT)
    lengths = [min(_SEGMENT, len(codes) - first) for first in firsts]
    rows = RowNumbers.of_ranges([*firsts], lengths)
    return Moves(rows, rows.without([len(codes) // 2]))


def _bytes_of_index(index: Any) -> int:
    return int(index.n_bytes)


#: What is measured, in this order: what a step does with the codes, and what its result holds.
STEPS: dict[str, tuple[Callable[[Codes], Any], Callable[[Any], int]]] = {
    "table": (_table, _bytes_of_index),
    "keep": (_kept_table, _bytes_of_index),
    "open": (_opened_table, _bytes_of_index),
    "multi-index": (_multi_index, _bytes_of_index),
    "clusters": (_clusters, _bytes_of_index),
    "rows": (_rows, lambda moves: moves.nbytes),
}


if __name__ == "__main__":
    main()
