"""Quality by the one protocol: hashret's codes beside float rankings, sign-LSH and LSA/PCA+ITQ.

    python -m benchmarks.quality [--quick] [--sets 20ng,r8] [--bits 16,64] [--write-docs]

Every coder gets the same features, learned on the database split. Results are appended to a JSON
lines file after each coder, so that an interrupted run goes on where it stopped; `--write-docs`
puts the tables into docs/quality.md and the plot into docs/quality.svg. Labels only score. Sets are
measured side by side, each in a process of its own, as many as there are cores for `--threads`.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from benchmarks import environment
from benchmarks.page_sections import write_section
from benchmarks.result_lines import read, record

ROOT = Path(__file__).resolve().parents[1]
# the longest first
SETS = ("fmnist", "20ng", "20ng-stripped", "20ng-subjects", "r8", "photos", "cranfield")
_TEXTS = ("20ng", "20ng-stripped", "20ng-subjects", "r8")  # with labels
_LISTED = ", stop list"  # of texts without the words of scikit-learn's English stop list
_FLOATS = ("floats", f"floats{_LISTED}")
_FIXED = ("sign-LSH", "ITQ", f"ITQ{_LISTED}")
_LEARNED = (
    "hashret",
    "hashret, then confidences",
    "hashret, real-valued",
    "hashret, 100 by features",
)
_CODERS = (*_FLOATS, *_FIXED, *_LEARNED)
_HEADLINES = {"fmnist": "mAP@1000", "photos": "P@20", "cranfield": "nDCG@10"}  # else P@100
_QUICK = (2000, 300)  # database items and queries of --quick


def main() -> None:
    arguments = _arguments()
    names = [name for name in arguments.sets.split(",") if name]
    began = time.monotonic()
    jobs = arguments.jobs or max(1, (os.cpu_count() or 1) // arguments.threads)
    if jobs > 1 and len(names) > 1:
        _in_processes(names, jobs)
    else:
        environment.set_threads(arguments.threads)
        for name in names:
            _measure(name, arguments)
    print(f"{time.monotonic() - began:,.0f} s", file=sys.stderr)
    if arguments.write_docs:
        page = ROOT / "docs" / "quality.md"
        rows = list(read(arguments.results).values())
        table = _tables(rows)
        _plot(rows, ROOT / "docs" / "quality.svg")
        write_section(page, "quality", table)


def _in_processes(names: list[str], jobs: int) -> None:
    """Each set in a process, with these arguments; RuntimeError, at the end, if one failed."""

    def measured(name: str) -> bool:
        again = [*sys.argv[1:], "--sets", name, "--jobs", "1"]  # of an option given twice the last
        command = [sys.executable, "-m", "benchmarks.quality", *again]
        command = [part for part in command if part != "--write-docs"]
        return subprocess.run(command, check=False).returncode == 0

    with ThreadPoolExecutor(jobs) as pool:
        well = list(pool.map(measured, names))
    failed = [name for name, ok in zip(names, well, strict=True) if not ok]
    if failed:
        raise RuntimeError(f"sets: expected all to be measured, {failed} failed; see above")


def _measure(name: str, arguments: argparse.Namespace) -> None:
    bits = [int(b) for b in arguments.bits.split(",")]
    done = read(arguments.results)
    if name == "cranfield":
        from benchmarks import judged

        judged.measure(bits, arguments, done, record)
    else:
        _measure_set(name, bits, arguments, done)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--bits", default="16,32,64,128")
    parser.add_argument("--seeds", type=_count, help="[default: 3, with --quick 1]")
    parser.add_argument("--threads", type=int, default=1, help="of each process")
    parser.add_argument("--jobs", type=int, help="sets side by side  [default: by the cores]")
    parser.add_argument("--quick", action="store_true", help="2,000 items and 300 queries a set")
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "quality.jsonl")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    arguments.seeds = arguments.seeds or (1 if arguments.quick else 3)
    return arguments


def _count(text: str) -> int:
    if not text.isdecimal() or not int(text):
        raise argparse.ArgumentTypeError(f"expected at least 1, got {text!r}; say how many")
    return int(text)


def _measure_set(
    name: str, bits: list[int], arguments: argparse.Namespace, done: dict[tuple[Any, ...], Any]
) -> None:
    from benchmarks import controls, datasets
    from benchmarks.features import featurize
    from benchmarks.scoring import Judge

    def key(coder: str, n_bits: int = 0, seed: int = 0) -> tuple[Any, ...]:
        return name, coder, n_bits, seed, arguments.quick

    floats = [coder for coder in _FLOATS if name in _TEXTS or coder == _FLOATS[0]]
    fixed = [coder for coder in _FIXED if name in _TEXTS or coder != _FIXED[-1]]
    trials = [(n_bits, seed) for seed in range(arguments.seeds) for n_bits in bits]
    wanted = [key(coder) for coder in floats]
    wanted += [key(coder, *trial) for trial in trials for coder in (*fixed, *_LEARNED[:3])]
    if all(each in done for each in wanted):
        return
    dataset = datasets.load(name, arguments.datasets or datasets.default_root())
    if arguments.quick:
        dataset = dataset.subsample(*_QUICK)
    features, judge = featurize(dataset), Judge.of(dataset)
    listed = features.without_stop_words() if name in _TEXTS else features
    distances = (
        controls.euclidean_distances if dataset.kind == "image" else controls.cosine_distances
    )
    for coder in floats:
        if key(coder) not in done:
            seen = listed if coder.endswith(_LISTED) else features
            figures = judge.score(distances(seen.queries, seen.database))
            record(arguments.results, done, key(coder), figures)
    for n_bits, seed in trials:
        for coder in fixed:
            if key(coder, n_bits, seed) not in done:
                codes = controls.sign_lsh if coder == _FIXED[0] else controls.itq
                seen = listed if coder.endswith(_LISTED) else features
                stored, asked = codes(seen.database, seen.queries, n_bits, seed)
                figures = judge.score_codes(asked, stored)
                record(arguments.results, done, key(coder, n_bits, seed), figures)
    for seed in range(arguments.seeds):
        lengths = [n for n in bits if key(_LEARNED[2], n, seed) not in done]
        if lengths:
            _measure_hashret(dataset, features, judge, lengths, seed, arguments, done)


def _measure_hashret(
    dataset: Any,
    features: Any,
    judge: Any,
    lengths: list[int],
    seed: int,
    arguments: argparse.Namespace,
    done: dict[tuple[Any, ...], Any],
) -> None:
    from benchmarks.controls import cosine_distances
    from benchmarks.scoring import ranked_distances
    from hashret.codes import Codes
    from indexer.training import TrainingOptions, train_lengths

    options = TrainingOptions(seed=seed)
    trained = train_lengths(features.training, dataset.kind, options, lengths, shape=features.shape)
    for encoder, report in trained:
        logits, database = encoder.logits(features.queries), encoder.logits(features.database)
        asked, stored = Codes.pack(logits > 0), Codes.pack(database > 0)
        facts = {
            "seconds": sum(stage.seconds for stage in report.stages),
            "saturated": report.stages[-1].saturated,
            "n_distinct": stored.n_distinct(),
        }
        ranked = ranked_distances(asked, stored, encoder.confidences(features.queries, logits))
        soft = [2.0 * encoder.probabilities(part) - 1.0 for part in (logits, database)]
        figures = (
            judge.score_codes(asked, stored) | facts,
            judge.score(ranked),
            judge.score(cosine_distances(*soft)),
        )
        for coder, found in zip(_LEARNED, figures, strict=False):
            key = (dataset.name, coder, encoder.n_bits, seed, arguments.quick)
            record(arguments.results, done, key, found)


def _tables(rows: Any) -> str:
    """A table a dataset: coders down, lengths across, mean over seeds (± standard deviation)."""
    found: dict[str, dict[tuple[str, str], dict[int, list[float]]]] = {}
    for row in rows:
        name, coder, n_bits, _, quick = row["key"]
        if not quick:
            table = found.setdefault(name, defaultdict(lambda: defaultdict(list)))
            for measure, value in row["figures"].items():
                table[coder, measure][n_bits].append(value)
    parts = []
    for name, table in sorted(found.items()):
        lengths = sorted({n for by_bits in table.values() for n in by_bits if n})
        parts += [f"### {name}", "", f"| coder | measure | {' | '.join(map(str, lengths))} |"]
        parts.append("|---|---|" + "---|" * len(lengths))
        for (coder, measure), by_bits in sorted(
            table.items(), key=lambda pair: (_CODERS.index(pair[0][0]), pair[0][1])
        ):
            cells = [_cell(by_bits.get(0) or by_bits.get(n, [])) for n in lengths]
            parts.append(f"| {coder} | {measure} | {' | '.join(cells)} |")
        parts.append("")
    return "\n".join(parts)


def _plot(rows: Any, path: Path) -> None:
    """The headline measure against the length of the codes, a panel a dataset."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "hashret"  # the same file from the same figures
    from matplotlib import pyplot as plt

    found: dict[str, dict[str, dict[int, list[float]]]] = {}
    for row in rows:
        name, coder, n_bits, _, quick = row["key"]
        value = row["figures"].get(_HEADLINES.get(name, "P@100"))
        if not quick and value is not None:
            coders = found.setdefault(name, {})
            coders.setdefault(coder, {}).setdefault(n_bits, []).append(value)
    names = [name for name in SETS if name in found]
    figure, axes = plt.subplots(1, len(names), figsize=(3.2 * len(names), 3.2), squeeze=False)
    for axis, name in zip(axes[0], names, strict=True):
        for coder in (c for c in _CODERS if c in found[name]):
            points = sorted(found[name][coder].items())
            means = [mean(values) for _, values in points]
            if coder == "floats":
                axis.axhline(means[0], color="grey", linestyle="--", label=coder)
            else:
                axis.plot([n for n, _ in points], means, marker="o", label=coder)
        axis.set_xscale("log", base=2)
        axis.set_xticks([16, 32, 64, 128], ["16", "32", "64", "128"])
        axis.set_title(f"{name}, {_HEADLINES.get(name, 'P@100')}", fontsize=9)
        axis.set_xlabel("bits")
    axes[0][-1].legend(fontsize=6)
    figure.tight_layout()
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    centre = mean(values)
    text = f"{centre:.3f}" if centre < 10 else f"{centre:,.0f}"
    return f"{text} ± {stdev(values):.3f}" if len(values) > 1 else text


if __name__ == "__main__":
    main()
