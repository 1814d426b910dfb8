"""Fine-tuning: the unrolled autoencoder, whole, with growing noise before the code's sigmoid.

Gaussian noise on a sigmoid's input destroys what lies in its middle range; as it grows, a unit
keeps information only by moving to 0 or 1, and thresholding then loses little (Salakhutdinov and
Hinton, Semantic hashing, 2009; Goodfellow, Bengio and Courville, Deep Learning, 2016, 14.9).
The logits are batch-normalised first, so the magnitude of the noise means the same for every
bit, and no bit can escape it by growing its weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from indexer.training.batches import TrainingItems
from indexer.training.corruption import corrupted_features
from indexer.training.neighbours.neighbourhoods import Neighbourhoods
from indexer.training.networks.autoencoder import Autoencoder
from indexer.training.networks.bottleneck import noisy_code, ramp
from indexer.training.objectives import Objective, balance, contrast, independence
from indexer.training.optimise import Descent
from indexer.training.presets import CONTRAST_BITS, Recipe


@dataclass(frozen=True, slots=True)
class Unrolled:
    """The whole autoencoder on its way to rebuilding items and their neighbourhoods."""

    network: Autoencoder
    items: TrainingItems
    objective: Objective
    near: Neighbourhoods | None
    recipe: Recipe
    generator: torch.Generator
    rng: np.random.Generator

    def loss(self, rows: np.ndarray, done: float) -> Tensor:
        """Of a batch when the share `done` of fine-tuning is over."""
        recipe = self.recipe
        code = self._code(rows, done)
        loss = self.objective(self.network.decode(code), rows, self.near)
        # few bits can't tell many apart: to be asked for it costs them what they tell of the item
        weight = recipe.contrast_weight * min(1.0, code.shape[1] / CONTRAST_BITS) ** 2
        if weight:
            partners = self._code(self._partners(rows), done)
            loss = loss + weight * contrast(code, partners, recipe.contrast_temperature)
        if recipe.independence_weight:
            loss = loss + recipe.independence_weight * independence(code)
        if recipe.balance_weight:
            loss = loss + recipe.balance_weight * balance(code)
        return loss

    def _partners(self, rows: np.ndarray) -> np.ndarray:
        """Who is to be told from the batch for each row: a neighbour, or the item itself."""
        if self.near is None:
            return rows
        neighbours = self.near.draw(rows, 1, self.rng)[:, 0]
        if not self.recipe.agreement_share:
            return neighbours
        return np.where(self.rng.random(len(rows)) < self.recipe.agreement_share, rows, neighbours)

    def _code(self, rows: np.ndarray, done: float) -> Tensor:
        batch = corrupted_features(self.items, self.items.batch(rows), self)
        noise, gain = ramp(self.recipe.noise, done), ramp(self.recipe.gain, done)
        return noisy_code(self.network.raw_logits(batch), noise, gain, self.generator)


def finetune(whole: Unrolled, descent: Descent, epochs: int) -> float:
    """Train the whole network; the final loss."""
    return descent.run(whole.network.parameters(), epochs, whole.loss)


def raw_logits_of(network: Autoencoder, items: TrainingItems) -> np.ndarray:
    """The raw logits of all items, clean and without noise, (n, n_bits) float32."""
    with torch.no_grad():
        return np.concatenate([network.raw_logits(tile).cpu().numpy() for tile in items.tiles()])
