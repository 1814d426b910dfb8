"""Fine-tuning: the unrolled autoencoder, whole, with growing noise before the code's sigmoid.

Gaussian noise on a sigmoid's input destroys what lies in its middle range; as it grows, a unit
keeps information only by moving to 0 or 1, and thresholding then loses little (Salakhutdinov and
Hinton, Semantic hashing, 2009; Goodfellow, Bengio and Courville, Deep Learning, 2016, 14.9).
The logits are batch-normalised first, so the magnitude of the noise means the same for every
bit, and no bit can escape it by growing its weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from hashret.models.dense import Autoencoder, Bags, Batch, normalise
from indexer.augment import augment
from indexer.batches import TrainingItems, add_gaussian, mask
from indexer.neighbourhoods import Neighbourhoods
from indexer.objectives import Objective, balance, contrast, independence
from indexer.optimise import Descent
from indexer.presets import CONTRAST_BITS, Recipe


def corrupted_features(items: TrainingItems, batch: Batch, whole: Corrupting) -> Batch:
    """A batch of features with all of the recipe's corruption."""
    recipe, generator = whole.recipe, whole.generator
    if recipe.augmented and items.shape is not None and not isinstance(batch, Bags):
        batch = augment(batch, items.shape, generator)
    batch = masked(batch, recipe, generator)
    if recipe.gaussian > 0.0 and not isinstance(batch, Bags):
        batch = add_gaussian(batch, recipe.gaussian, generator)
    return batch


def masked(batch: Batch, recipe: Recipe, generator: torch.Generator) -> Batch:
    """The batch with some of it set to zero, as the inputs of every layer are."""
    if recipe.masked_share > 0.0:
        return mask(batch, recipe.masked_share, generator)
    return batch


def noisy_code(raw: Tensor, noise: float, gain: float, generator: torch.Generator) -> Tensor:
    """The code in (0, 1): sigmoid(gain x (normalised logit + noise x a standard normal))."""
    logits = normalise(raw.float())
    drawn = torch.randn(logits.shape, generator=generator, device=logits.device)
    return torch.sigmoid(gain * (logits + noise * drawn))


class Corrupting(Protocol):
    """What has a recipe of corruption and a source of randomness for it."""

    @property
    def recipe(self) -> Recipe:
        """The recipe."""
        ...

    @property
    def generator(self) -> torch.Generator:
        """The source."""
        ...


def ramp(ends: tuple[float, float], done: float) -> float:
    """The value on the straight line between two ends at the share `done` of the way."""
    return ends[0] + (ends[1] - ends[0]) * done


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
