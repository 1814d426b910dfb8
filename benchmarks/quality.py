"""Quality by the one protocol: hashret's codes beside float rankings, sign-LSH and LSA/PCA+ITQ.

    python -m benchmarks.quality [--quick] [--sets 20ng,r8] [--bits 16,64] [--write-docs]

Every coder gets the same features, learned on the database split. Results are appended to a JSON
lines file after each coder, so that an interrupted run goes on where it stopped; `--write-docs`
puts the table into docs/quality.md. Labels only score.
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from time import perf_counter
from typing import Any

from benchmarks import environment

ROOT = Path(__file__).resolve().parents[1]
SETS = ("20ng", "20ng-stripped", "r8", "fmnist")
_CODERS = ("floats", "sign-LSH", "ITQ", "hashret", "hashret, then confidences")
_QUICK = (2000, 300)  # database items and queries of --quick
_BEGIN, _END = "<!-- quality: begin -->", "<!-- quality: end -->"


def main() -> None:
    arguments = _arguments()
    environment.set_threads(arguments.threads)
    bits = [int(b) for b in arguments.bits.split(",")]
    done = _read(arguments.results)
    for name in filter(None, arguments.sets.split(",")):
        _measure_set(name, bits, arguments, done)
    if arguments.write_docs:
        page = ROOT / "docs" / "quality.md"
        before, _, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
        after = rest.partition(_END)[2]
        table = _tables(_read(arguments.results).values())
        page.write_text(f"{before}{_BEGIN}\n{table}\n{_END}{after}", encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--bits", default="64,16,32,128")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="a sample of each set, in minutes")
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "quality.jsonl")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


def _measure_set(
    name: str, bits: list[int], arguments: argparse.Namespace, done: dict[tuple[Any, ...], Any]
) -> None:
    from benchmarks import controls, datasets
    from benchmarks.features import featurize
    from benchmarks.scoring import Judge

    wanted = [
        (name, coder, n_bits, seed, arguments.quick)
        for n_bits in bits
        for seed in range(arguments.seeds)
        for coder in _CODERS[1:]
    ]
    floats = (name, "floats", 0, 0, arguments.quick)
    if all(key in done for key in [floats, *wanted]):
        return
    dataset = datasets.load(name, arguments.datasets or datasets.default_root())
    if arguments.quick:
        dataset = dataset.subsample(*_QUICK)
    features, judge = featurize(dataset), Judge.of(dataset)
    if floats not in done:
        distances = (
            controls.euclidean_distances if dataset.kind == "image" else controls.cosine_distances
        )
        figures = judge.score(distances(features.queries, features.database))
        _record(arguments.results, done, floats, figures)
    for n_bits in bits:
        for seed in range(arguments.seeds):
            for coder, codes in (("sign-LSH", controls.sign_lsh), ("ITQ", controls.itq)):
                key = (name, coder, n_bits, seed, arguments.quick)
                if key not in done:
                    stored, asked = codes(features.database, features.queries, n_bits, seed)
                    _record(arguments.results, done, key, judge.score_codes(asked, stored))
            if (name, _CODERS[-1], n_bits, seed, arguments.quick) not in done:
                _measure_hashret(dataset, features, judge, n_bits, seed, arguments, done)


def _measure_hashret(
    dataset: Any,
    features: Any,
    judge: Any,
    n_bits: int,
    seed: int,
    arguments: argparse.Namespace,
    done: dict[tuple[Any, ...], Any],
) -> None:
    from benchmarks.scoring import ranked_distances
    from hashret.codes import Codes
    from indexer.training import TrainingOptions, train

    began = perf_counter()
    encoder, report = train(
        features.training, dataset.kind, TrainingOptions(n_bits=n_bits, seed=seed, device="cpu")
    )
    seconds = perf_counter() - began
    stored = encoder.encode(features.database)
    logits = encoder.logits(features.queries)
    asked = Codes.pack(logits > 0)
    last = report.stages[-1]
    facts = {"seconds": seconds, "saturated": last.saturated, "n_distinct": stored.n_distinct()}
    key = (dataset.name, "hashret", n_bits, seed, arguments.quick)
    _record(arguments.results, done, key, judge.score_codes(asked, stored) | facts)
    ranked = ranked_distances(asked, stored, encoder.probabilities(logits))
    key = (dataset.name, _CODERS[-1], n_bits, seed, arguments.quick)
    _record(arguments.results, done, key, judge.score(ranked))


def _read(path: Path) -> dict[tuple[Any, ...], dict[str, Any]]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {tuple(row["key"]): row for row in rows}


def _record(
    path: Path, done: dict[tuple[Any, ...], Any], key: tuple[Any, ...], figures: dict[str, Any]
) -> None:
    row = {"key": key, "figures": figures, "environment": environment.describe()}
    done[key] = row
    with path.open("a", encoding="utf-8") as results:
        results.write(json.dumps(row) + "\n")
    print(*key, {name: round(value, 4) for name, value in figures.items()}, flush=True)


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


def _cell(values: list[float]) -> str:
    if not values:
        return ""
    centre = mean(values)
    text = f"{centre:.3f}" if centre < 10 else f"{centre:,.0f}"
    return f"{text} ± {stdev(values):.3f}" if len(values) > 1 else text


if __name__ == "__main__":
    main()
