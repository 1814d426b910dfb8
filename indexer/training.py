"""The conductor: features in, a trained encoder and a report of its training out.

Neighbourhoods are found without labels, the layers pre-trained one by one, the whole fine-tuned
with growing noise; then, round after round, neighbourhoods are found again by the features and
the codes just learned together, and a fresh network is fine-tuned on them.
"""

from __future__ import annotations

import time
from copy import deepcopy

import numpy as np
import torch

from hashret.codes import Codes
from hashret.errors import TrainingError
from hashret.models.apply import DenseEncoder
from hashret.models.dense import DenseAutoencoder, LogitMoments, export
from hashret.sparse import Features, SparseRows
from indexer.batches import TrainingItems
from indexer.finetune import Unrolled, finetune, raw_logits_of
from indexer.neighbourhoods import (
    CosineSimilarity,
    MixedSimilarity,
    Neighbourhoods,
    Similarity,
    find_neighbourhoods,
    similarity_of,
)
from indexer.objectives import objective_for
from indexer.optimise import Descent, OnProgress, choose_device, has_bfloat16_units
from indexer.presets import Recipe, recipe_for
from indexer.pretrain import LayerOfStack, pretrain_layer
from indexer.reports import (
    StageReport,
    TrainingOptions,
    TrainingReport,
    bit_balance,
    collapse_warnings,
    n_distinct_rows,
)

__all__ = ["OnProgress", "StageReport", "TrainingOptions", "TrainingReport", "train"]

#: Rounds before the last learn codes of at least this many bits: they only find neighbours.
_ROUND_BITS = 64
#: The logistic curve of this slope is nearest to the normal distribution function.
_PROBIT_SLOPE = 1.702


def train(
    features: Features,
    kind: str,
    options: TrainingOptions,
    *,
    on_progress: OnProgress | None = None,
) -> tuple[DenseEncoder, TrainingReport]:
    """Learn binary codes for items of a kind ("text", "image" or "vector") from their features.

    Features are sparse and not negative for text, dense for the others. The same features,
    options, CPU model and number of threads give the same encoder, bit for bit. `on_progress`
    is called with (stage, steps done, steps in all, loss); the loss is NaN for stages that have
    none. Raises TrainingError for fewer than two items and when a loss is not finite,
    UnknownKindError for an unknown preset or kind, ValueError for features that are not finite.
    """
    recipe = recipe_for(options.preset, kind)
    if len(features) < 2:
        raise TrainingError(
            f"items: expected at least 2 to learn from, got {len(features)}; add more items"
        )
    values = features.values if isinstance(features, SparseRows) else features
    if not np.isfinite(values).all():
        raise ValueError("features: expected finite numbers, got NaN or infinity; drop those items")
    fitted = recipe.fitted(len(features), options.epochs, options.neighbours, options.rounds)
    return _Course(features, options, fitted, on_progress).run()


class _Course:
    """One training from beginning to end: its data, its sources of randomness, its report."""

    def __init__(
        self,
        features: Features,
        options: TrainingOptions,
        recipe: Recipe,
        on_progress: OnProgress | None,
    ):
        device = choose_device(options.device)
        self.options = options
        self.recipe = recipe
        self.on_progress = on_progress
        self.rng = np.random.default_rng(options.seed)
        self.initial = torch.Generator().manual_seed(options.seed)
        self.generator = torch.Generator(device).manual_seed(options.seed)
        self.items = TrainingItems(features, _input_scale(features, recipe), device)
        self.report = TrainingReport(
            options, len(features), device.type, has_bfloat16_units(device)
        )
        self.objective = objective_for(
            recipe.objective, self.items, recipe.neighbour_weight, recipe.neighbour_draws, self.rng
        )
        self.pretrained: DenseAutoencoder | None = None

    def run(self) -> tuple[DenseEncoder, TrainingReport]:
        """All rounds; each but the last only serves to find better neighbourhoods."""
        features = self.items.features
        by_features = similarity_of(features, self.rng) if self.recipe.neighbour_weight else None
        similarity: Similarity | None = by_features
        for turn in range(1, self.recipe.rounds):
            n_bits = max(_ROUND_BITS, self.options.n_bits)
            encoder = self._round(self._neighbourhoods(similarity, turn), n_bits, turn)
            if by_features is not None:
                soft = 2.0 * encoder.probabilities(encoder.logits(features)) - 1.0
                similarity = MixedSimilarity(by_features, CosineSimilarity(soft))
        last = self.recipe.rounds
        encoder = self._round(self._neighbourhoods(similarity, last), self.options.n_bits, last)
        self.report.warnings += collapse_warnings(
            encoder.encode(features), n_distinct_rows(features)
        )
        return encoder, self.report

    def _neighbourhoods(self, similarity: Similarity | None, turn: int) -> Neighbourhoods | None:
        if similarity is None:
            return None
        began = time.perf_counter()
        n, stage = len(self.items), self._named("neighbours", turn)

        def on_rows(done: int) -> None:
            if self.on_progress:
                self.on_progress(stage, done, n, float("nan"))

        width = self.recipe.neighbours
        near = find_neighbourhoods(similarity, n, width, self.rng, on_rows)
        self.report.stages.append(StageReport(stage, time.perf_counter() - began))
        return near

    def _round(self, near: Neighbourhoods | None, n_bits: int, turn: int) -> DenseEncoder:
        """Pre-train, fine-tune and export a fresh network."""
        network = self._pretrained(n_bits, turn)
        began = time.perf_counter()
        whole = Unrolled(network, self.items, self.objective, near, self.recipe, self.generator)
        stage = self._named("fine-tune", turn)
        loss = finetune(whole, self._descent(stage), self.recipe.epochs)
        encoder = self._exported(network, stage)
        self.report.stages.append(self._code_report(encoder, stage, loss, began))
        return encoder

    def _pretrained(self, n_bits: int, turn: int) -> DenseAutoencoder:
        """A network pre-trained layer by layer; hidden layers once for all rounds."""
        n_features = self.items.n_features
        hidden = tuple(min(width, max(n_features, 2)) for width in self.recipe.hidden)
        network = DenseAutoencoder(n_features, hidden, n_bits, self.initial).to(self.items.device)
        first = 0
        if self.pretrained is not None:
            network.copy_hidden(self.pretrained)
            first = len(hidden)
        for index in range(first, len(network.encoder)):
            began = time.perf_counter()
            stage = self._named(f"pre-train {index + 1}", turn)
            layer = LayerOfStack(
                network, index, self.items, self.objective, self.recipe, self.generator
            )
            loss = pretrain_layer(layer, self._descent(stage), self.recipe.pretrain_epochs)
            self.report.stages.append(StageReport(stage, time.perf_counter() - began, loss))
        if turn < self.recipe.rounds:
            self.pretrained = deepcopy(network)
        return network

    def _exported(self, network: DenseAutoencoder, stage: str) -> DenseEncoder:
        moments = LogitMoments.of(raw_logits_of(network, self.items))
        # the probability that noise of this size leaves a logit positive, as a logistic curve
        logit_scale = _PROBIT_SLOPE / self.recipe.noise[1]
        try:
            return export(network, moments, self.items.scale, logit_scale)
        except ValueError as error:
            raise TrainingError(f"{stage}: {error}") from error

    def _code_report(
        self, encoder: DenseEncoder, stage: str, loss: float, began: float
    ) -> StageReport:
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
            self.items.device,
            self.report.bfloat16,
            self.on_progress,
        )

    def _named(self, stage: str, turn: int) -> str:
        return stage if self.recipe.rounds == 1 else f"{stage}, round {turn}"


def _input_scale(features: Features, recipe: Recipe) -> float:
    if recipe.input_scale is not None:
        return recipe.input_scale
    values = features.values if isinstance(features, SparseRows) else features
    mean_square = float(np.square(values, dtype=np.float64).mean())
    return float(1.0 / np.sqrt(max(mean_square, 1e-12)))
