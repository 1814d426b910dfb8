"""One training of the deep autoencoder from beginning to end.

Neighbourhoods are found without labels, the layers pre-trained one by one, the whole fine-tuned
with growing noise; then, round after round, neighbourhoods are found again by the features and
the codes just learned together, and a fresh network is fine-tuned on them. Rounds before the last
only serve to find neighbours, so codes of several lengths share them.
"""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np

from hashret.models.apply import DenseEncoder
from hashret.models.apply_patches import PatchEncoder
from hashret.models.base import Encoder
from hashret.models.patches import PatchLayer
from hashret.sparse import Features, SparseRows
from indexer.batches import TrainingItems
from indexer.checkpoints import Checkpoints
from indexer.image_views import image_views
from indexer.latent import latent_directions
from indexer.neighbourhoods import Neighbourhoods
from indexer.optimise import OnProgress, choose_device, has_bfloat16_units
from indexer.patches import learn_patches
from indexer.presets import Recipe
from indexer.reports import (
    StageReport,
    TrainingOptions,
    TrainingReport,
    code_warnings,
    n_distinct_rows,
)
from indexer.rounds import Round, Shared
from indexer.similarities import cosine_points, mixed_points, points_of

#: The codes of rounds before the last, which only find neighbours, have this many bits.
_ROUND_BITS = 64


class Course:
    """Training items, and what was learned of them so far."""

    def __init__(
        self,
        features: Features,
        options: TrainingOptions,
        recipe: Recipe,
        on_progress: OnProgress | None,
        shape: tuple[int, int, int] | None = None,
        checkpoints: Checkpoints | None = None,
    ):
        self.options = options
        self.recipe = recipe
        self._features = features
        self._early: list[StageReport] = []
        self._on_progress = on_progress
        self._patches: PatchLayer | None = None
        self._answers: np.ndarray | None = None
        seen = features
        if shape is not None and not isinstance(features, SparseRows):
            began = time.perf_counter()
            self._patches = learn_patches(features, shape, np.random.default_rng([options.seed, 0]))
            self._answers = self._patches.features(features)
            self._prepared("patches", began)
            if recipe.patches:
                seen = self._answers
        device = choose_device(options.device)
        self.items = TrainingItems(seen, _input_scale(seen, recipe), device, shape)
        self.shared = Shared(
            self.items,
            recipe,
            options.seed,
            device,
            has_bfloat16_units(device),
            on_progress,
            checkpoints or Checkpoints(),
        )
        self._ready = False
        self._views: np.ndarray | None = None
        self._near: Neighbourhoods | None = None

    def finish(self, n_bits: int) -> tuple[Encoder, TrainingReport]:
        """An encoder to codes of n_bits; what only finds neighbours is done once for all calls."""
        if not self._ready:
            self._prepare()
            self._find_neighbourhoods()
            self._ready = True
        last = Round(self.shared, self.recipe.rounds)
        encoder = last.learn(self._near, n_bits)
        report = TrainingReport(
            replace(self.options, n_bits=n_bits),
            len(self.items),
            self.shared.device.type,
            self.shared.bfloat16,
            [*self._early, *last.stages],
        )
        codes = encoder.encode(self.items.features)
        report.warnings += code_warnings(codes, n_distinct_rows(self._features))
        return self._of_pixels(encoder), report

    def _of_pixels(self, encoder: Encoder) -> Encoder:
        """What takes images where `encoder` takes the answers of their patches."""
        if self._patches and self.recipe.patches and isinstance(encoder, DenseEncoder):
            return PatchEncoder.of(self._patches, encoder)
        return encoder

    def _prepare(self) -> None:
        """What all rounds are given: latent directions of texts, views of images."""
        features, rng = self._features, np.random.default_rng(self.options.seed)
        began = time.perf_counter()
        if isinstance(features, SparseRows):
            if self.recipe.n_latent:
                self.shared.latent = latent_directions(features, self.recipe.n_latent, rng)
                self._prepared("latent", began)
        elif self.items.shape is not None and self._answers is not None:
            self._views = image_views(features, self.items.shape, self._answers, rng)
            self._answers = None  # where nothing is learned from them, their memory is wanted
            if self.recipe.objective == "views":
                self.items.targets = self._views / max(float(self._views.std()), 1e-6)
            self._prepared("views", began)

    def _prepared(self, stage: str, began: float) -> None:
        self._early.append(StageReport(stage, time.perf_counter() - began))
        if self._on_progress:
            self._on_progress(stage, 1, 1, float("nan"))

    def _find_neighbourhoods(self) -> None:
        if not self.recipe.neighbour_weight:
            return
        features, rng = self.items.features, np.random.default_rng(self.options.seed)
        by_features = (
            points_of(features, rng) if self._views is None else cosine_points(self._views)
        )
        points = by_features
        for turn in range(1, self.recipe.rounds):
            this = Round(self.shared, turn)
            encoder = this.learn(this.neighbourhoods(points), _ROUND_BITS)
            self._early += this.stages
            soft = 2.0 * encoder.probabilities(encoder.logits(features)) - 1.0
            points = mixed_points(by_features, cosine_points(soft), rng)
        last = Round(self.shared, self.recipe.rounds)
        self._near = last.neighbourhoods(points)
        self._early += last.stages


def _input_scale(features: Features, recipe: Recipe) -> float:
    if recipe.input_scale is not None:
        return recipe.input_scale
    values = features.values if isinstance(features, SparseRows) else features
    mean_square = float(np.square(values, dtype=np.float64).mean())
    return float(1.0 / np.sqrt(max(mean_square, 1e-12)))
