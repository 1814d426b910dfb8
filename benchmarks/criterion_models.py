"""Models to compare criteria on: many recipes of training, on subsets of several corpora.

    python -m benchmarks.criterion_models FOLDER [--corpora NAME,...] [--only NUMBER,...]

Every recipe trains on the same 4,000 items of a corpus's database. The logits of those, of 1,000
held-out items of the database and of their halves, and of validation items go into FOLDER, one
file a model, so that an interrupted run goes on where it stopped. `benchmarks.criterion` compares
criteria on them. So that many models can be trained, texts have 3,000 words and batches 128 items:
labels compare the recipes with each other, not with figures elsewhere.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

from benchmarks import environment
from benchmarks.ablation import changed

if TYPE_CHECKING:
    import numpy as np

    from hashret.sparse import Features
    from indexer.training.recipe import Recipe

N_TRAINING, N_HELD_OUT, N_VALIDATION = 4_000, 1_000, 800
VOCABULARY, BATCH, BITS = 3_000, 128, 64
CORPORA = ("20ng-stripped", "20ng", "r8", "fmnist")

#: Name -> what differs from the default: factors of numbers, but `rounds`, `neighbours` (none),
#: `masked_share` and `n_bits` as they are; "width" is of the neighbourhood.
VARIANTS: dict[str, dict[str, float]] = {
    "default": {},
    "one round": {"rounds": 1},
    "width / 4": {"width": 0.25},
    "width x 4": {"width": 4.0},
    "three rounds": {"rounds": 3},
    "width / 2": {"width": 0.5},
    "width x 2": {"width": 2.0},
    "noise x 2": {"noise": 2.0},
    "noise / 3": {"noise": 1 / 3},
    "epochs / 3": {"epochs": 1 / 3},
    "epochs x 2": {"epochs": 2.0},
    "learning rate / 4": {"learning_rate": 0.25},
    "hidden / 3": {"hidden": 1 / 3},
    "hidden x 2": {"hidden": 2.0},
    "no neighbours": {"neighbours": 0},
    "learning rate x 2.5": {"learning_rate": 2.5},
    "one round, width x 2": {"rounds": 1, "width": 2.0},
    "half masked": {"corruption.masked_share": 0.5},
    "16 bits": {"n_bits": 16},
    "32 bits": {"n_bits": 32},
    "128 bits": {"n_bits": 128},
}


@dataclass(frozen=True, slots=True)
class Corpus:
    """Features of a corpus: to learn from, held out (whole, and their two halves), to judge by.

    `labels` are those of the training and of the validation items.
    """

    kind: str
    shape: tuple[int, int, int] | None
    training: Features
    held: Features
    halves: tuple[Features, Features]
    validation: Features
    labels: tuple[np.ndarray, np.ndarray]


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--corpora", default=",".join(CORPORA))
    parser.add_argument("--only", default=",".join(map(str, range(len(VARIANTS)))), help="numbers")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--datasets", type=Path)
    arguments = parser.parse_args()
    environment.set_threads(arguments.threads)
    from benchmarks import datasets

    arguments.folder.mkdir(parents=True, exist_ok=True)
    corpora: dict[str, Corpus] = {}
    for number in map(int, arguments.only.split(",")):
        for name in arguments.corpora.split(","):
            variant = list(VARIANTS)[number]
            to = arguments.folder / f"{name}.{arguments.seed}.{slug(variant)}.npz"
            if to.exists():
                continue
            if name not in corpora:
                corpora[name] = prepare(name, arguments.datasets or datasets.default_root())
            _train(corpora[name], variant, arguments.seed, to)


def slug(variant: str) -> str:
    """A variant's name as part of a file's."""
    return variant.replace(" ", "_").replace("/", "d").replace(",", "")


def prepare(name: str, root: Path) -> Corpus:
    """A corpus's features; learned, as everything else, on the training items only."""
    import numpy as np

    from benchmarks import datasets
    from hashret.arguments import resolve
    from hashret.errors import PayloadError
    from hashret.features import FEATURIZERS
    from indexer.tuning.criteria import Halves

    data = datasets.load(name, root)
    rng = np.random.default_rng(0)
    order = rng.permutation(data.database)
    featurizer_class: Any = resolve(FEATURIZERS, data.kind, "kind")
    spec = featurizer_class.suggest_spec(data.part(order[:2000]))
    if data.kind == "text":
        spec = replace(spec, vocabulary_size=VOCABULARY)

    def usable(rows: np.ndarray, count: int) -> tuple[np.ndarray, list[Any]]:
        kept, prepared = [], []
        for row in rows.tolist():
            try:
                prepared.append(featurizer_class.prepare(data.payloads[row], spec))
            except PayloadError:  # a stripped post may be empty
                continue
            kept.append(row)
            if len(kept) == count:
                break
        return np.array(kept), prepared

    rows, prepared = usable(order, N_TRAINING + N_HELD_OUT)
    after = int(np.flatnonzero(order == rows[-1])[0]) + 1
    rest = data.validation if len(data.validation) else order[after:]
    judged, validation = usable(rest, N_VALIDATION)
    featurizer = featurizer_class.fit(prepared[:N_TRAINING], spec)
    parts = prepared[:N_TRAINING], prepared[N_TRAINING:], validation
    training, held, asked = (featurizer.transform(part) for part in parts)
    if data.kind == "text":
        shape = None
        cut = Halves.of(training, held, rng)
        halves = cut.first, cut.second
    else:
        shape = spec.height, spec.width, spec.channels
        halves = halves_of_images(held, shape, training.mean(axis=0), rng)
    labels = data.labels[rows[:N_TRAINING]], data.labels[judged]
    return Corpus(data.kind, shape, training, held, halves, asked, labels)


def halves_of_images(
    rows: np.ndarray, shape: tuple[int, int, int], mean: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Each of 4 x 4 blocks of an image is in one of its halves, by chance; the mean elsewhere."""
    import numpy as np

    height, width, channels = shape
    grid = rng.random((len(rows), 4, 4)) < 0.5
    tall, wide = (np.arange(side) * 4 // side for side in (height, width))
    shown = np.repeat(grid[:, tall][:, :, wide, None], channels, axis=3).reshape(rows.shape)
    return np.where(shown, rows, mean), np.where(shown, mean, rows)


def _recipe(kind: str, variant: str) -> tuple[Recipe, dict[str, int]]:
    """The preset's recipe changed, and the options that say the rest."""
    from indexer.training import TrainingOptions
    from indexer.training.presets import PRESETS

    recipe: Any = replace(PRESETS[kind]["dense"].recipe, batch_size=BATCH)
    fitted = recipe.fitted(N_TRAINING, TrainingOptions())
    options: dict[str, int] = {}
    for name, value in VARIANTS[variant].items():
        if name == "width":
            options["neighbours"] = max(2, round(value * fitted.neighbourhood.size))
        elif name == "epochs":
            options["epochs"] = max(2, round(value * fitted.epochs))
        elif name == "n_bits":
            options["n_bits"] = int(value)
        elif name == "rounds":
            recipe = changed(recipe, {"neighbourhood.rounds": int(value)})
        elif name == "noise":
            recipe = replace(recipe, bottleneck=recipe.bottleneck.with_noise(value))
        elif name == "hidden":
            units = tuple(round(value * units) for units in recipe.trunk.hidden)
            recipe = changed(recipe, {"trunk.hidden": units})
        elif name == "learning_rate":
            recipe = replace(recipe, learning_rate=value * recipe.learning_rate)
        elif name == "neighbours":
            recipe = replace(recipe, neighbourhood=None)
        else:
            recipe = changed(recipe, {name: value})
    return recipe, options


def _train(corpus: Corpus, variant: str, seed: int, to: Path) -> None:
    import numpy as np

    from indexer.training import TrainingOptions, train
    from indexer.training.presets import PRESETS

    recipe, options = _recipe(corpus.kind, variant)
    began = time.perf_counter()
    row = PRESETS[corpus.kind]["dense"]._replace(recipe=recipe)
    with patch.dict(PRESETS[corpus.kind], dense=row):
        chosen = TrainingOptions(**{"n_bits": BITS} | options, seed=seed, device="cpu")
        encoder, _ = train(corpus.training, corpus.kind, chosen, shape=corpus.shape)
    seconds = time.perf_counter() - began
    rows = {"training": corpus.training, "held": corpus.held, "validation": corpus.validation}
    rows |= {"first": corpus.halves[0], "second": corpus.halves[1]}
    logits = {key: encoder.logits(value).astype(np.float32) for key, value in rows.items()}
    unfinished = to.with_suffix(".unfinished")
    with unfinished.open("wb") as file:
        np.savez(file, seconds=seconds, **logits)
    unfinished.rename(to)
    print(to.name, f"{seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
