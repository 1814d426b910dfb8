"""Quality of every preset, by the one protocol, beside the default of its kind.

    python -m benchmarks.family [--sets r8] [--presets sparse] [--bits 64] [--write-docs]

Each preset learns on the database of a set and is asked its queries: by the codes' distances, and
by the real numbers before they are cut (the difference is what cutting costs). Results are appended
to a JSON lines file after each training, so that an interrupted run goes on where it stopped. A
training that fails is told of at the end and ends no other. `--write-docs` puts the tables into
docs/family.md, and the figures that `hashret presets` shows into `preset_figures.py`.
"""

from __future__ import annotations

import argparse
import sys
import traceback
from collections import defaultdict
from pathlib import Path
from statistics import mean, stdev
from time import process_time
from typing import Any

from benchmarks import environment
from benchmarks.page_sections import write_section
from benchmarks.result_lines import Key, read, record
from indexer.cli.choosing.preset_figures import SETS

ROOT = Path(__file__).resolve().parents[1]
#: Added to the name of a measure where it is of the real numbers before they are cut.
_REAL = "real-valued"
_SHOWN_BITS = 64  # of the figures that `hashret presets` shows
_LEFT_OUT = ("identity",)  # learns nothing, and takes nothing but bits
_FIGURES = ROOT / "indexer" / "cli" / "choosing" / "preset_figures.py"


def main() -> None:
    arguments = _arguments()
    environment.set_threads(arguments.threads)
    done = read(arguments.results)
    failed = [one for name in _names(arguments.sets) for one in _measure_set(name, arguments, done)]
    if arguments.write_docs:
        rows = list(read(arguments.results).values())
        _write_docs(rows)
        _write_figures(rows)
    if failed:
        sys.exit(f"failed: {', '.join(failed)}; see above")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default=",".join(SETS))
    parser.add_argument("--presets", default="", help="only these, by name  [default: all]")
    parser.add_argument("--bits", default="64")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a sample of each set, in minutes")
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "family.jsonl")
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


def _names(listed: str) -> list[str]:
    return [name for name in listed.split(",") if name]


def _measure_set(name: str, arguments: argparse.Namespace, done: dict[Key, Any]) -> list[str]:
    """Measure what is not yet among `done`; the presets that failed."""
    import torch

    from benchmarks import datasets
    from benchmarks.features import featurize
    from benchmarks.scoring import Judge
    from indexer.training.presets import PRESETS

    torch.set_num_threads(arguments.threads)
    chosen = _names(arguments.presets)
    presets = [one for one in PRESETS[SETS[name][0]] if one not in _LEFT_OUT]
    lengths = [int(n) for n in _names(arguments.bits)]
    missing = {
        (seed, preset): left
        for seed in range(arguments.seeds)
        for preset in presets
        if not chosen or preset in chosen
        if (left := [n for n in lengths if (name, preset, n, seed, arguments.quick) not in done])
    }
    if not missing:
        return []
    dataset = datasets.load(name, arguments.datasets or datasets.default_root())
    if arguments.quick:
        dataset = dataset.subsample(2000, 300)
    judge, failed, features = Judge.of(dataset), [], {}
    for (seed, preset), left in missing.items():
        in_order = PRESETS[SETS[name][0]][preset].recipe.in_order
        try:
            if in_order not in features:
                features = {in_order: featurize(dataset, in_order)}
            seen = features[in_order]
            for n_bits, figures in _measured(dataset.kind, seen, judge, preset, seed, left):
                key = (name, preset, n_bits, seed, arguments.quick)
                record(arguments.results, done, key, figures)
        except Exception:  # hours of others must not end with it
            traceback.print_exc()
            failed.append(f"{preset} on {name}")
    return failed


def _measured(
    kind: str, features: Any, judge: Any, preset: str, seed: int, lengths: list[int]
) -> Any:
    """Yield each length in bits with its figures; lengths share what they can."""
    from benchmarks.controls import cosine_distances
    from hashret.codes import Codes
    from indexer.training import TrainingOptions, train_lengths

    options = TrainingOptions(seed=seed, preset=preset, device="cpu")
    about = {"shape": features.shape}
    if features.ordering is not None:
        about["ordering"] = features.ordering
    began = process_time()
    for encoder, _ in train_lengths(features.training, kind, options, lengths, **about):
        seconds = process_time() - began
        asked, stored = encoder.logits(features.queries), encoder.logits(features.database)
        codes = Codes.pack(stored > 0)
        figures = judge.score_codes(Codes.pack(asked > 0), codes)
        soft = [2.0 * encoder.probabilities(logits) - 1.0 for logits in (asked, stored)]
        real = judge.score(cosine_distances(*soft))
        figures |= {f"{measure}, {_REAL}": value for measure, value in real.items()}
        yield encoder.n_bits, figures | {"seconds": seconds, "n_distinct": codes.n_distinct()}
        began = process_time()


def _of_rows(rows: list[dict[str, Any]]) -> dict[tuple[str, int], dict[str, dict[str, list[Any]]]]:
    """By set and length, then by preset, then by measure: the figures of all seeds."""
    found: Any = defaultdict(lambda: defaultdict(lambda: defaultdict(list)))
    for row in rows:
        name, preset, n_bits, _, quick = row["key"]
        if not quick:
            for measure, value in row["figures"].items():
                found[name, n_bits][preset][measure].append(value)
    return dict(found)


def _write_docs(rows: list[dict[str, Any]]) -> None:
    from indexer.training.presets import PRESETS

    parts = []
    found = _of_rows(rows)
    order = list(SETS)
    for name, n_bits in sorted(found, key=lambda pair: (order.index(pair[0]), -pair[1])):
        (kind, headline), table = SETS[name], found[name, n_bits]
        default = next(iter(PRESETS[kind]))
        parts += [
            f"### {name}, {n_bits} bits",
            "",
            f"| preset | {headline} | beside {default} | {_REAL} | distinct codes | seconds |",
            "|---|---|---|---|---|---|",
        ]
        base = table.get(default, {}).get(headline)
        for preset in [one for one in PRESETS[kind] if one in table]:
            figures = table[preset]
            beside = f"{mean(figures[headline]) - mean(base):+.3f}" if base else ""
            cells = [
                f"`{preset}`",
                _spread(figures[headline]),
                "" if preset == default else beside,
                _spread(figures[f"{headline}, {_REAL}"]),
                f"{mean(figures['n_distinct']):,.0f}",
                f"{mean(figures['seconds']):,.0f}",
            ]
            parts.append(f"| {' | '.join(cells)} |")
        parts.append("")
    page = ROOT / "docs" / "family.md"
    write_section(page, "family", "\n".join(parts[:-1]))


def _spread(values: list[float]) -> str:
    spread = f" ± {stdev(values):.3f}" if len(values) > 1 else ""
    return f"{mean(values):.3f}{spread}"


def _write_figures(rows: list[dict[str, Any]]) -> None:
    """Write the headline of each set and preset into the module that `hashret presets` reads."""
    head = _FIGURES.read_text(encoding="utf-8").partition("FIGURES:")[0]
    lines = ["FIGURES: dict[str, dict[str, float]] = {"]
    found = _of_rows(rows)
    for name in [one for one in SETS if (one, _SHOWN_BITS) in found]:
        lines.append(f'    "{name}": {{')
        for preset, figures in sorted(found[name, _SHOWN_BITS].items()):
            value = mean(figures[SETS[name][1]])
            lines.append(f'        "{preset}": {value:.3f},')
        lines.append("    },")
    _FIGURES.write_text(head + "\n".join([*lines, "}"]) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
