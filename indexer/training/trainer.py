"""Train the deep autoencoder, from features to an encoder, in rounds.

Neighbourhoods are found without labels; the layers of a network are pre-trained one by one, then
all are fine-tuned to rebuild items and their neighbourhoods. In each further round, neighbourhoods
are found again, by features and learned codes together, and a new network is trained on them. The
rounds before the last only serve to find neighbours, so codes of several lengths share them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from functools import cached_property, partial

import numpy as np
import torch
from torch import Tensor

from hashret.codes import Codes
from hashret.errors import TrainingError
from hashret.models.base import Encoder
from hashret.sparse import Features, n_distinct, require_sparse, take_rows
from indexer.training.batches import Batches
from indexer.training.checkpoints import Checkpoints
from indexer.training.finetune import Unrolled, finetune, raw_logits_of
from indexer.training.labels.suggested import with_suggested_labels
from indexer.training.layers.greedy import LayerOfStack
from indexer.training.linear_map import LinearFit
from indexer.training.neighbours.neighbourhoods import Neighbourhoods, find_neighbourhoods
from indexer.training.neighbours.similarities import Points, cosine_points, mixed_points
from indexer.training.networks.autoencoder import Autoencoder, Trunk
from indexer.training.networks.bottleneck import PROBIT_SLOPE, Bottleneck, LogitMoments
from indexer.training.objectives import CodedBatch, Mixture, Target
from indexer.training.optimise import Descent, bfloat16_is_faster, choose_device
from indexer.training.options import TrainingOptions
from indexer.training.parts import made
from indexer.training.recipe import LinearMap, Neighbourhood, Recipe
from indexer.training.report import (
    Course,
    Look,
    OnProgress,
    StageReport,
    TrainingReport,
    bit_balance,
    code_warnings,
    saturated,
)
from indexer.training.training_set import Preparation, TrainingSet
from indexer.training.watching import Seen, Watching
from indexer.training.watching.watcher import seen_rows

#: Bits of the codes in rounds before the last: the default length, which finds neighbours well.
_ROUND_BITS = 64


class AutoencoderTrainer:
    """Learns codes of any length for one training set by one recipe."""

    def __init__(
        self,
        items: TrainingSet,
        options: TrainingOptions,
        recipe: Recipe,
        watching: Watching | None = None,
        checkpoints: Checkpoints | None = None,
    ):
        self.items = items
        self.options = options
        self.recipe = recipe.fitted(len(items), options)
        self.watching = watching or Watching()
        self.on_progress: OnProgress = self.watching.step
        self.checkpoints = checkpoints or Checkpoints()
        self.device = choose_device(options.device)
        self.bfloat16 = bfloat16_is_faster(self.device)
        preparation = Preparation(
            items, options.seed, self.on_progress, self.recipe.telling, options.invariant or ()
        )
        self.trunk: Trunk = made(recipe.trunk, preparation)
        self.target: Target = made(recipe.target, preparation, self.trunk, self.device)
        self.batches = Batches(
            self.trunk.features, self.trunk.scale, self.device, self.trunk.ordering
        )
        #: The network whose hidden layers later rounds start from.
        self.pretrained: Autoencoder | None = None
        self._shared = preparation.stages
        self._preparation = preparation
        self._near: Neighbourhoods | None = None
        self._searched = False

    def learn(self, n_bits: int) -> tuple[Encoder, TrainingReport]:
        """An encoder with codes of n_bits; earlier rounds run once for all calls."""
        if self.recipe.neighbourhood and not self._searched:
            self._near = self._neighbourhoods(self.recipe.neighbourhood)
            self._searched = True
        last = _Round(self, self.recipe.rounds)
        encoder = last.learn(self._near, n_bits)
        if self.recipe.linear:
            encoder = last.linear(encoder)
        report = TrainingReport(
            replace(self.options, n_bits=n_bits),
            len(self.items),
            self.device.type,
            self.bfloat16,
            [*self._shared, *last.stages],
        )
        if (labels := self.items.labels) is not None:
            report.n_labelled = int((labels >= 0).sum())
            report.n_classes = len(np.unique(labels[labels >= 0]))
        codes = encoder.encode(self.trunk.features)
        report.warnings += code_warnings(codes, n_distinct(self.items.features))
        return self.trunk.of_items(encoder), report

    @cached_property
    def linear_fit(self) -> LinearFit:
        """What linear maps for all lengths share."""
        rows = require_sparse(self.trunk.features, "a linear map")
        settings = self.recipe.linear or LinearMap()
        weights, rng = self._preparation.word_weights, self._preparation.rng()
        return LinearFit(rows, weights, settings, self.trunk.scale, rng)

    def _points(self, rng: np.random.Generator) -> Points:
        """How alike items are by their features, and by the labels that these suggest."""
        points = self.target.points(rng)
        if self.items.labels is None:
            return points
        return with_suggested_labels(points, self.items.labels, rng)

    def _neighbourhoods(self, wanted: Neighbourhood) -> Neighbourhoods:
        """The neighbourhoods of the last round, by features and the codes of earlier rounds."""
        rng = np.random.default_rng(self.options.seed)
        points = by_features = self._points(rng)
        for turn in range(1, wanted.rounds):
            this = _Round(self, turn)
            encoder = this.learn(this.neighbourhoods(points, wanted.size), _ROUND_BITS)
            self._shared += this.stages
            soft = _expected_bits(encoder, self.trunk.features)
            points = mixed_points(by_features, cosine_points(soft), rng)
        last = _Round(self, wanted.rounds)
        found = last.neighbourhoods(points, wanted.size)
        self._shared += last.stages
        return found


class _Round:
    """One round: neighbourhoods, and a fresh network trained on them.

    Each round has its own random generators, so that the last one learns the same whether or not
    codes of other lengths were learned before.
    """

    def __init__(self, trainer: AutoencoderTrainer, turn: int):
        self.trainer = trainer
        self.recipe = trainer.recipe
        self.turn = turn
        self.stages: list[StageReport] = []
        self._logit_scale = 1.0
        self.rng = np.random.default_rng([trainer.options.seed, turn])
        drawn = int(self.rng.integers(2**62))
        self.initial = torch.Generator().manual_seed(drawn)
        self.generator = torch.Generator(trainer.device).manual_seed(drawn + 1)

    def neighbourhoods(self, points: Points, size: int) -> Neighbourhoods:
        """The `size` nearest others of every item."""
        began = time.perf_counter()
        trainer, n, stage = self.trainer, len(self.trainer.items), self._named("neighbours")

        def on_rows(done: int) -> None:
            trainer.on_progress(stage, done, n, float("nan"))

        def find() -> np.ndarray:
            return find_neighbourhoods(points, size, self.rng, on_rows).members

        near = Neighbourhoods(trainer.checkpoints.array(stage, self.rng, find), size)
        if trainer.items.labels is not None:
            near = near.labelled(trainer.items.labels, self.rng)
        self.stages.append(StageReport(stage, time.perf_counter() - began))
        return near

    def learn(self, near: Neighbourhoods | None, n_bits: int) -> Encoder:
        """Pre-train, fine-tune and export a network; the encoder takes the trunk's features."""
        whole = self._unrolled(near, n_bits)
        self._pretrain(whole)
        began = time.perf_counter()
        stage = self._named("fine-tune")
        if n_bits <= self.recipe.learned_bits:
            look = partial(self._look, whole, n_bits, stage)
            course = finetune(whole, self._descent(stage), self.recipe.epochs, look)
        else:
            with torch.no_grad():
                first = np.arange(min(len(self.trainer.items), self.recipe.batch_size))
                course = Course.of([float(whole.loss(first, 1.0))])
        raw = raw_logits_of(whole.network, whole.batches)
        encoder = self._exported(whole, raw, n_bits, stage)
        self.stages.append(self._code_report(encoder, whole.bottleneck, raw, stage, course, began))
        return encoder

    def _unrolled(self, near: Neighbourhoods | None, n_bits: int) -> Unrolled:
        """A new network, joined with the parts of the recipe."""
        trainer, recipe, wanted = self.trainer, self.recipe, self.recipe.neighbourhood
        bottleneck: Bottleneck = made(recipe.bottleneck, self.generator)
        n_raw, n_outputs = n_bits * bottleneck.raw_per_bit, trainer.target.n_outputs
        network = trainer.trunk.network(n_bits, n_raw, n_outputs, self.initial)
        return Unrolled(
            network.to(trainer.device),
            trainer.batches,
            made(recipe.corruption, trainer.items.shape, self.generator),
            bottleneck,
            trainer.target,
            self._terms(n_bits),
            Mixture(near, wanted.share if wanted else 0.0, wanted.draws if wanted else 0, self.rng),
        )

    def _terms(self, n_bits: int) -> list[Callable[[CodedBatch], Tensor]]:
        """The further losses of this round."""
        trainer, is_last = self.trainer, self.turn == self.recipe.rounds
        about = (trainer.items, n_bits, trainer.device)
        return [
            made(term, *(about if term.learns else ()))
            for term in self.recipe.terms
            if is_last or not term.last_round_only
        ]

    def _pretrain(self, whole: Unrolled) -> None:
        """Pre-train a network layer by layer; its hidden layers once for all rounds."""
        network, before = whole.network, self.trainer.pretrained
        first = 0
        if before is not None:
            network.copy_hidden(before)
            first = len(network.encoder) - 1
        if self.recipe.pretrain_epochs:
            pretrain = made(self.recipe.pretraining)
            for index in range(first, len(network.encoder)):
                began = time.perf_counter()
                stage = self._named(f"pre-train {index + 1}")
                layer = LayerOfStack(whole, index)
                course = pretrain(layer, self._descent(stage), self.recipe.pretrain_epochs)
                seconds = time.perf_counter() - began
                report = StageReport(stage, seconds, course.final, losses=course.losses)
                self.stages.append(report)
        if self.turn < self.recipe.rounds and before is None:
            self.trainer.pretrained = deepcopy(network)

    def linear(self, taught: Encoder) -> Encoder:
        """One linear map that predicts the bits of `taught`, and its report."""
        began, stage = time.perf_counter(), self._named("linear map")
        features = self.trainer.trunk.features
        bits = _expected_bits(taught, features)
        try:
            encoder = self.trainer.linear_fit.fit(bits, self._logit_scale)
        except ValueError as error:
            raise TrainingError(f"{stage}: {error}") from error
        codes = encoder.encode(features)
        report = replace(
            self.stages[-1],
            stage=stage,
            seconds=time.perf_counter() - began,
            loss=None,
            losses=None,
            looks=None,
            bit_balance=bit_balance(codes),
            n_distinct=codes.n_distinct(),
        )
        self.stages.append(report)
        self.trainer.on_progress(stage, 1, 1, float("nan"))
        return encoder

    def _exported(self, whole: Unrolled, raw: np.ndarray, n_bits: int, stage: str) -> Encoder:
        # the probability that noise of this size leaves a logit positive, as a logistic curve
        self._logit_scale = PROBIT_SLOPE / whole.bottleneck.final(raw).noise
        moments = LogitMoments.of(raw[:, :n_bits])
        try:
            return self.trainer.trunk.export(whole.network, moments, self._logit_scale)
        except ValueError as error:
            raise TrainingError(f"{stage}: {error}") from error

    def _code_report(
        self,
        encoder: Encoder,
        bottleneck: Bottleneck,
        raw: np.ndarray,
        stage: str,
        course: Course,
        began: float,
    ) -> StageReport:
        noise, gain = bottleneck.final(raw)
        logits = encoder.logits(self.trainer.trunk.features)
        codes = Codes.pack(logits > 0)
        return StageReport(
            stage,
            time.perf_counter() - began,
            course.final,
            noise=noise if gain is None else noise * gain,
            saturated=None if gain is None else saturated(logits, gain),
            bit_balance=bit_balance(codes),
            n_distinct=codes.n_distinct(),
            losses=course.losses,
            looks=course.looks,
        )

    def _look(self, whole: Unrolled, n_bits: int, stage: str, step: int, n_steps: int) -> Look:
        """What the codes of a sample are like now, which watchers are told."""
        rows, done = seen_rows(len(self.trainer.items)), step / n_steps
        with torch.no_grad():
            raw = whole.network.raw_logits(whole.batches.batch(rows)).cpu().numpy()
        noise, gain = whole.bottleneck.state(raw, done)
        moments = LogitMoments.of(raw[:, :n_bits])
        logits = ((raw[:, :n_bits] - moments.threshold) / moments.deviation).astype(np.float32)
        look = Look.of(
            done,
            noise if gain is None else noise * gain,
            None if gain is None else saturated(logits, gain),
            Codes.pack(logits > 0),
        )
        if self.trainer.watching:
            features = take_rows(self.trainer.items.features, rows)
            self.trainer.watching.codes(Seen(stage, step, look, logits, features))
        return look

    def _descent(self, stage: str) -> Descent:
        trainer = self.trainer
        return Descent(
            stage,
            len(trainer.items),
            self.recipe.batch_size,
            self.recipe.learning_rate,
            self.rng,
            trainer.device,
            trainer.bfloat16,
            trainer.on_progress,
            generator=self.generator,
            checkpoints=trainer.checkpoints,
        )

    def _named(self, stage: str) -> str:
        return stage if self.recipe.rounds == 1 else f"{stage}, round {self.turn}"


def _expected_bits(encoder: Encoder, features: Features) -> np.ndarray:
    """The bits that are expected under the noise of training, (n, n_bits) float32 from -1 to 1."""
    return 2.0 * encoder.probabilities(encoder.logits(features)) - 1.0
