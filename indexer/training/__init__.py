"""Here are features: give me an encoder. The one room with torch.

`train` is the door: features in, a trained encoder and a report of its training out. Importing
this package loads no torch, so that the command line can name presets and options.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from hashret.errors import TrainingError
from hashret.models.base import Encoder
from hashret.sparse import Features, SparseRows
from indexer.training.options import Multiples, TrainingOptions
from indexer.training.presets import PRESETS, TOWERS, preset_for, require_used
from indexer.training.report import OnProgress, StageReport, TrainingReport

if TYPE_CHECKING:
    from indexer.training.checkpoints import Checkpoints

__all__ = [
    "Multiples",
    "OnProgress",
    "StageReport",
    "TrainingOptions",
    "TrainingReport",
    "train",
    "train_lengths",
]


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
    lengths = [options.n_bits]
    learned = train_lengths(
        features,
        kind,
        options,
        lengths,
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
    options = replace(options, preset=preset_for(kind, options.preset))
    require_used(kind, options)
    if len(features) < 2:
        raise TrainingError(
            f"items: expected at least 2 to learn from, got {len(features)}; add more items"
        )
    values = features.values if isinstance(features, SparseRows) else features
    if not np.isfinite(values).all():
        raise ValueError("features: expected finite numbers, got NaN or infinity; drop those items")
    if options.preset == "towers":
        if isinstance(features, SparseRows):
            raise TypeError("features: expected a dense array for the preset 'towers'")
        from indexer.training.vectors.towers import train_towers

        for n_bits in lengths:
            chosen = replace(options, n_bits=n_bits)
            yield train_towers(features, chosen, TOWERS, on_progress, checkpoints)
        return
    recipe = PRESETS[str(options.preset)][kind]
    fitted = recipe.fitted(len(features), options)
    needed = fitted.patches or bool(fitted.filters)
    if (needed and shape is None) or (shape and math.prod(shape) != features.shape[1]):
        raise ValueError(
            f"shape: expected (height, width, channels) of images with {features.shape[1]} pixels "
            f"for the preset {options.preset!r}, got {shape}; pass that of the image features"
        )
    from indexer.training.trainer import Course  # torch: only those who learn wait

    course = Course(features, options, fitted, on_progress, shape, checkpoints)
    for n_bits in lengths:
        yield course.finish(n_bits)
