"""Whole questions from end to end through the public API, beside peers: processor time of a thread.

    python -m benchmarks.serving [--parts texts vectors threads cold] [--items 6000 1000000]
        [--vectors 1000000] [--peers /path/of/python] [--keep FOLDER] [--write-docs]

* texts: the verbs of a collection of texts, of 6,000 real posts and of a million made ones;
* vectors: all but 300 of the 18,846 MiniLM vectors of 20 Newsgroups, beside Chroma, LanceDB and
  usearch with a dict: 10 hits with metadata, with and without a condition, recall, memory, each
  engine in processes of its own; with --vectors so many of a mixture of Gaussians;
* threads: 8 threads that share one collection of texts, and the throughput of two beside one; of
  vectors too where the part before has built their collection in the kept folder;
* cold: `hashret query` in a fresh process beside `import torch`.

--peers is a Python that has the peers, where they are not beside hashret (extra `bench`). Figures
go to --results as JSON lines; --write-docs puts the tables of all of them into docs/performance.md.
--keep names a folder for what is built, which is then used again.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from benchmarks import environment, result_lines
from benchmarks.page_sections import write_section
from benchmarks.result_lines import Key

ROOT = Path(__file__).resolve().parents[1]
_PARTS = ("texts", "vectors", "threads", "cold")
# The figures of a row, and the heads of their columns.
_COLUMNS = {
    "texts": {"single": "single, ms", "batch": "each of 300, ms", "first": "first, ms"},
    "vectors": {
        "single": "ms",
        "recall": "recall@10",
        "where": "with a condition, ms",
        "recall_where": "its recall@10",
        "asked_mib": "memory, MiB",
    },
}
# Made vectors: Gaussians about centres in a space of fewer directions, as real embeddings have, and
# a little of every direction. In units of a centre's coordinates; a coordinate is the sum of 32.
_WIDTH, _DIRECTIONS, _GAUSSIANS = 384, 32, 2_000
_SPREAD, _NOISE = 0.5, 0.5
_SECONDS = {"threads": 180, "engine": 3 * 3600}  # limits of a process


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", nargs="+", choices=_PARTS, default=_PARTS)
    parser.add_argument("--items", nargs="+", type=int, default=[6_000])
    parser.add_argument("--vectors", type=int, help="so many made vectors in place of real ones")
    parser.add_argument("--peers", default=sys.executable, metavar="PYTHON")
    parser.add_argument("--engines", nargs="+", metavar="NAME", help="only these")
    parser.add_argument("--repeats", type=int, default=15, help="of cold queries")
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "serving.jsonl")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    environment.set_threads(1)
    for library in ("RAYON_NUM_THREADS", "TOKIO_WORKER_THREADS", "LANCE_CPU_THREADS"):
        os.environ[library] = "1"
    from benchmarks.datasets import default_root

    datasets = arguments.datasets or default_root()
    done = result_lines.read(arguments.results)
    with _folder(arguments.keep) as folder:
        for part in arguments.parts:
            for key, figures in _measured(part, folder, datasets, arguments):
                result_lines.record(arguments.results, done, key, figures)
    text = "\n\n".join(_tables(done))
    print(text)
    if arguments.write_docs:
        page = ROOT / "docs" / "performance.md"
        write_section(page, "serving", text)


@contextmanager
def _folder(kept: Path | None) -> Iterator[Path]:
    if kept is not None:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept
    else:
        with TemporaryDirectory() as folder:
            yield Path(folder)


def _measured(
    part: str, folder: Path, datasets: Path, arguments: argparse.Namespace
) -> Iterator[tuple[Key, dict[str, Any]]]:
    """The figures of one part, each with the key of its row."""
    if part == "vectors":
        yield from _vectors(folder, datasets, arguments)
        return
    import numpy as np

    from benchmarks import serving_texts

    for n_items in arguments.items if part == "texts" else arguments.items[:1]:
        path = folder / f"texts-{n_items}"
        if not path.exists():
            serving_texts.make(path, n_items, datasets)
        asked = serving_texts.queries(datasets)
        if part == "texts":
            for name, figures in serving_texts.measure(path, asked):
                yield (part, n_items, name), figures
        elif part == "threads":
            queries = folder / "queries.json"
            queries.write_text(json.dumps(asked), encoding="utf-8")
            yield (part, n_items), _threads(path, queries)
            place = _place_of_vectors(folder, arguments)
            if (place / "hashret").exists():
                vectors = np.load(place / "vectors.npy", mmap_mode="r")
                of_two = _threads(place / "hashret", place / "asked.npy")
                yield ("threads, vectors", len(vectors)), of_two
        else:
            from benchmarks import cold_query

            found = cold_query.measure(path, asked[0], arguments.repeats)
            found["ratio"] = found["query_s"] / found["torch_s"]
            found["cpu_ratio"] = found["query_cpu_s"] / found["torch_cpu_s"]
            yield (part, n_items), found


def _threads(path: Path, queries: Path) -> dict[str, Any]:
    command = [sys.executable, "-m", "benchmarks.serving_threads", str(path), str(queries)]
    limit = _SECONDS["threads"]
    try:
        done = subprocess.run(
            command, stdout=subprocess.PIPE, text=True, check=True, cwd=ROOT, timeout=limit
        )
    except subprocess.TimeoutExpired:
        return {"hung_after_s": limit}
    return json.loads(done.stdout)


def _vectors(
    folder: Path, datasets: Path, arguments: argparse.Namespace
) -> Iterator[tuple[Key, dict[str, Any]]]:
    """Every way of every engine: a row each."""
    import numpy as np

    from benchmarks import serving_peers

    place = _place_of_vectors(folder, arguments)
    if not place.exists():
        place.mkdir()
        serving_peers.write_data(place, *_unit_vectors(arguments.vectors, datasets))
    n = len(np.load(place / "vectors.npy", mmap_mode="r"))
    for name in arguments.engines or serving_peers.ENGINES:
        own = serving_peers.ENGINES[name].package == "hashret"
        python = sys.executable if own else arguments.peers
        if not (place / name).exists():
            if _engine(python, "build", name, place) is None:
                continue
            (place / f"{name}.part").rename(place / name)
        found = _engine(python, "ask", name, place)
        if found is None:
            continue
        about = json.loads(found)
        memory = {"opened_mib": about["opened_mib"], "asked_mib": about["asked_mib"]}
        for way, figures in about["ways"].items():
            yield ("vectors", n, f"{name} {about['version']}: {way}"), figures | memory


def _place_of_vectors(folder: Path, arguments: argparse.Namespace) -> Path:
    return folder / f"vectors-{arguments.vectors or 'minilm'}"


def _engine(python: str, what: str, name: str, place: Path) -> str | None:
    """What the process of an engine printed; None, and why, if it failed."""
    command = [python, "-m", "benchmarks.serving_peers", what, name, str(place)]
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, cwd=ROOT, timeout=_SECONDS["engine"]
    )
    if done.returncode:
        reason = (done.stderr.strip().splitlines() or ["no message"])[-1]
        print(f"{name}: expected figures, got exit {done.returncode} of {what}: {reason}")
        return None
    return done.stdout


def _unit_vectors(n: int | None, datasets: Path) -> tuple[Any, Any]:
    """Vectors to store and 300 others to ask with, of length 1, float32."""
    import numpy as np

    from benchmarks.datasets import load
    from benchmarks.serving_texts import N_QUERIES

    rng = np.random.default_rng(0)
    if n is None:
        vectors = np.asarray(load("20ng-minilm", datasets).payloads)
        order = rng.permutation(len(vectors))
        stored, asked = vectors[np.sort(order[N_QUERIES:])], vectors[order[:N_QUERIES]]
    else:
        vectors = np.empty((n + N_QUERIES, _WIDTH), np.float32)
        centres = rng.standard_normal((_GAUSSIANS, _DIRECTIONS), np.float32)
        directions = rng.standard_normal((_DIRECTIONS, _WIDTH), np.float32)
        for first in range(0, len(vectors), 1 << 16):
            block = vectors[first : first + (1 << 16)]
            places = centres[rng.integers(_GAUSSIANS, size=len(block))]
            places += _SPREAD * rng.standard_normal(places.shape, np.float32)
            np.matmul(places, directions, out=block)
            block += _NOISE * rng.standard_normal(block.shape, np.float32)
        stored, asked = vectors[:n], vectors[n:]
    for some in (stored, asked):
        some /= np.linalg.norm(some, axis=1, keepdims=True)
    return stored, asked


def _tables(done: dict[Key, dict[str, Any]]) -> Iterator[str]:
    """A table of each part and number of items, in the order measured."""
    groups: dict[tuple[Any, ...], list[tuple[str, dict[str, Any]]]] = {}
    for key, row in done.items():
        groups.setdefault(key[:2], []).append((key[2] if len(key) > 2 else "", row["figures"]))
    for (part, n), rows in groups.items():
        if part in _COLUMNS:
            columns = _COLUMNS[part]
        else:  # of a part that has one row, each figure is one
            columns = {"value": "value"}
            rows = [(name, {"value": value}) for name, value in rows[0][1].items()]
        lines = [f"{n:,} {'vectors' if 'vectors' in part else 'texts'}:", ""]
        lines.append(f"| {part} | {' | '.join(columns.values())} |")
        lines.append("|---|" + "---|" * len(columns))
        for name, figures in rows:
            cells = [_cell(figures[key]) if key in figures else "" for key in columns]
            lines.append(f"| {name} | {' | '.join(cells)} |")
        yield "\n".join(lines)


def _cell(value: float) -> str:
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


if __name__ == "__main__":
    main()
