"""One training of the deep autoencoder from beginning to end.

Neighbourhoods are found without labels, the layers pre-trained one by one, the whole fine-tuned
with growing noise; then, round after round, neighbourhoods are found again by the features and
the codes just learned together, and a fresh network is fine-tuned on them. Rounds before the last
only serve to find neighbours, so codes of several lengths share them.
"""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import replace

import numpy as np
import torch

from hashret.codes import Codes
from hashret.errors import TrainingError
from hashret.models.base import Encoder
from hashret.models.conv import conv_autoencoder, export_conv
from hashret.models.dense import Autoencoder, LogitMoments, dense_autoencoder, export
from hashret.sparse import Features, SparseRows
from indexer.batches import TrainingItems
from indexer.checkpoints import Checkpoints
from indexer.finetune import Unrolled, finetune, raw_logits_of
from indexer.image_views import image_views
from indexer.neighbourhoods import Neighbourhoods, find_neighbourhoods
from indexer.objectives import Objective, objective_for
from indexer.optimise import Descent, OnProgress, choose_device, has_bfloat16_units
from indexer.presets import Recipe
from indexer.pretrain import LayerOfStack, pretrain_layer
from indexer.reports import (
    StageReport,
    TrainingOptions,
    TrainingReport,
    bit_balance,
    collapse_warnings,
    n_distinct_rows,
)
from indexer.similarities import CosineSimilarity, MixedSimilarity, Similarity, similarity_of

#: The codes of rounds before the last, which only find neighbours, have this many bits.
_ROUND_BITS = 64
#: A layer is no wider than the features, but few features still need some units to be told apart.
_LEAST_UNITS = 32
#: The logistic curve of this slope is nearest to the normal distribution function.
_PROBIT_SLOPE = 1.702


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
        self.checkpoints = checkpoints or Checkpoints()
        self.recipe = recipe
        self.on_progress = on_progress
        self.device = choose_device(options.device)
        self.items = TrainingItems(features, _input_scale(features, recipe), self.device, shape)
        self.bfloat16 = has_bfloat16_units(self.device)
        #: The network whose hidden layers later rounds start from.
        self.pretrained: Autoencoder | None = None
        self._early: list[StageReport] = []
        self._ready = False
        self._views: np.ndarray | None = None
        self._near: Neighbourhoods | None = None

    def finish(self, n_bits: int) -> tuple[Encoder, TrainingReport]:
        """An encoder to codes of n_bits; what only finds neighbours is done once for all calls."""
        if not self._ready:
            self._look()
            self._find_neighbourhoods()
            self._ready = True
        last = _Round(self, self.recipe.rounds)
        encoder = last.learn(self._near, n_bits)
        report = TrainingReport(
            replace(self.options, n_bits=n_bits),
            len(self.items),
            self.device.type,
            self.bfloat16,
            [*self._early, *last.stages],
        )
        features = self.items.features
        report.warnings += collapse_warnings(encoder.encode(features), n_distinct_rows(features))
        return encoder, report

    def _look(self) -> None:
        """Of images: what they are compared by, and what the recipe may want told of them."""
        pixels = self.items.features
        if self.items.shape is None or isinstance(pixels, SparseRows):
            return
        began = time.perf_counter()
        rng = np.random.default_rng(self.options.seed)
        self._views = image_views(pixels, self.items.shape, rng)
        if self.recipe.objective == "views":
            self.items.targets = self._views / max(float(self._views.std()), 1e-6)
        self._early.append(StageReport("views", time.perf_counter() - began))

    def _find_neighbourhoods(self) -> None:
        if not self.recipe.neighbour_weight:
            return
        features = self.items.features
        by_features: Similarity
        if self._views is not None:
            by_features = CosineSimilarity(self._views)
        else:
            by_features = similarity_of(features, np.random.default_rng(self.options.seed))
        similarity = by_features
        for turn in range(1, self.recipe.rounds):
            this = _Round(self, turn)
            encoder = this.learn(this.neighbourhoods(similarity), _ROUND_BITS)
            self._early += this.stages
            soft = 2.0 * encoder.probabilities(encoder.logits(features)) - 1.0
            similarity = MixedSimilarity(by_features, CosineSimilarity(soft))
        last = _Round(self, self.recipe.rounds)
        self._near = last.neighbourhoods(similarity)
        self._early += last.stages


class _Round:
    """One round: neighbourhoods, and a fresh network trained on them.

    Each round draws from its own sources of randomness, so that the last one learns the same
    whether or not codes of other lengths were learned before.
    """

    def __init__(self, course: Course, turn: int):
        self.course = course
        self.recipe = course.recipe
        self.items = course.items
        self.turn = turn
        self.stages: list[StageReport] = []
        self.rng = np.random.default_rng([course.options.seed, turn])
        drawn = int(self.rng.integers(2**62))
        self.initial = torch.Generator().manual_seed(drawn)
        self.generator = torch.Generator(course.device).manual_seed(drawn + 1)

    def neighbourhoods(self, similarity: Similarity) -> Neighbourhoods:
        """The nearest others of every item."""
        began = time.perf_counter()
        n, stage = len(self.items), self._named("neighbours")

        def on_rows(done: int) -> None:
            if self.course.on_progress:
                self.course.on_progress(stage, done, n, float("nan"))

        def find() -> np.ndarray:
            width = self.recipe.neighbours
            return find_neighbourhoods(similarity, n, width, self.rng, on_rows).members

        members = self.course.checkpoints.array(stage, self.rng, find)
        near = Neighbourhoods(members, self.recipe.neighbours)
        self.stages.append(StageReport(stage, time.perf_counter() - began))
        return near

    def learn(self, near: Neighbourhoods | None, n_bits: int) -> Encoder:
        """Pre-train, fine-tune and export a network."""
        objective = objective_for(self.recipe, self.items, self.rng)
        network = self._pretrained(objective, n_bits)
        began = time.perf_counter()
        whole = Unrolled(network, self.items, objective, near, self.recipe, self.generator)
        stage = self._named("fine-tune")
        loss = finetune(whole, self._descent(stage), self.recipe.epochs)
        encoder = self._exported(network, stage)
        self.stages.append(self._code_report(encoder, stage, loss, began))
        return encoder

    def _pretrained(self, objective: Objective, n_bits: int) -> Autoencoder:
        """A network pre-trained layer by layer; hidden layers once for all rounds."""
        network = self._initial(n_bits).to(self.course.device)
        first = 0
        if self.course.pretrained is not None:
            network.copy_hidden(self.course.pretrained)
            first = len(network.encoder) - 1
        if self.recipe.pretrain_epochs:
            for index in range(first, len(network.encoder)):
                began = time.perf_counter()
                stage = self._named(f"pre-train {index + 1}")
                layer = LayerOfStack(
                    network, index, self.items, objective, self.recipe, self.generator
                )
                loss = pretrain_layer(layer, self._descent(stage), self.recipe.pretrain_epochs)
                self.stages.append(StageReport(stage, time.perf_counter() - began, loss))
        if self.turn < self.recipe.rounds and self.course.pretrained is None:
            self.course.pretrained = deepcopy(network)
        return network

    def _initial(self, n_bits: int) -> Autoencoder:
        recipe, shape = self.recipe, self.items.shape
        told = self.items.targets
        n_outputs = None if told is None else told.shape[1]
        if recipe.filters and shape is not None:
            return conv_autoencoder(shape, recipe.filters, n_bits, self.initial, n_outputs)
        n_features = self.items.n_features
        hidden = tuple(min(width, max(n_features, _LEAST_UNITS)) for width in recipe.hidden)
        return dense_autoencoder(n_features, hidden, n_bits, self.initial, n_outputs)

    def _exported(self, network: Autoencoder, stage: str) -> Encoder:
        moments = LogitMoments.of(raw_logits_of(network, self.items))
        # the probability that noise of this size leaves a logit positive, as a logistic curve
        logit_scale = _PROBIT_SLOPE / self.recipe.noise[1]
        try:
            if self.recipe.filters and self.items.shape is not None:
                shape, scale = self.items.shape, self.items.scale
                return export_conv(network, shape, moments, scale, logit_scale)
            return export(network, moments, self.items.scale, logit_scale)
        except ValueError as error:
            raise TrainingError(f"{stage}: {error}") from error

    def _code_report(self, encoder: Encoder, stage: str, loss: float, began: float) -> StageReport:
        gain = self.recipe.gain[1]
        logits = encoder.logits(self.items.features)
        codes = Codes.pack(logits > 0)
        return StageReport(
            stage,
            time.perf_counter() - began,
            loss,
            noise=self.recipe.noise[1] * gain,
            saturated=float((np.abs(logits) * gain > np.log(9.0)).mean()),  # sigmoid > .9 or < .1
            bit_balance=bit_balance(codes),
            n_distinct=codes.n_distinct(),
        )

    def _descent(self, stage: str) -> Descent:
        return Descent(
            stage,
            len(self.items),
            self.recipe.batch_size,
            self.recipe.learning_rate,
            self.rng,
            self.course.device,
            self.course.bfloat16,
            self.course.on_progress,
            generator=self.generator,
            checkpoints=self.course.checkpoints,
        )

    def _named(self, stage: str) -> str:
        return stage if self.recipe.rounds == 1 else f"{stage}, round {self.turn}"


def _input_scale(features: Features, recipe: Recipe) -> float:
    if recipe.input_scale is not None:
        return recipe.input_scale
    values = features.values if isinstance(features, SparseRows) else features
    mean_square = float(np.square(values, dtype=np.float64).mean())
    return float(1.0 / np.sqrt(max(mean_square, 1e-12)))
