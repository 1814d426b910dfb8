"""Augmentation of images as corruption: the code must not depend on what it changes.

Shifts by up to a fourteenth of the side, mirroring, contrast and brightness: none of them changes
what a photograph shows. The target stays the clean image, so the code learns to see past them
(Vincent et al., "Stacked denoising autoencoders", JMLR 2010, section 7; the choice of changes,
Krizhevsky, Sutskever and Hinton, NIPS 2012, section 4.1).
"""

from __future__ import annotations

from typing import Protocol

import torch
from torch import Tensor

from indexer.training.batches import TrainingItems, _masked
from indexer.training.networks.autoencoder import Bags, Batch
from indexer.training.presets import Recipe

_SHIFT = 1.0 / 14.0  # of the side
_CONTRAST = 0.2
_BRIGHTNESS = 0.2  # standard deviations of a pixel


def augment(batch: Tensor, shape: tuple[int, int, int], generator: torch.Generator) -> Tensor:
    """Each row, an image of `shape` (height, width, channels), changed at random."""
    height, width, _ = shape
    n, device = len(batch), batch.device
    images = batch.view(n, *shape)

    def places(side: int) -> Tensor:
        reach = max(1, round(side * _SHIFT))
        moved = torch.randint(-reach, reach + 1, (n, 1), generator=generator, device=device)
        # what comes in at the edge repeats it
        return (torch.arange(side, device=device) + moved).clamp(0, side - 1)

    rows, columns = places(height), places(width)
    mirrored = torch.rand((n, 1), generator=generator, device=device) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)
    each = torch.arange(n, device=device)[:, None, None]
    moved = images[each, rows[:, :, None], columns[:, None, :]].flatten(1)
    drawn = torch.randn((2, n, 1), generator=generator, device=device)
    return moved * (1.0 + _CONTRAST * drawn[0]) + _BRIGHTNESS * drawn[1]


def mask(batch: Batch, share: float, generator: torch.Generator) -> Batch:
    """Masking corruption: each feature is zero with probability `share`, the others scaled up.

    Vincent et al., Stacked denoising autoencoders (JMLR 2010), section 3.3.
    """
    if isinstance(batch, Bags):
        return Bags(batch.indices, _masked(batch.values, share, generator), batch.offsets)
    return _masked(batch, share, generator)


def add_gaussian(batch: Tensor, deviation: float, generator: torch.Generator) -> Tensor:
    """Gaussian corruption of the given standard deviation, for dense features."""
    noise = torch.randn(batch.shape, generator=generator, device=batch.device)
    return batch + deviation * noise


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
