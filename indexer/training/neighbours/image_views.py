"""Views of images: their shapes, and the patches that they are made of, as vectors to compare.

Each view is centred, kept in its leading principal directions, half whitened and scaled to unit
length. The leading directions of images are mostly light and bulk; half whitening lets the others
speak. The errors of the two views differ, so the sum of their cosines is better than each.
"""

from __future__ import annotations

import numpy as np

from hashret.models.patches import Shape, mean_and_deviation, versions
from indexer.training.neighbours.hog import oriented_gradients
from indexer.training.neighbours.randomized_svd import principal_coordinates

_DIRECTIONS = 60  # principal directions of each view (docs/adr/0017)
_WHITENING = 0.5  # the power of its deviation that each direction is divided by: 0 none, 1 all
_GRADIENTS = 2.0  # the weight of gradients beside pixels, both of a mean squared length of 1


def image_views(
    rows: np.ndarray,
    shape: Shape,
    responses: np.ndarray,
    rng: np.random.Generator,
    invariant: tuple[str, ...] = (),
) -> np.ndarray:
    """(n, n_directions) float32 of n images of `shape`, the unit-length views side by side.

    Gradients (`hog`) with the pixels are one view, the `responses` to the images' patches
    (`hashret.models.patches`), a row for each image, the other. Views are the same for what
    `invariant` names, as the responses are already.
    """
    alike = [part.reshape(rows.shape) for part in versions(rows.reshape(-1, *shape), invariant)]
    both = [mean_and_deviation(of) for of in ([oriented_gradients(p, shape) for p in alike], alike)]
    gradients, pixels = (_spread(np.hstack(parts) if invariant else parts[0]) for parts in both)
    shapes = np.hstack([_GRADIENTS * gradients, pixels])
    return np.hstack([_view(part, rng) for part in (shapes, responses)])


def _view(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    found = principal_coordinates(centred, min(_DIRECTIONS, *rows.shape), rng)
    found /= np.maximum(found.std(axis=0), 1e-6) ** _WHITENING
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-9), np.float32)


def _spread(rows: np.ndarray) -> np.ndarray:
    """Rows centred, and scaled to a mean squared length of 1."""
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    mean_square = float(np.einsum("ij,ij->", centred, centred, dtype=np.float64)) / len(rows)
    return np.asarray(centred / np.float32(max(mean_square, 1e-12) ** 0.5), np.float32)
