"""How much do labels help, where some items have one? Precision by the one protocol.

    python -m benchmarks.labels [--sets 20ng-stripped] [--shares 0,0.1,1] [--bits 64] [--quick]

The database is learned from, and a seeded sample of it has labels; the queries have none and are
never learned from. Their labels score. So these figures are no figures of unsupervised codes, and
stand apart from them (docs/family.md). Results go to a JSON lines file, a line a training.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from benchmarks import environment
from benchmarks.result_lines import read, record

ROOT = Path(__file__).resolve().parents[1]
_QUICK = (2000, 300)  # database items and queries of --quick


def main() -> None:
    arguments = _arguments()
    environment.set_threads(arguments.threads)
    done = read(arguments.results)
    for name in arguments.sets.split(","):
        _measure(name, arguments, done)
    _show(done)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sets", default="20ng-stripped")
    parser.add_argument("--shares", default="0,0.1,1", help="of the database that have a label")
    parser.add_argument("--bits", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--preset", help="[default: the first of its kind]")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--quick", action="store_true", help="a sample of each set")
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--results", type=Path, default=ROOT / "benchmarks" / "labels.jsonl")
    return parser.parse_args()


def _measure(name: str, arguments: argparse.Namespace, done: dict[tuple[Any, ...], Any]) -> None:
    from benchmarks import datasets
    from benchmarks.features import featurize
    from benchmarks.scoring import Judge

    shares = [float(share) for share in arguments.shares.split(",")]
    common = (arguments.bits, arguments.seed, arguments.preset, arguments.quick)
    shares = [share for share in shares if (name, share, *common) not in done]
    if not shares:
        return
    dataset = datasets.load(name, arguments.datasets or datasets.default_root())
    if arguments.quick:
        dataset = dataset.subsample(*_QUICK)
    features, judge = featurize(dataset), Judge.of(dataset)
    truth = dataset.labels[dataset.database][features.usable]
    for share in shares:
        figures = _figures(dataset.kind, features, judge, _labelled(truth, share), arguments)
        record(arguments.results, done, (name, share, *common), figures)


def _labelled(truth: Any, share: float) -> Any:
    """The labels of a share of the items, the same sample each time; -1 for the others."""
    import numpy as np

    if not share:
        return None
    hidden = np.random.default_rng(5).permutation(len(truth))[round(share * len(truth)) :]
    labels = truth.astype(np.int64)
    labels[hidden] = -1
    return labels


def _figures(
    kind: str, features: Any, judge: Any, labels: Any, arguments: argparse.Namespace
) -> dict[str, float]:
    from indexer.training import TrainingOptions, train

    options = TrainingOptions(
        n_bits=arguments.bits, seed=arguments.seed, preset=arguments.preset, device="cpu"
    )
    encoder, report = train(features.training, kind, options, shape=features.shape, labels=labels)
    asked, stored = encoder.encode(features.queries), encoder.encode(features.database)
    return judge.score_codes(asked, stored) | {
        "seconds": sum(stage.seconds for stage in report.stages),
        "n_distinct": stored.n_distinct(),
    }


def _show(done: dict[tuple[Any, ...], Any]) -> None:
    """Each result as a row of a table."""
    for row in done.values():
        name, share, n_bits, seed, preset, quick = row["key"]
        told = [name + " (quick)" * quick, f"{share:.0%} labelled", n_bits, f"seed {seed}", preset]
        figures = [f"{key} {value:.4g}" for key, value in row["figures"].items()]
        print("| " + " | ".join(map(str, [*told, *figures])) + " |")


if __name__ == "__main__":
    main()
