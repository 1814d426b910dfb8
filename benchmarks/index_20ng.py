"""`hashret index` of 20 Newsgroups, 18,846 raw posts at 64 bits: wall time, peak memory, its parts.

    python -m benchmarks.index_20ng [--datasets FOLDER] [--bits 64] [--threads 2]

Prints what the command said, then one row of a Markdown table.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from time import perf_counter

from benchmarks import environment


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    environment.set_threads(arguments.threads)
    from benchmarks.datasets import default_root

    posts = (arguments.datasets or default_root()) / "20ng" / "docs.jsonl.gz"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from indexer.cli import main; main()", "index"]
        command += [str(posts), "--to", f"{folder}/c", "--bits", str(arguments.bits)]
        began = perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        seconds = perf_counter() - began
    print(done.stderr, done.stdout, sep="")
    if done.returncode:
        raise SystemExit(f"hashret index: expected exit 0, got {done.returncode}; see above")
    # of the only child waited for, in KiB on Linux
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print("| bits | threads | wall, s | peak memory, GiB | of that |\n|---|---|---|---|---|")
    parts = _parts(done.stderr)
    print(f"| {arguments.bits} | {arguments.threads} | {seconds:.0f} | {peak:.2f} | {parts} |")
    print(environment.describe())


def _parts(said: str) -> str:
    """Where the command says that the time went."""
    lines = [line.removeprefix("time: ") for line in said.splitlines() if line.startswith("time: ")]
    return lines[-1] if lines else "not said"


if __name__ == "__main__":
    main()
