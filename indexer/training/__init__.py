"""Here are features: give me an encoder. The one room with torch.

Call `train`: it takes features and returns a trained encoder with a report of its training.
Importing this package loads no torch, so that the command line can name presets and options. Not
for reading items (`indexer.corpus`), nor for applying an encoder (`hashret.models`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Protocol

import numpy as np

from hashret.arguments import resolve
from hashret.models.base import Encoder
from hashret.sparse import Features
from hashret.specs.ordering import Ordering
from indexer.training.options import Multiples, TrainingOptions
from indexer.training.presets import (
    PRESETS,
    TRAINERS,
    preset_for,
    recipe_with_labels,
    require_used,
)
from indexer.training.recipe import Recipe
from indexer.training.report import StageReport, TrainingReport
from indexer.training.watching import Seen, Watcher, Watching

if TYPE_CHECKING:
    from indexer.training.checkpoints import Checkpoints

__all__ = [
    "Multiples",
    "Seen",
    "StageReport",
    "Trainer",
    "TrainingOptions",
    "TrainingReport",
    "Watcher",
    "train",
    "train_lengths",
]


class Trainer(Protocol):
    """The class that a preset names: it learns encoders from a training set by a recipe.

    It is constructed with the training set, options, the recipe, who watches, and `checkpoints`.
    """

    def learn(self, n_bits: int) -> tuple[Encoder, TrainingReport]:
        """An encoder with codes of n_bits, and the report of its training."""
        ...


def train(
    features: Features,
    kind: str,
    options: TrainingOptions,
    *,
    shape: tuple[int, int, int] | None = None,
    ordering: Ordering | None = None,
    labels: np.ndarray | None = None,
    watchers: Sequence[Watcher] = (),
    checkpoints: Checkpoints | None = None,
) -> tuple[Encoder, TrainingReport]:
    """Learn binary codes for items of a kind, such as "text", from their features.

    Features are sparse and not negative for text, sparse for sequences, and dense for the others.
    `ordering` says where they hold steps in order, which sequences and the presets for texts in
    word order need. The same features, options, CPU model and number of threads give the same
    encoder, bit for bit, whoever watches (`Watcher`). `shape` (height, width, channels) says that
    the rows are images: then the views of them are learned (`image_views`), else the bare pixels.
    For images, all presets but "dense" need it.
    `labels` (n,) are the numbers of the items' classes, from 0, and negative where the class is not
    known: items of one class are then to have like codes, and of two to have others.
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
        ordering=ordering,
        labels=labels,
        watchers=watchers,
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
    ordering: Ordering | None = None,
    labels: np.ndarray | None = None,
    watchers: Sequence[Watcher] = (),
    checkpoints: Checkpoints | None = None,
) -> Iterator[tuple[Encoder, TrainingReport]]:
    """As `train`, for codes of each of several lengths in bits, in place of `options.n_bits`.

    The results are those of `train` for each length, in less time: the stages that only find
    neighbours are run once, and are in every report.
    """
    from indexer.training.training_set import TrainingSet  # imported here: SciPy is slow to load

    options = replace(options, preset=preset_for(kind, options.preset))
    if labels is not None:
        labels = np.asarray(labels)
        options = replace(options, label=options.label or "labels")
    require_used(kind, options)
    named, recipe = PRESETS[kind][str(options.preset)]
    if labels is not None and isinstance(recipe, Recipe):
        recipe = recipe_with_labels(recipe)
    items = TrainingSet(features, shape, ordering, labels)
    items.require_usable(str(options.preset), needs_shape=recipe.needs_shape)
    trainer_class = resolve(TRAINERS, named, "trainer")
    watching = Watching(watchers)
    trainer: Trainer = trainer_class(items, options, recipe, watching, checkpoints)
    for n_bits in lengths:
        encoder, report = trainer.learn(n_bits)
        watching.end(encoder, features, report)
        yield encoder, report
