"""The data of a training: rows of features, and the shape of images or the order of steps."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import TypeVar

import numpy as np

from hashret.errors import TrainingError
from hashret.models.patches import PatchLayer, Shape
from hashret.models.steps import steps_of
from hashret.sparse import (
    Features,
    SparseRows,
    columns_between,
    require_dense,
    require_sparse,
    values_of,
)
from hashret.specs.ordering import Ordering
from indexer.training.neighbours.sequence_views import token_counts
from indexer.training.neighbours.telling_words import telling_weights
from indexer.training.neighbours.term_weighting import rarity
from indexer.training.patch_dictionary import learn_patches
from indexer.training.recipe import TellingWords
from indexer.training.report import OnProgress, StageReport

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """n rows of features, with `shape` (height, width, channels) if they are rows of pixels.

    With `ordering` if they hold steps in order.
    """

    features: Features
    shape: Shape | None = None
    ordering: Ordering | None = None
    labels: np.ndarray | None = None
    """(n,) int64: the class of each row, numbered from 0, and -1 where it is not known; None: no
    labels are learned from."""

    def __len__(self) -> int:
        return len(self.features)

    @property
    def bag(self) -> SparseRows:
        """What the items hold, whatever its order: words of texts, or tokens of sequences."""
        rows, ordering = require_sparse(self.features, "bags of words"), self.ordering
        if ordering is None:
            return rows
        if ordering.first:
            return columns_between(rows, 0, ordering.first)
        return token_counts(steps_of(rows, ordering), ordering.n_tokens)

    def require_ordering(self) -> Ordering:
        """Where the steps are. Raises TrainingError for features that hold none in order."""
        if self.ordering is None:
            raise TrainingError(
                "features: expected steps in order, got rows without; index the source again with "
                "this preset, or choose another"
            )
        return self.ordering

    def require_usable(self, preset: str, *, needs_shape: bool) -> None:
        """Raise TrainingError for fewer than two rows, and ValueError for what can't be used.

        That is features that are not finite, a shape with another number of pixels, a missing shape
        if the preset needs one, and labels that are not a class for each row, of two at least.
        """
        if len(self) < 2:
            raise TrainingError(
                f"items: expected at least 2 to learn from, got {len(self)}; add more items"
            )
        if not np.isfinite(values_of(self.features)).all():
            raise ValueError(
                "features: expected finite numbers, got NaN or infinity; drop those items"
            )
        n_features = self.features.shape[1]
        if (needs_shape and not self.shape) or (self.shape and math.prod(self.shape) != n_features):
            raise ValueError(
                f"shape: expected (height, width, channels) of images with {n_features} pixels "
                f"for the preset {preset!r}, got {self.shape}; pass that of the image features"
            )
        if self.labels is not None:
            self._require_classes(self.labels)

    def _require_classes(self, labels: np.ndarray) -> None:
        if labels.shape != (len(self),) or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(
                f"labels: expected ({len(self)},) whole numbers, got {labels.dtype} of shape "
                f"{labels.shape}; np.unique(..., return_inverse=True) numbers classes"
            )
        n_classes = len(np.unique(labels[labels >= 0]))
        if n_classes < 2 or labels.max() >= len(self):
            raise ValueError(
                f"labels: expected two classes or more, numbered from 0 and below {len(self)}, got "
                f"{n_classes} up to {labels.max()}; a negative number stands for an unknown label"
            )


class Preparation:
    """Results that a training needs before any network is made; each is computed once and timed."""

    def __init__(
        self,
        items: TrainingSet,
        seed: int,
        on_progress: OnProgress | None,
        telling: TellingWords | None = None,
        invariant: tuple[str, ...] = (),
    ):
        self.items = items
        self.invariant = invariant
        self.telling = telling
        self.seed = seed
        self.stages: list[StageReport] = []
        self._on_progress = on_progress

    def rng(self) -> np.random.Generator:
        """A random generator for one stage; it is the same for each stage."""
        return np.random.default_rng(self.seed)

    def stage(self, name: str, compute: Callable[[], _Result]) -> _Result:
        """The result of `compute`, whose time is reported as a stage."""
        began = time.perf_counter()
        found = compute()
        self.stages.append(StageReport(name, time.perf_counter() - began))
        if self._on_progress:
            self._on_progress(name, 1, 1, float("nan"))
        return found

    @cached_property
    def word_weights(self) -> np.ndarray:
        """The weight of each word in neighbourhoods, targets and latent coordinates, (n_words,)."""
        rows, telling = self.items.bag, self.telling
        if telling is None:
            return rarity(rows)
        labels = self.items.labels
        return self.stage("words", lambda: telling_weights(rows, telling, self.rng(), labels))

    @cached_property
    def patches(self) -> tuple[PatchLayer, np.ndarray]:
        """A dictionary of the images' patches, and the images' responses to it, (n, n_out)."""
        shape, pixels = self.items.shape, require_dense(self.items.features, "a shape of images")
        if shape is None:
            raise ValueError("shape: expected that of images, got none; pass that of the features")

        def learn() -> tuple[PatchLayer, np.ndarray]:
            rng = np.random.default_rng([self.seed, 0])
            layer = learn_patches(pixels, shape, rng, self.invariant)
            return layer, layer.features(pixels)

        return self.stage("patches", learn)
