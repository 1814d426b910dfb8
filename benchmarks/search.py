"""How fast questions are answered, beside every peer on the same codes.

    python -m benchmarks.learned_codes          once: codes of a trained model
    python -m benchmarks.search                 everything, 1 and 10 million codes: hours
    python -m benchmarks.search --quick         the same questions on 100,000 codes: minutes
    python -m benchmarks.search --only questions/learned/64/1000000
    python -m benchmarks.search --write-docs    docs/performance.md and its plots, from the results

One thread; the paths of a question take turns in one process, each turn with fresh queries; figures
are medians of process CPU time a query, and ratios of these. Before anything is timed, every exact
path must give the distances that Faiss Flat gives; of the others the recall is measured. Each
configuration is a process of its own, and its results replace its former ones in a file of JSON
lines, so that a long run can be made, and made again, in parts.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import environment, learned_codes, search_report, search_results

ROOT = Path(__file__).resolve().parents[1]
_MILLION = 1_000_000
_WIDTHS = (16, 32, 64, 128, 256, 512)
_FAMILIES = ("clustered", "uniform", "duplicate-heavy", "learned")
_TURNS, _BUDGET = 5, 0.08  # turns of each path, and about how many seconds one takes
_GRID_TURNS, _GRID_BUDGET = 25, 0.02
# memory of answers stays with the process: to get it anew from the kernel takes, from one turn to
# the next, one to twenty times as long as answers of gigabytes
_KEPT_MEMORY = {"MALLOC_MMAP_THRESHOLD_": str(1 << 36), "MALLOC_TRIM_THRESHOLD_": str(1 << 36)}


@dataclass(frozen=True, order=True)
class Setting:
    """What is measured together: a part of the benchmark on codes of one kind."""

    part: str
    """"questions": every path; "planner": hashret's paths only; "curve": 10-NN, every path."""
    family: str
    bits: int
    n: int

    @property
    def with_graphs(self) -> bool:
        """Whether HNSW graphs are measured too: building one takes minutes a million codes."""
        return self.bits == 64 and (
            self.n < _MILLION or (self.family == "clustered" and self.n == _MILLION)
        )

    @property
    def name(self) -> str:
        """As `--only` takes it."""
        return f"{self.part}/{self.family}/{self.bits}/{self.n}"


def full() -> list[Setting]:
    """Everything."""
    settings = [Setting("questions", family, 64, _MILLION) for family in _FAMILIES]
    settings += [Setting("questions", f, 128, _MILLION) for f in ("clustered", "learned")]
    settings += [Setting("questions", "uniform", 24, _MILLION)]
    settings += [Setting("questions", "learned", 64, 100_000)]
    settings += [Setting("questions", f, 64, 10 * _MILLION) for f in ("clustered", "uniform")]
    # the rest of the curves is measured above
    settings += [Setting("curve", "clustered", 64, 10**power) for power in (3, 4, 5)]
    settings += [Setting("curve", "clustered", bits, _MILLION) for bits in (16, 32, 256, 512)]
    grid = [
        Setting("planner", family, bits, 10**power)
        for power in (3, 4, 5, 6)
        for family in _FAMILIES
        for bits in _WIDTHS
    ]
    return settings + grid + [Setting("planner", f, 64, 10 * _MILLION) for f in _FAMILIES[:3]]


def quick() -> list[Setting]:
    """The same questions on few codes."""
    return [
        *(Setting("questions", family, 64, 100_000) for family in _FAMILIES),
        Setting("questions", "uniform", 24, 100_000),
        *(Setting("curve", "clustered", 64, 10**power) for power in (3, 4, 5)),
        *(Setting("planner", family, 64, 10_000) for family in _FAMILIES),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="100,000 codes at most")
    parser.add_argument("--only", default="", help="settings whose names begin with one of these")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--results", type=Path, help="JSON lines to read and to write")
    parser.add_argument("--learned", type=Path, default=learned_codes.default_folder())
    parser.add_argument("--graphs", type=Path, help="keep HNSW graphs in this folder between runs")
    parser.add_argument("--missing", action="store_true", help="only what has no results yet")
    parser.add_argument("--write-docs", action="store_true")
    parser.add_argument("--this-process", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    results = arguments.results or (
        Path(tempfile.gettempdir()) / "search-quick.jsonl"
        if arguments.quick
        else search_results.PATH
    )
    if arguments.write_docs:
        search_report.write(results, ROOT / "docs")
        return
    chosen = [
        setting
        for setting in (quick() if arguments.quick else full())
        if any(f"{setting.name}/".startswith(begin) for begin in _beginnings(arguments.only))
    ]
    if not chosen:
        parser.error(f"--only: expected the beginning of a setting's name, got {arguments.only}")
    if arguments.this_process:
        for setting in chosen:
            _measure(setting, arguments, results)
        return
    if arguments.missing:
        done = {search_results.key(record) for record in search_results.read(results)}
        chosen = [s for s in chosen if (s.part, s.family, s.bits, s.n) not in done]
    _in_processes(chosen, arguments, results)
    print("\n".join(search_report.tables(results)))


def _beginnings(only: str) -> list[str]:
    """Of names, whole parts of them: 64/1000 is not the beginning of 64/10000."""
    return [f"{part.rstrip('/')}/" if part else "" for part in only.split(",")]


def _in_processes(chosen: list[Setting], arguments: argparse.Namespace, results: Path) -> None:
    for setting in chosen:
        command = [sys.executable, "-m", "benchmarks.search", "--this-process"]
        command += ["--only", setting.name, "--results", str(results)]
        command += ["--seed", str(arguments.seed), "--learned", str(arguments.learned)]
        command += ["--quick"] if arguments.quick else []
        if arguments.graphs is not None:
            command += ["--graphs", str(arguments.graphs)]
        began = datetime.now(UTC)
        kept = _KEPT_MEMORY if setting.part == "planner" else {}
        done = subprocess.run(command, cwd=ROOT, check=False, env=os.environ | kept)
        seconds = (datetime.now(UTC) - began).total_seconds()
        outcome = "done" if done.returncode == 0 else f"FAILED with {done.returncode}"
        print(f"{setting.name}: {outcome} in {seconds:.0f} s", file=sys.stderr, flush=True)


def _measure(setting: Setting, arguments: argparse.Namespace, results: Path) -> None:
    environment.set_threads(1)
    import faiss

    from benchmarks.search_data import Family
    from benchmarks.search_paths import Paths
    from hashret import kernels as compiled

    faiss.omp_set_num_threads(1)
    kernels = compiled.enable() is not None  # as in a process that has answered for a while
    family = Family(setting.family, setting.bits, arguments.seed, arguments.learned)
    graphs = None
    if arguments.graphs is not None:
        about = f"{setting.family}-{setting.bits}-{setting.n}-{arguments.seed}"
        graphs = arguments.graphs / about
    paths = Paths(family.codes(setting.n), graphs=graphs)
    records = list(_records(setting, family, paths))
    run = {
        "kind": "run",
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "revision": _revision(),
        "load": round(os.getloadavg()[0], 1),
        **environment.describe(),
        "kernels": kernels,
    }
    built = [{"kind": "build", "path": name, **asdict(b)} for name, b in paths.built.items()]
    rows = [asdict(setting) | record for record in [run, *built, *records]]
    search_results.replace(results, rows)


def _records(setting: Setting, family: Any, paths: Any) -> Iterator[dict[str, Any]]:
    from benchmarks import search_questions as ask

    turns, budget = _TURNS, _BUDGET
    if setting.part == "questions":
        radii = (1, 2, 3, 4) if setting.bits == 24 else (1, 2, 3)
        if setting.family == "clustered" and setting.bits == 64 and setting.n == _MILLION:
            radii = (1, 2, 3, 4, 6, 8)  # for the plot
        questions = ask.buckets(family, paths)
        questions += [ask.within(family, paths, radius) for radius in radii]
        questions += ask.nearest(family, paths, graphs=setting.with_graphs)
    elif setting.part == "curve":
        questions = ask.nearest(family, paths, graphs=setting.with_graphs)[:1]
    else:
        turns, budget = _GRID_TURNS, _GRID_BUDGET
        questions = ask.buckets(family, paths, peers=False)
        questions += [ask.within(family, paths, 2, peers=False)]
        questions += ask.nearest(family, paths, batch=100, peers=False)
    for question in questions:
        recalls = ask.recalls(question)
        when_warm = paths.share if setting.part == "planner" else lambda: None
        times = ask.measure(question, turns, budget, when_warm)
        for name, each in times.items():
            yield {
                "kind": question.kind,
                "argument": question.argument,
                "batch": question.batch,
                "path": name,
                "setting": question.settings.get(name, ""),
                "us": round(each, 4),
                "recall": recalls.get(name),
                "took": _taken(question) if name == "auto" else "",
            }


def _taken(question: Any) -> str:
    """The path that the planner takes for most of these queries."""
    found = question.paths["auto"](question.queries())
    return str((found[-1] if isinstance(found, list) else found).work.path.split(" + ")[0])


def _revision() -> str:
    command = ["git", "describe", "--always", "--dirty"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.strip() or "unknown"


if __name__ == "__main__":
    main()
