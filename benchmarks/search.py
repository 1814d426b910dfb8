"""How fast the indexes answer, beside Faiss and dict on the same codes.

One thread; the paths of a question take turns, each turn with fresh queries; figures are
medians of process CPU time a query, and ratios of these. Before anything is timed, every path
must give the distances that Faiss Flat gives.

    python -m benchmarks.search --out docs/search-1m.md
"""

from __future__ import annotations

from benchmarks.environment import describe, set_threads

set_threads(1)

import time  # noqa: E402
from collections.abc import Callable  # noqa: E402
from dataclasses import dataclass  # noqa: E402
from itertools import pairwise  # noqa: E402
from pathlib import Path  # noqa: E402
from typing import Any  # noqa: E402

import click  # noqa: E402
import faiss  # noqa: E402
import numpy as np  # noqa: E402

from benchmarks.search_data import FAMILIES, Family  # noqa: E402
from hashret.codes import Codes, Neighbors, ball_size  # noqa: E402
from hashret.indexes.multi_index import MultiIndex  # noqa: E402
from hashret.indexes.planner import PlannedIndex  # noqa: E402
from hashret.indexes.scan import ScanIndex  # noqa: E402
from hashret.indexes.table import TableIndex  # noqa: E402

_TURNS = 7
_BUDGET = 0.25  # seconds a turn may take; a slow path gets fewer queries

Ask = Callable[[np.ndarray], Any]


@dataclass(frozen=True)
class Question:
    """One question: fresh queries for a turn, and the paths that answer them."""

    name: str
    queries: Callable[[], np.ndarray]
    paths: dict[str, Ask]


class Subjects:
    """Everything that is compared, built over the same codes."""

    def __init__(self, packed: np.ndarray):
        self.packed = packed
        self.n_bits = 8 * packed.shape[1]
        self.sizes: dict[str, tuple[float, float]] = {}
        codes = Codes(packed)
        self.table = self._timed("table", lambda: TableIndex(codes))
        self.multi = self._timed("multi-index", lambda: MultiIndex(codes))
        self.scan = self._timed("scan", lambda: ScanIndex(codes))
        self.auto = PlannedIndex(codes)
        self.flat = self._timed("Faiss Flat", lambda: self._faiss(faiss.IndexBinaryFlat))
        width = min(32, self.n_bits)
        self.hash = self._timed("Faiss Hash", lambda: self._faiss(faiss.IndexBinaryHash, width))
        self.n_hashes = max(1, self.n_bits // 21)
        self.multi_hash = self._timed(
            "Faiss MultiHash",
            lambda: self._faiss(faiss.IndexBinaryMultiHash, self.n_hashes, min(21, self.n_bits)),
        )
        self.dict = self._timed("dict", self._dict)

    def _timed(self, name: str, build: Callable[[], Any]) -> Any:
        start = time.process_time()
        built = build()
        seconds = time.process_time() - start
        self.sizes[name] = (seconds, getattr(built, "n_bytes", np.nan) / len(self.packed))
        return built

    def _faiss(self, kind: Any, *arguments: int) -> Any:
        index = kind(self.n_bits, *arguments)
        index.add(self.packed)
        return index

    def _dict(self) -> dict[bytes, list[int]]:
        rows: dict[bytes, list[int]] = {}
        for row, code in enumerate(as_bytes(self.packed)):
            rows.setdefault(code, []).append(row)
        return rows


def as_bytes(packed: np.ndarray) -> list[bytes]:
    return [code.tobytes() for code in packed]


def bucket_questions(family: Family, it: Subjects) -> list[Question]:
    def look_ups(n: int) -> Callable[[], np.ndarray]:
        return lambda: family.look_ups(it.packed, n)

    def faiss_hash(queries: np.ndarray) -> Any:
        it.hash.nflip = 0
        return it.hash.range_search(queries, 1)

    batch: dict[str, Ask] = {
        "Faiss Hash": faiss_hash,
        "dict": lambda q: [it.dict.get(code) for code in as_bytes(q)],
        "table": lambda q: it.table.within(Codes(q), 0),
        "auto": lambda q: it.auto.within(Codes(q), 0),
    }
    single: dict[str, Ask] = {
        "Faiss Hash": lambda q: [faiss_hash(q[i : i + 1]) for i in range(len(q))],
        "dict": lambda q: [it.dict.get(code) for code in as_bytes(q)],
        "table": lambda q: [it.table.bucket(code) for code in as_bytes(q)],
        "auto": lambda q: [it.auto.within(Codes(q[i : i + 1]), 0) for i in range(len(q))],
    }
    return [
        Question("bucket, batch of 10,000", look_ups(10_000), batch),
        Question("bucket, single", look_ups(1000), single),
    ]


def radius_question(family: Family, it: Subjects, radius: int) -> Question:
    def faiss_hash(queries: np.ndarray) -> Any:
        it.hash.nflip = radius
        return it.hash.range_search(queries, radius + 1)

    paths: dict[str, Ask] = {
        "Faiss Hash": faiss_hash,
        "Faiss Flat": lambda q: it.flat.range_search(q, radius + 1),
        "multi-index": lambda q: it.multi.within(Codes(q), radius),
        "scan": lambda q: it.scan.within(Codes(q), radius),
        "auto": lambda q: it.auto.within(Codes(q), radius),
    }
    if 10 * ball_size(it.n_bits, radius) <= len(it.packed):
        paths["table"] = lambda q: it.table.within(Codes(q), radius)
    return Question(f"within {radius}, batch of 200", lambda: family.sample(200), paths)


def nearest_questions(family: Family, it: Subjects, k: int = 10) -> list[Question]:
    def of_one(ask: Ask) -> Ask:
        return lambda q: [ask(q[i : i + 1]) for i in range(len(q))]

    paths: dict[str, Ask] = {
        "Faiss Flat": lambda q: it.flat.search(q, k),
        "multi-index": lambda q: it.multi.search(Codes(q), k),
        "scan": lambda q: it.scan.search(Codes(q), k),
        "auto": lambda q: it.auto.search(Codes(q), k),
    }
    one = Question(
        f"{k}-NN, single",
        lambda: family.sample(20),
        {name: of_one(ask) for name, ask in paths.items()},
    )
    # the caller of MultiHash must guess how many flips are exact; here it is told
    pilot = it.flat.search(family.sample(64), k)[0]
    flips = int(pilot[:, -1].max()) // it.n_hashes
    if flips <= 3:

        def multi_hash(queries: np.ndarray) -> Any:
            it.multi_hash.nflip = flips
            return it.multi_hash.search(queries, k)

        paths[f"Faiss MultiHash, {flips} flips"] = multi_hash
    return [Question(f"{k}-NN, batch of 500", lambda: family.sample(500), paths), one]


def distances_of(answer: Any) -> list[list[int]]:
    """The distances of each query's answer, nearest first, whoever gave it."""
    if isinstance(answer, Neighbors):
        limits, distances = answer.limits, answer.distances
    elif isinstance(answer, tuple) and len(answer) == 3:
        limits, distances, _ = answer
    else:
        return [sorted(row.tolist()) for row in answer[0]]
    limits = limits.astype(np.int64)
    return [sorted(distances[a:b].tolist()) for a, b in pairwise(limits)]


def check(question: Question) -> None:
    """Raise RuntimeError unless every exact path answers as Faiss Flat does."""
    if "Faiss Flat" not in question.paths or question.name.endswith("single"):
        return
    queries = question.queries()[:50]
    expected = distances_of(question.paths["Faiss Flat"](queries))
    for name, ask in question.paths.items():
        if "MultiHash" not in name and distances_of(ask(queries)) != expected:
            raise RuntimeError(f"{question.name}: {name} and Faiss Flat disagree")


def measure(question: Question) -> dict[str, float]:
    """Microseconds of CPU a query, the median turn of each path."""
    check(question)
    taken: dict[str, list[float]] = {name: [] for name in question.paths}
    counts = {}
    queries = question.queries()
    for name, ask in question.paths.items():
        ask(queries)  # the planner builds what it wants now
        few = queries[:4]
        start = time.process_time()
        ask(few)
        each = (time.process_time() - start) / len(few)
        counts[name] = max(1, min(len(queries), int(_BUDGET / max(each, 1e-9))))
    order = list(question.paths)
    for _ in range(_TURNS):
        queries = question.queries()
        order.append(order.pop(0))  # who comes first finds colder caches
        for name in order:
            part = queries[: counts[name]]
            start = time.process_time()
            question.paths[name](part)
            taken[name].append((time.process_time() - start) / len(part))
    return {name: 1e6 * float(np.median(times)) for name, times in taken.items()}


def report(family: str, n: int, n_bits: int, seed: int) -> list[str]:
    """The measurements on one family of codes as lines of Markdown."""
    data = Family(family, n_bits, seed)
    it = Subjects(data.sample(n))
    lines = [f"### {n:,} {family} codes of {n_bits} bits", ""]
    lines += ["| question | " + " | ".join(("path", "µs a query", "times the first")) + " |"]
    lines += ["|---|---|---:|---:|"]
    questions = bucket_questions(data, it)
    questions += [radius_question(data, it, radius) for radius in (1, 2, 3)]
    for question in questions + nearest_questions(data, it):
        times = measure(question)
        base = next(iter(times.values()))
        for i, (name, each) in enumerate(times.items()):
            asked = question.name if i == 0 else ""
            shown = name + (f" ({it.auto.last_path})" if name == "auto" else "")
            lines.append(f"| {asked} | {shown} | {each:,.2f} | {base / each:,.2f} |")
    built = [
        f"{name} {seconds:.2f} s" + (f", {size:.1f} bytes an item" if size == size else "")
        for name, (seconds, size) in it.sizes.items()
    ]
    return [*lines, "", "Built in: " + "; ".join(built) + ".", ""]


@click.command()
@click.option("--n", default=1_000_000, show_default=True, help="Codes to search in.")
@click.option("--quick", is_flag=True, help="100,000 codes.")
@click.option("--bits", "n_bits", default=64, show_default=True, help="Bits a code.")
@click.option("--family", "families", multiple=True, default=FAMILIES, show_default=True)
@click.option("--seed", default=0, show_default=True)
@click.option("--out", type=click.Path(path_type=Path), help="Write the tables here too.")
def main(
    n: int, quick: bool, n_bits: int, families: tuple[str, ...], seed: int, out: Path | None
) -> None:
    """Time table, multi-index, scan and planner against Faiss and dict."""
    faiss.omp_set_num_threads(1)
    facts = ", ".join(f"{name} {value}" for name, value in describe().items())
    text = f"Measured on: {facts}.\n"
    print(text)
    for family in families:
        part = "\n".join(report(family, 100_000 if quick else n, n_bits, seed))
        print(part, flush=True)
        text += "\n" + part
    if out is not None:
        out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
