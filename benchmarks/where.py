"""What a new condition costs on columns: processor seconds and peak memory, one thread.

    python -m benchmarks.where [--n 10000000] [--segment 65536]

The items have a random number `n` below a million (a twentieth has none), one of 6 languages, a
title of 6 words, one of 200 lists of `tags` (JSON), and a number of 20 digits (`big`, JSON, nearly
all different). They stand in memory, in segments. Each condition is judged on all of them twice,
and the second time counts; the memory is what it takes beyond the columns (Linux).
"""

from __future__ import annotations

import argparse
from pathlib import Path
from time import process_time
from typing import Any

from benchmarks import environment

_CONDITIONS = (
    "n < 50000",
    "n in (1, 2, 3)",
    "lang == 'de'",
    "lang == 'de' and n < 1000",
    "lang == 'de' or n < 1000",
    "'x' in tags",
    "title.contains('w77')",
    "id.startswith('00ff')",
    "id == '00000000000000000000000000000007'",
    "lang == 'de' and n < 1000 and big > 50000000000000000000",
    "big > 50000000000000000000",
)


_STATUS = Path("/proc/self/status")


class _Segment:
    """Random columns as `hashret.where.columns.Columns` describes them."""

    def __init__(self, first: int, n_rows: int):
        import numpy as np
        import pyarrow as pa

        rng = np.random.default_rng(first)
        self.n_rows = n_rows
        self.other = None
        self.ids = pa.array([f"{row:032x}" for row in range(first, first + n_rows)])
        languages = pa.array(["de", "en", "fr", "it", "zh-Hant", "pt-BR"])
        words = np.array([f"w{i}" for i in range(1000)])
        lists = [f'["t{i}", "t{i // 3}"{", " if i % 9 == 0 else ""}' for i in range(200)]
        lists = [one + ('"x"]' if one.endswith(" ") else "]") for one in lists]
        titles = [" ".join(words[row]) for row in rng.integers(0, 1000, (n_rows, 6))]
        numbers = rng.integers(10**17, 10**18, n_rows)
        self._columns = {
            "n": pa.array(rng.integers(0, 10**6, n_rows), mask=rng.random(n_rows) < 0.05),
            "lang": languages.take(pa.array(rng.integers(0, 6, n_rows))),
            "title": pa.array(titles),
            "tags": pa.array(lists).take(pa.array(rng.integers(0, 200, n_rows))),
            "big": pa.array([f"{number}00" for number in numbers]),
        }

    def field(self, key: str) -> Any:
        return self._columns.get(key)

    def is_json(self, key: str) -> bool:
        return key in ("tags", "big")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--n", type=int, default=10_000_000)
    parser.add_argument("--segment", type=int, default=65_536)
    arguments = parser.parse_args()
    environment.set_threads(1)
    starts = range(0, arguments.n, arguments.segment)
    segments = [_Segment(i, min(arguments.segment, arguments.n - i)) for i in starts]
    print(f"{arguments.n:,} items in {len(segments)} segments")
    print("| condition | items found | processor s | MiB |\n|---|---|---|---|")
    for expression in _CONDITIONS:
        n_found, seconds, memory = _asked(expression, segments)
        print(
            f"| `{expression}` | {n_found:,} | {seconds:.3f} | {memory / 2**20:.0f} |", flush=True
        )


def _asked(expression: str, segments: list[_Segment]) -> tuple[int, float, int]:
    import numpy as np

    from hashret.where import parse
    from hashret.where.columns import satisfied

    for _ in range(2):
        Path("/proc/self/clear_refs").write_text("5", encoding="ascii")  # forget the peak
        before, began = environment.resident_bytes(), process_time()
        found = [satisfied(parse(expression), segment) for segment in segments]
        seconds, memory = process_time() - began, _peak() - before
    return int(np.concatenate(found).sum()), seconds, memory


def _peak() -> int:
    (line,) = (one for one in _STATUS.read_text(encoding="ascii").splitlines() if "VmHWM" in one)
    return int(line.split()[1]) * 1024


if __name__ == "__main__":
    main()
