"""Histograms of oriented gradients: the shapes in images, whatever their light.

Gradients are pooled in cells of 4 x 4 pixels by orientation, normalised by the energy around, and
square-rooted (Dalal and Triggs, "Histograms of oriented gradients for human detection", CVPR 2005,
section 6). Neighbours by shape are far more often of one kind than neighbours by pixels. Used to
find neighbours in training only: a query needs its pixels and nothing else.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

_ORIENTATIONS = 8  # number of bins of orientations over half a turn
_CELL = 4  # pixels per side of a cell: finer ones gained nothing
_SHARPNESS = 4.0  # exponent of |cos| of the angle to a bin's direction, which weighs a gradient
_TILE_IMAGES = 1024  # number of images at a time, which bounds memory


def oriented_gradients(rows: np.ndarray, shape: tuple[int, int, int]) -> np.ndarray:
    """(n, n_cells x 8) float32 from (n, height x width x channels) rows of pixels.

    The strongest channel of a pixel counts. Sides that are no multiple of 4 lose their last pixels.
    """
    parts = [
        _of_tile(torch.from_numpy(np.ascontiguousarray(rows[start : start + _TILE_IMAGES])), shape)
        for start in range(0, len(rows), _TILE_IMAGES)
    ]
    return torch.cat(parts).numpy()


def _of_tile(rows: Tensor, shape: tuple[int, int, int]) -> Tensor:
    images = rows.float().view(-1, *shape).permute(0, 3, 1, 2)
    # pixels beyond the edge repeat it
    wide = functional.pad(images, (1, 1, 1, 1), mode="replicate")
    across = wide[..., 1:-1, 2:] - wide[..., 1:-1, :-2]
    down = wide[..., 2:, 1:-1] - wide[..., :-2, 1:-1]
    strength, channel = torch.hypot(across, down).max(dim=1, keepdim=True)
    across, down = across.gather(1, channel), down.gather(1, channel)
    angles = torch.arange(_ORIENTATIONS) * (math.pi / _ORIENTATIONS)
    turned = [across * math.cos(a) + down * math.sin(a) for a in angles.tolist()]
    share = torch.cat(turned, dim=1).abs() / strength.clamp(min=1e-6)
    cell = (min(_CELL, shape[0]), min(_CELL, shape[1]))
    cells = functional.avg_pool2d(share**_SHARPNESS * strength, cell)
    energy = cells.square().sum(dim=1, keepdim=True)
    around = functional.avg_pool2d(energy, 3, 1, 1, count_include_pad=False)
    typical = energy.mean(dim=(1, 2, 3), keepdim=True)
    return (cells / (around + 0.1 * typical + 1e-6).sqrt()).sqrt().flatten(1)
