"""Codes of sequences where order is the matter: presets beside a bag of values and floats.

    pip download --no-deps -d wheels aeon==1.6.0
    python -m benchmarks.sequences [--aeon wheels/aeon-1.6.0-py3-none-any.whl] [--write-docs]

Two sets are made, so that a bag can't tell their classes apart: each item has the same tokens, or
the same numbers, and only their order says its class. Two are real: JapaneseVowels (9 speakers say
a vowel, 12 numbers a step, 7 to 29 steps; Kudo, Toyama and Shimbo, 1999), with the archive's own
split, and ItalyPowerDemand (a day's demand, 24 steps, winter or summer; Keogh and others), with a
fifth drawn as queries. They lie in the wheel of aeon (BSD licence), which is read and not
installed; their data are in no repository of ours.

The figure is P@10 by class, of queries that were not learned from, in the database that was; ties
count by their expected value. Results are appended to a JSON lines file, so an interrupted run goes
on where it stopped; `--write-docs` puts the table into docs/family.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path
from statistics import mean
from time import process_time
from typing import TYPE_CHECKING, Any

from benchmarks import environment
from benchmarks.page_sections import write_section
from benchmarks.result_lines import read, record

if TYPE_CHECKING:
    import numpy as np

    from benchmarks.sequence_sets import Labelled

ROOT = Path(__file__).resolve().parents[1]
BITS = 64
PRESETS = ("recursive", "recurrent")
#: Rankings without a code, by name: of the bag of values, and of what `--rerank` compares.
CONTROLS = ("bag", "aligned")


def main() -> None:
    arguments = _arguments()
    environment.set_threads(arguments.threads)
    from benchmarks.sequence_sets import SETS  # NumPy, after the threads are set

    done = read(arguments.results)
    for name in arguments.sets.split(",") if arguments.sets else SETS:
        wanted = [(name, control, 0) for control in CONTROLS]
        seeds = range(arguments.seeds)
        wanted += [(name, preset, seed) for seed in seeds for preset in PRESETS]
        if all(key in done for key in wanted):
            continue
        labelled = SETS[name](arguments.aeon)
        for key in wanted:
            if key not in done:
                record(arguments.results, done, key, _measured(labelled, *key[1:]))
    if arguments.write_docs:
        _write(list(done.values()))


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", help="only these, between commas  [default: all]")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--aeon", type=Path, help="the wheel of aeon, for the real sets")
    results = ROOT / "benchmarks" / "sequences.jsonl"
    parser.add_argument("--results", type=Path, default=results)
    parser.add_argument("--write-docs", action="store_true")
    return parser.parse_args()


def _measured(labelled: Labelled, how: str, seed: int) -> dict[str, float]:
    """P@10 of one way to rank the database, the share expected by chance, processor seconds."""
    from hashret.measures import TiedRanking

    began, n = process_time(), labelled.n_database
    distances = _distances(labelled, how, seed)
    relevant = labelled.labels[n:, None] == labelled.labels[:n]
    found = TiedRanking.from_distances(distances, relevant).precision_at(10)
    return {
        "P@10": float(found.mean()),
        "chance": float(relevant.mean()),
        "seconds": process_time() - began,
    }


def _distances(labelled: Labelled, how: str, seed: int) -> np.ndarray:
    """How far each query is from each item of the database, (n_queries, n)."""
    import numpy as np

    from hashret.features.sequences.featurizer import SequenceFeaturizer

    n = labelled.n_database
    if how == "bag":
        bags = _bags(labelled.payloads)
        return np.linalg.norm(bags[n:, None] - bags[:n], axis=2).round(6)
    spec = SequenceFeaturizer.suggest_spec(labelled.payloads[:n])
    prepared = [SequenceFeaturizer.prepare(one, spec) for one in labelled.payloads]
    featurizer = SequenceFeaturizer.fit(prepared[:n], spec)
    features = featurizer.transform(prepared)
    if how == "aligned":
        queries, database = range(n, len(prepared)), features.rows(0, n)
        one = features.rows
        return -np.stack([featurizer.similarities(one(i, i + 1), database) for i in queries])
    from hashret.codes import hamming
    from indexer.training import TrainingOptions, train

    options = TrainingOptions(n_bits=BITS, preset=how, seed=seed, device="cpu")
    ordering = featurizer.ordering
    encoder, _ = train(features.rows(0, n), "sequence", options, ordering=ordering)
    codes = encoder.encode(features)
    return hamming(codes[n:], codes[:n]).astype(np.float64)


def _bags(payloads: Sequence[Any]) -> np.ndarray:
    """What a bag tells: how often each token occurs; of numbers mean, deviation, ten quantiles."""
    import numpy as np

    if isinstance(payloads[0], list):
        names = sorted({token for payload in payloads for token in payload})
        return np.array([[payload.count(name) for name in names] for payload in payloads], float)
    rows = []
    for series in payloads:
        wide = series.reshape(len(series), -1)
        quantiles = np.quantile(wide, np.linspace(0, 1, 11), axis=0)
        rows.append(np.concatenate([wide.mean(0), wide.std(0), quantiles.ravel()]))
    bags = np.array(rows)
    return (bags - bags.mean(0)) / np.maximum(bags.std(0), 1e-6)


def _write(rows: list[dict[str, Any]]) -> None:
    from benchmarks.sequence_sets import SETS

    page = ROOT / "docs" / "family.md"
    found: dict[tuple[str, str], list[dict[str, float]]] = {}
    for row in rows:
        found.setdefault((row["key"][0], row["key"][1]), []).append(row["figures"])
    names = {"bag": "bag of values", "aligned": "aligned, in floats"}
    ways = [*CONTROLS, *PRESETS]
    lines = [
        f"| set | chance | {' | '.join(names.get(one, f'`{one}`, {BITS} bits') for one in ways)} |",
        f"|---|{'---|' * (1 + len(ways))}",
    ]
    for name in [name for name in SETS if (name, "bag") in found]:
        cells = [f"{found[name, 'bag'][0]['chance']:.3f}"]
        for way in ways:
            figures = [one["P@10"] for one in found.get((name, way), [])]
            cells.append(f"{mean(figures):.3f}" if figures else "")
        lines.append(f"| {name} | {' | '.join(cells)} |")
    text = "\n".join(lines)
    write_section(page, "sequences", text)


if __name__ == "__main__":
    main()
