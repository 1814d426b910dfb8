"""Here are features: give me an encoder. The one room with torch.

`train` is the door: features in, a trained encoder and a report of its training out. Importing
this package loads no torch, so that the command line can name presets and options. Not for reading
items (`indexer.corpus`), nor for applying what was learned (`hashret.models`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

from hashret.models.base import Encoder
from hashret.registry import resolve
from hashret.sparse import Features
from indexer.training.options import Multiples, TrainingOptions
from indexer.training.presets import PRESETS, TRAINERS, preset_for, require_used
from indexer.training.report import OnProgress, StageReport, TrainingReport

if TYPE_CHECKING:
    from indexer.training.checkpoints import Checkpoints

__all__ = [
    "Multiples",
    "OnProgress",
    "StageReport",
    "Trainer",
    "TrainingOptions",
    "TrainingReport",
    "train",
    "train_lengths",
]


class Trainer(Protocol):
    """What a preset names: a class made of a training set, options, a recipe, and the two ways in
    which a training is watched and kept (`on_progress`, `checkpoints`)."""

    def learn(self, n_bits: int) -> tuple[Encoder, TrainingReport]:
        """An encoder to codes of n_bits, and the report of all that led to it."""
        ...


def train(
    features: Features,
    kind: str,
    options: TrainingOptions,
    *,
    shape: tuple[int, int, int] | None = None,
    on_progress: OnProgress | None = None,
    checkpoints: Checkpoints | None = None,
) -> tuple[Encoder, TrainingReport]:
    """Learn binary codes for items of a kind ("text", "image" or "vector") from their features.

    Features are sparse and not negative for text, dense for the others. The same features,
    options, CPU model and number of threads give the same encoder, bit for bit. `on_progress`
    is called with (stage, steps done, steps in all, loss); the loss is NaN for stages that have
    none. `shape` (height, width, channels) says what images the rows are: then what they look like
    is learned (`image_views`), else the bare pixels; of images all presets but "dense" need it.
    Raises TrainingError for fewer than two items and when a loss is not finite, UnknownKindError
    for an unknown preset or kind, ValueError for features that are not finite or no images of the
    shape, and for options that would change nothing with the preset.
    """
    learned = train_lengths(
        features,
        kind,
        options,
        [options.n_bits],
        shape=shape,
        on_progress=on_progress,
        checkpoints=checkpoints,
    )
    return next(learned)


def train_lengths(
    features: Features,
    kind: str,
    options: TrainingOptions,
    lengths: Iterable[int],
    *,
    shape: tuple[int, int, int] | None = None,
    on_progress: OnProgress | None = None,
    checkpoints: Checkpoints | None = None,
) -> Iterator[tuple[Encoder, TrainingReport]]:
    """As `train`, for codes of each of several lengths in bits, in place of `options.n_bits`.

    Gives what `train` gives for each, in less time: what only finds neighbours is done once (its
    stages are in every report).
    """
    from indexer.training.training_set import TrainingSet  # SciPy: only those who learn wait

    options = replace(options, preset=preset_for(kind, options.preset))
    require_used(kind, options)
    named, recipe = PRESETS[kind][str(options.preset)]
    items = TrainingSet(features, shape)
    items.require_usable(str(options.preset), needs_shape=recipe.needs_shape)
    trainer_class = resolve(TRAINERS, named, "trainer")
    trainer: Trainer = trainer_class(items, options, recipe, on_progress, checkpoints)
    for n_bits in lengths:
        yield trainer.learn(n_bits)
