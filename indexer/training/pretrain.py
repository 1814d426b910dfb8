"""Greedy layer-wise pre-training: one shallow denoising autoencoder after the other.

Each layer learns to rebuild the clean output of the layer below from a corrupted one, with the
layers below fixed (Hinton and Salakhutdinov, Science 2006; Bengio et al., NIPS 2006; with
corruption in place of contrastive divergence, Vincent et al., JMLR 2010). The pairs of encoder
and decoder layers then stand, unrolled, as the start of fine-tuning.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from indexer.training.batches import TrainingItems
from indexer.training.corruption import corrupted_features, masked
from indexer.training.networks.autoencoder import Autoencoder, Batch
from indexer.training.networks.bottleneck import noisy_code
from indexer.training.objectives import Objective, squared_error
from indexer.training.optimise import Descent
from indexer.training.presets import Recipe


@dataclass(frozen=True, slots=True)
class LayerOfStack:
    """One layer with its decoder, on top of the fixed layers below it."""

    network: Autoencoder
    index: int
    items: TrainingItems
    objective: Objective
    recipe: Recipe
    generator: torch.Generator

    def loss(self, rows: np.ndarray, _: float) -> Tensor:
        """Of rebuilding the layer's clean input from a corrupted one."""
        batch = self.items.batch(rows)
        if self.index == 0:
            return self.objective(self._rebuilt(batch), rows, None)
        with torch.no_grad():
            clean = self.network.hidden(self.index, batch).float()
        # latent coordinates are nothing that a layer below learned
        wanted = clean[:, : clean.shape[1] - self.n_fixed]
        # in units of the input's variance, so that layers compare
        variance = wanted.var(dim=0, correction=0).mean().clamp(min=1e-9)
        return squared_error(functional.relu(self._rebuilt(clean)), wanted) / variance

    @property
    def n_fixed(self) -> int:
        """How many columns of the layer's input are latent coordinates, the last ones."""
        return self.network.n_latent if self.index == len(self.network.encoder) - 1 else 0

    def _rebuilt(self, clean: Batch) -> Tensor:
        return self.network.decoder[-1 - self.index].forward(self._code(clean))

    def _code(self, clean: Batch) -> Tensor:
        if self.index == 0:
            noisy = corrupted_features(self.items, clean, self)
        else:
            noisy = masked(clean, self.recipe, self.generator)
        active = self.network.encoder[self.index].forward(noisy)
        if self.index < len(self.network.encoder) - 1:
            return self.network.activated(active)
        noise, gain = self.recipe.noise[0], self.recipe.gain[0]
        return 2.0 * noisy_code(active, noise, gain, self.generator) - 1.0


def pretrain_layer(layer: LayerOfStack, descent: Descent, epochs: int) -> float:
    """Train one layer of the stack and its decoder; the final loss.

    The decoder's bias starts at the mean of what it rebuilds, so that no unit of it is born
    dead below its ReLU.
    """
    network, index = layer.network, layer.index
    decoder = network.decoder[-1 - index]
    if index > 0:
        sample = np.arange(min(len(layer.items), 1024))
        with torch.no_grad():
            mean = network.hidden(index, layer.items.batch(sample)).mean(dim=0)
            decoder.start_at(mean[: len(mean) - layer.n_fixed])
    parameters = [*network.encoder[index].parameters(), *decoder.parameters()]
    return descent.run(parameters, epochs, layer.loss)
