"""One round of training: neighbourhoods, and a network pre-trained and fine-tuned on them."""

from __future__ import annotations

import time
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch

from hashret.codes import Codes
from hashret.errors import TrainingError
from hashret.models.base import Encoder
from hashret.models.conv import conv_autoencoder, export_conv
from hashret.models.dense import Autoencoder, LogitMoments, dense_autoencoder, export
from indexer.batches import TrainingItems
from indexer.checkpoints import Checkpoints
from indexer.finetune import Unrolled, finetune, raw_logits_of
from indexer.neighbourhoods import Neighbourhoods, find_neighbourhoods
from indexer.objectives import Objective, objective_for
from indexer.optimise import Descent, OnProgress
from indexer.presets import Recipe
from indexer.pretrain import LayerOfStack, pretrain_layer
from indexer.reports import StageReport, bit_balance
from indexer.similarities import Points

#: A layer is no wider than the features, but few features still need some units to be told apart.
_LEAST_UNITS = 32
#: The logistic curve of this slope is nearest to the normal distribution function.
_PROBIT_SLOPE = 1.702


@dataclass(slots=True)
class Shared:
    """What all rounds of one training share."""

    items: TrainingItems
    recipe: Recipe
    seed: int
    device: torch.device
    bfloat16: bool
    on_progress: OnProgress | None
    checkpoints: Checkpoints
    latent: np.ndarray | None = None
    """The directions of latent coordinates that enter the layer of the code, if any do."""
    pretrained: Autoencoder | None = None
    """The network whose hidden layers later rounds start from."""


class Round:
    """One round: neighbourhoods, and a fresh network trained on them.

    Each round draws from its own sources of randomness, so that the last one learns the same
    whether or not codes of other lengths were learned before.
    """

    def __init__(self, shared: Shared, turn: int):
        self.shared = shared
        self.recipe = shared.recipe
        if turn < self.recipe.rounds:
            # codes that only find neighbours must tell items apart, not draw them together
            self.recipe = replace(self.recipe, contrast_weight=0.0)
        self.items = shared.items
        self.turn = turn
        self.stages: list[StageReport] = []
        self.rng = np.random.default_rng([shared.seed, turn])
        drawn = int(self.rng.integers(2**62))
        self.initial = torch.Generator().manual_seed(drawn)
        self.generator = torch.Generator(shared.device).manual_seed(drawn + 1)

    def neighbourhoods(self, points: Points) -> Neighbourhoods:
        """The nearest others of every item."""
        began = time.perf_counter()
        n, stage = len(self.items), self._named("neighbours")

        def on_rows(done: int) -> None:
            if self.shared.on_progress:
                self.shared.on_progress(stage, done, n, float("nan"))

        def find() -> np.ndarray:
            width = self.recipe.neighbours
            return find_neighbourhoods(points, width, self.rng, on_rows).members

        members = self.shared.checkpoints.array(stage, self.rng, find)
        near = Neighbourhoods(members, self.recipe.neighbours)
        self.stages.append(StageReport(stage, time.perf_counter() - began))
        return near

    def learn(self, near: Neighbourhoods | None, n_bits: int) -> Encoder:
        """Pre-train, fine-tune and export a network."""
        objective = objective_for(self.recipe, self.items, self.rng)
        network = self._pretrained(objective, n_bits)
        began = time.perf_counter()
        whole = Unrolled(
            network, self.items, objective, near, self.recipe, self.generator, self.rng
        )
        stage = self._named("fine-tune")
        loss = finetune(whole, self._descent(stage), self.recipe.epochs)
        encoder = self._exported(network, stage)
        self.stages.append(self._code_report(encoder, stage, loss, began))
        return encoder

    def _pretrained(self, objective: Objective, n_bits: int) -> Autoencoder:
        """A network pre-trained layer by layer; hidden layers once for all rounds."""
        network = self._initial(n_bits).to(self.shared.device)
        first = 0
        if self.shared.pretrained is not None:
            network.copy_hidden(self.shared.pretrained)
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
        if self.turn < self.recipe.rounds and self.shared.pretrained is None:
            self.shared.pretrained = deepcopy(network)
        return network

    def _initial(self, n_bits: int) -> Autoencoder:
        recipe, shape = self.recipe, self.items.shape
        told = self.items.targets
        n_outputs = None if told is None else told.shape[1]
        if recipe.filters and shape is not None:
            return conv_autoencoder(shape, recipe.filters, n_bits, self.initial, n_outputs)
        n_features, latent = self.items.n_features, self.shared.latent
        hidden = tuple(min(width, max(n_features, _LEAST_UNITS)) for width in recipe.hidden)
        return dense_autoencoder(
            n_features,
            hidden,
            n_bits,
            self.initial,
            n_outputs,
            normalised=recipe.normalised,
            latent=None if latent is None else torch.from_numpy(latent),
        )

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
            self.shared.device,
            self.shared.bfloat16,
            self.shared.on_progress,
            generator=self.generator,
            checkpoints=self.shared.checkpoints,
        )

    def _named(self, stage: str) -> str:
        return stage if self.recipe.rounds == 1 else f"{stage}, round {self.turn}"
