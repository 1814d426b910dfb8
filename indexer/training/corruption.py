"""Corruption of the input, for what a code must not depend on; the target stays clean.

Masking or adding noise to the input makes a denoising autoencoder (Vincent et al., "Stacked
denoising autoencoders", JMLR 2010). Images can also be shifted by up to a fourteenth of the side,
mirrored, and changed in contrast and brightness: none of that changes what a photograph shows
(Krizhevsky, Sutskever and Hinton, NIPS 2012, section 4.1). Of ordered items a run of steps can be
dropped: rebuilding it takes what comes before and after (as spans of words in Joshi et al.,
"SpanBERT", TACL 2020, and of samples in Baevski et al., "wav2vec 2.0", NeurIPS 2020).
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hashret.models.patches import Shape
from indexer.training.networks.autoencoder import Bags, Batch, Sequences
from indexer.training.recipe import Corruption

_SHIFT = 1.0 / 14.0  # largest shift, as a share of the side: two pixels of 28
_CONTRAST = 0.2  # standard deviation of the factor by which pixels are multiplied
_BRIGHTNESS = 0.2  # standard deviation of the offset, in standard deviations of a pixel


class Corruptor:
    """Corrupts batches at random by the amounts in a recipe, drawing from `generator`."""

    def __init__(self, settings: Corruption, shape: Shape | None, generator: torch.Generator):
        self.settings = settings
        self.shape = shape
        self.generator = generator

    def features(self, batch: Batch) -> Batch:
        """The batch with all corruptions of the recipe, (n, n_features)."""
        settings = self.settings
        if settings.augmented and self.shape is not None and isinstance(batch, Tensor):
            batch = augment(batch, self.shape, self.generator)
        batch = self.masked(batch)
        if settings.span_share > 0.0 and isinstance(batch, Sequences):
            kept = outside_span(batch.lengths, settings.span_share, self.generator)
            batch = batch.keeping(kept.to(batch.values.device))
        if settings.gaussian > 0.0:
            batch = add_gaussian(batch, settings.gaussian, self.generator)
        return batch

    def masked(self, batch: Batch) -> Batch:
        """The batch with masking corruption only, which the inputs of every layer get."""
        if self.settings.masked_share > 0.0:
            return mask(batch, self.settings.masked_share, self.generator)
        return batch


def augment(batch: Tensor, shape: Shape, generator: torch.Generator) -> Tensor:
    """The images, rows of `shape` (height, width, channels), changed at random."""
    height, width, _ = shape
    n, device = len(batch), batch.device
    images = batch.view(n, *shape)  # (n, height, width, channels)

    def places(side: int) -> Tensor:
        reach = max(1, round(side * _SHIFT))
        moved = torch.randint(-reach, reach + 1, (n, 1), generator=generator, device=device)
        # pixels shifted in at an edge repeat it
        return (torch.arange(side, device=device) + moved).clamp(0, side - 1)  # (n, side)

    rows, columns = places(height), places(width)
    mirrored = torch.rand((n, 1), generator=generator, device=device) < 0.5
    columns = torch.where(mirrored, columns.flip(1), columns)  # (n, width)
    each = torch.arange(n, device=device)[:, None, None]
    moved = images[each, rows[:, :, None], columns[:, None, :]].flatten(1)  # (n, n_features)
    drawn = torch.randn((2, n, 1), generator=generator, device=device)
    return moved * (1.0 + _CONTRAST * drawn[0]) + _BRIGHTNESS * drawn[1]


def mask(batch: Batch, share: float, generator: torch.Generator) -> Batch:
    """The batch with each feature set to 0 with probability `share`, and the others scaled up.

    Of steps in order each is set to 0 as a whole, and the others stay as they are. Vincent et al.,
    Stacked denoising autoencoders (JMLR 2010), section 3.3.
    """
    if isinstance(batch, Sequences):
        drawn = torch.rand(len(batch.values), generator=generator, device=batch.values.device)
        return batch.keeping(drawn >= share)
    if isinstance(batch, Bags):
        return Bags(batch.indices, _masked(batch.values, share, generator), batch.offsets)
    return _masked(batch, share, generator)


def _masked(values: Tensor, share: float, generator: torch.Generator) -> Tensor:
    shown = torch.rand(values.shape, generator=generator, device=values.device) >= share
    return values * shown / (1.0 - share)


def add_gaussian(batch: Batch, deviation: float, generator: torch.Generator) -> Batch:
    """The batch plus Gaussian noise of the given standard deviation; words and tokens get none."""
    numbers = batch.values if isinstance(batch, Sequences) else batch
    if isinstance(numbers, Bags) or not numbers.is_floating_point():
        return batch
    noise = torch.randn(numbers.shape, generator=generator, device=numbers.device)
    noisy = numbers + deviation * noise
    return Sequences(noisy, batch.lengths) if isinstance(batch, Sequences) else noisy


def outside_span(lengths: np.ndarray, share: float, generator: torch.Generator) -> Tensor:
    """Which steps of ordered items are kept when each loses one run of steps, (sum(lengths),) bool.

    `lengths` (n,) int64 are the items' numbers of steps; the answer has the steps of one item after
    the other. A run has `share` of the item's steps on average, rounded up or down at random, never
    all of them, and begins anywhere.
    """
    drawn = torch.rand((2, len(lengths)), generator=generator, device=generator.device)
    rounding, place = drawn.double().cpu().numpy()
    size = np.minimum(np.floor(share * lengths + rounding), np.maximum(lengths - 1, 0))
    first = np.floor(place * (lengths - size + 1))
    step = np.arange(lengths.sum()) - np.repeat(lengths.cumsum() - lengths, lengths)
    is_kept = (step < np.repeat(first, lengths)) | (step >= np.repeat(first + size, lengths))
    return torch.from_numpy(is_kept)
