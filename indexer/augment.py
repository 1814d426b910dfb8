"""Augmentation of images as corruption: the code must not depend on what it changes.

Shifts by up to a fourteenth of the side, mirroring, contrast and brightness: none of them changes
what a photograph shows. The target stays the clean image, so the code learns to see past them
(Vincent et al., "Stacked denoising autoencoders", JMLR 2010, section 7; the choice of changes,
Krizhevsky, Sutskever and Hinton, NIPS 2012, section 4.1).
"""

from __future__ import annotations

import torch
from torch import Tensor

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
