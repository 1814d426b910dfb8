"""The asymmetric scan beside the Hamming scan and Faiss's product quantiser of as many bytes.

    python -m benchmarks.asymmetric [--items 1000000] [--write-docs]

Processor time of the ten first for one query, one thread, medians, side by side in one run; random
codes, since a scan takes the same time for any.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from statistics import median
from time import process_time
from typing import Any

from benchmarks import environment
from benchmarks.page_sections import write_section

ROOT = Path(__file__).resolve().parents[1]
_LENGTHS = (64, 128, 256)
_REPEATS = 15


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--items", type=int, default=1_000_000)
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    environment.set_threads(1)
    table = _table(arguments.items, [_measure(arguments.items, n_bits) for n_bits in _LENGTHS])
    print(table)
    if arguments.write_docs:
        page = ROOT / "docs" / "vectors.md"
        write_section(page, "asymmetric", table)


def _measure(n: int, n_bits: int) -> dict[str, float]:
    import faiss
    import numpy as np

    from hashret import rank
    from hashret.codes import Codes
    from hashret.indexes.scan import ScanIndex

    faiss.omp_set_num_threads(1)
    rng = np.random.default_rng(0)
    codes = Codes(rng.integers(0, 256, (n, n_bits // 8), dtype=np.uint8))
    confidences = rng.random(n_bits).astype(np.float32)
    query = codes[:1]
    scan = ScanIndex.build(codes)
    quantised = faiss.IndexPQ(n_bits, n_bits // 8, 8)
    quantised.train(rng.random((10_000, n_bits), np.float32))
    faiss.copy_array_to_vector(codes.packed.ravel(), quantised.codes)
    quantised.ntotal = n
    vector = rng.random((1, n_bits), np.float32)
    return {
        "hashret, by distance (scan)": _time(lambda: scan.search(query, 10)),
        "hashret, asymmetric": _time(
            lambda: rank.highest(rank.expected_agreement(confidences, codes), 10)
        ),
        "PQ of as many bytes (Faiss)": _time(lambda: quantised.search(vector, 10)),
    }


def _time(ask: Callable[[], Any]) -> float:
    """Milliseconds of processor time: the median, after one call that does not count."""
    taken = []
    for _ in range(_REPEATS + 1):
        began = process_time()
        ask()
        taken.append(1e3 * (process_time() - began))
    return median(taken[1:])


def _table(n: int, columns: list[dict[str, float]]) -> str:
    lines = [
        f"Milliseconds for the ten first of {n:,} codes, one thread:",
        "",
        f"| | {' | '.join(f'{n_bits} bits' for n_bits in _LENGTHS)} |",
        "|---|" + "---|" * len(_LENGTHS),
    ]
    for name in columns[0]:
        cells = [f"{column[name]:.1f}" for column in columns]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
