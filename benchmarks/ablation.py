"""What each ingredient of training gives: 20 Newsgroups with headers, 64 bits.

    python -m benchmarks.ablation [--seeds 1] [--only NUMBER,...] [--items N] [--write-docs]

The first row is the default recipe; each further one leaves out, adds or changes one thing of it.
With `--items` only so many posts of the database are learned from and searched, and the results go
into a file of their own, which docs never show: rows are compared with each other in less time.
P@100 by the one protocol, of the codes and of the real-valued codes before thresholding; the
difference is what thresholding costs. Without neighbours the contrast is with the item itself.

Results are appended to a JSON lines file, so that an interrupted run goes on where it stopped;
`--write-docs` puts the table into docs/how-it-works.md and the plot into docs/ablation.svg.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from statistics import mean
from typing import Any
from unittest.mock import patch

from benchmarks import environment
from benchmarks.page_sections import write_section

ROOT = Path(__file__).resolve().parents[1]
_BITS = 64

#: Name -> changes to the default recipe, each by the dotted name of a setting (`changed`); a term
#: or a bottleneck by its class and settings.
VARIANTS: dict[str, dict[str, Any]] = {
    "the default": {},
    "no contrast": {"terms": []},
    "contrast with the item itself": {"terms": [("Contrast", 0.05, 0.3, 1.0)]},
    "contrast with either": {"terms": [("Contrast", 0.05, 0.3, 0.5)]},
    "bits driven to independence (weight .5)": {
        "terms": [("Contrast", 0.05), ("Independence", 0.5)]
    },
    "bits driven to balance (weight 1)": {"terms": [("Contrast", 0.05), ("Balance", 1.0)]},
    "no greedy pre-training": {"pretrain_epochs": 0},
    "noise and gain fixed at their last values": {
        "bottleneck.noise": (1.0, 1.0),
        "bottleneck.gain": (16.0, 16.0),
    },
    "noise fixed, growing gain": {"bottleneck.noise": (1.0, 1.0)},
    "no noise, growing gain": {"bottleneck.noise": (1e-3, 1e-3)},
    "no noise, gain fixed at 2": {
        "bottleneck.noise": (1e-3, 1e-3),
        "bottleneck.gain": (2.0, 2.0),
    },
    "no neighbours": {"neighbourhood": None},
    "one round": {"neighbourhood.rounds": 1},
    "no balance (logits not normalised, threshold 0)": {},
    "two hidden layers": {"trunk.hidden": (500, 500)},
    "hidden layer not normalised": {"trunk.normalised": False},
    "no latent coordinates": {"trunk.n_latent": 0},
    "neither": {"trunk.normalised": False, "trunk.n_latent": 0},
    "variational (Gaussian bottleneck)": {"bottleneck": ("Gaussian",)},
}
_UNBALANCED = "no balance (logits not normalised, threshold 0)"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--only", default=",".join(map(str, range(len(VARIANTS)))), help="by number"
    )
    parser.add_argument("--datasets", type=Path)
    parser.add_argument("--items", type=int, help="of the database; default: all")
    parser.add_argument("--results", type=Path, help="default: benchmarks/ablation.jsonl")
    parser.add_argument("--write-docs", action="store_true")
    arguments = parser.parse_args()
    if arguments.items and (arguments.write_docs or not arguments.results):
        parser.error("--items: expected --results with it, and no --write-docs")
    arguments.results = arguments.results or ROOT / "benchmarks" / "ablation.jsonl"
    environment.set_threads(arguments.threads)
    done = _read(arguments.results)
    names = [list(VARIANTS)[int(i)] for i in arguments.only.split(",") if i]
    wanted = [(name, seed) for seed in range(arguments.seeds) for name in names]
    missing = [key for key in wanted if key not in done]
    if missing:
        _measure(missing, arguments, done)
    if arguments.write_docs:
        _write_docs(done)


def _measure(
    missing: list[tuple[str, int]],
    arguments: argparse.Namespace,
    done: dict[tuple[str, int], dict[str, float]],
) -> None:
    from benchmarks import controls, datasets
    from benchmarks.features import featurize
    from benchmarks.scoring import Judge
    from hashret.codes import Codes
    from indexer.training import TrainingOptions, train
    from indexer.training.presets import PRESETS

    dataset = datasets.load("20ng", arguments.datasets or datasets.default_root())
    if arguments.items:
        dataset = replace(dataset, database=dataset.database[: arguments.items])
    features, judge = featurize(dataset), Judge.of(dataset)
    default = PRESETS["text"]["dense"]
    for name, seed in missing:
        row = default._replace(recipe=changed(default.recipe, VARIANTS[name]))
        with patch.dict(PRESETS["text"], dense=row), _balance(name != _UNBALANCED):
            options = TrainingOptions(n_bits=_BITS, seed=seed)
            encoder, report = train(features.training, "text", options)
        asked, stored = encoder.logits(features.queries), encoder.logits(features.database)
        codes = Codes.pack(asked > 0), Codes.pack(stored > 0)
        soft = [2.0 * encoder.probabilities(logits) - 1.0 for logits in (asked, stored)]
        last = report.stages[-1]
        least, _, greatest = last.bit_balance or (0.0, 0.0, 0.0)
        done[name, seed] = {
            "P@100": judge.score_codes(*codes)["P@100"],
            "real-valued": judge.score(controls.cosine_distances(*soft))["P@100"],
            "saturated": last.saturated or 0.0,
            "emptiest bit": least,
            "fullest bit": greatest,
            "distinct codes": float(codes[1].n_distinct()),
        }
        row = {"key": [name, seed], "figures": done[name, seed]}
        with arguments.results.open("a", encoding="utf-8") as results:
            results.write(json.dumps(row | {"environment": environment.describe()}) + "\n")
        print(name, seed, done[name, seed], flush=True)


def changed(recipe: Any, changes: dict[str, Any]) -> Any:
    """The recipe with some settings changed, "part.setting" or a field of its own."""
    from indexer.training import presets

    for name, value in changes.items():
        part, _, setting = name.rpartition(".")
        if part:
            value = replace(getattr(recipe, part), **{setting: value})
        elif name == "bottleneck":
            value = getattr(presets, value[0])(*value[1:])
        elif name == "terms":
            value = tuple(getattr(presets, term)(*settings) for term, *settings in value)
        recipe = replace(recipe, **{part or name: value})
    return recipe


@contextmanager
def _balance(wanted: bool) -> Iterator[None]:
    """Training as it is; without balance, the raw logits are the logits and 0 their threshold."""
    if wanted:
        yield
        return
    import numpy as np

    from indexer.training.networks.bottleneck import LogitMoments

    def at_zero(raw: Any) -> LogitMoments:
        return LogitMoments(np.zeros(raw.shape[1]), np.ones(raw.shape[1]))

    with (
        patch("indexer.training.networks.bottleneck.normalise", lambda raw: raw),
        patch("indexer.training.trainer.LogitMoments.of", at_zero),
    ):
        yield


def _read(path: Path) -> dict[tuple[str, int], dict[str, float]]:
    if not path.exists():
        return {}
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return {(row["key"][0], row["key"][1]): row["figures"] for row in rows}


def _write_docs(done: dict[tuple[str, int], dict[str, float]]) -> None:
    means: dict[str, dict[str, float]] = {}
    for name in VARIANTS:
        found = [figures for (row, _), figures in done.items() if row == name]
        if found:
            means[name] = {key: mean(figures[key] for figures in found) for key in found[0]}
    columns = list(next(iter(means.values())))
    lines = [f"| | {' | '.join(columns)} |", "|---|" + "---|" * len(columns)]
    for name, row in means.items():
        cells = [f"{v:,.0f}" if v > 10 else f"{v:.3f}" for v in row.values()]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    page = ROOT / "docs" / "how-it-works.md"
    write_section(page, "ablation", "\n".join(lines))
    _plot(means)


def _plot(means: dict[str, dict[str, float]]) -> None:
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams["svg.hashsalt"] = "hashret"
    from matplotlib import pyplot as plt

    figure, axis = plt.subplots(figsize=(7, 3.2))
    names = list(means)[::-1]
    places = range(len(names))
    axis.barh(places, [means[n]["real-valued"] for n in names], color="lightgrey", label="real")
    axis.barh(places, [means[n]["P@100"] for n in names], height=0.5, label="thresholded")
    axis.set_yticks(list(places), names, fontsize=7)
    axis.set_xlabel("P@100, 20ng with headers, 64 bits")
    axis.legend(fontsize=7)
    figure.tight_layout()
    figure.savefig(ROOT / "docs" / "ablation.svg", metadata={"Date": None})
    plt.close(figure)


if __name__ == "__main__":
    main()
