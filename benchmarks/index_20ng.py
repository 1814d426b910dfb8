"""`hashret index` of 20 Newsgroups, 18,846 raw posts at 64 bits: wall time, peak memory, its parts.

python -m benchmarks.index_20ng [--datasets FOLDER] [--bits 64]
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
from benchmarks.datasets import default_root


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--datasets", type=Path, default=default_root())
    parser.add_argument("--bits", type=int, default=64)
    arguments = parser.parse_args()
    posts = arguments.datasets / "20ng" / "docs.jsonl.gz"
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-c", "from indexer.cli import main; main()", "index"]
        command += [str(posts), "--to", f"{folder}/c", "--bits", str(arguments.bits)]
        began = perf_counter()
        done = subprocess.run(command, capture_output=True, text=True, check=True)
        seconds = perf_counter() - began
    # of the only child waited for, in KiB on Linux
    peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 2**20
    print(done.stderr, done.stdout, sep="")
    print(f"wall {seconds:.0f} s, peak resident memory {peak:.2f} GiB")
    print(environment.describe())


if __name__ == "__main__":
    main()
