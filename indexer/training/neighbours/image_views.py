"""Views of images: their shapes, and the patches that they are made of, as vectors to compare.

Each view is centred and kept in its leading principal directions. Half whitened and scaled to unit
length, they say which images are near at first: the leading directions of images are mostly light
and bulk; half whitening lets the others speak, and the errors of the views differ, so the sum of
their cosines is better than each. Where near images differ much, a third view is added, a second
layer of patches (`second_layer`), and what they differ by counts for little
(`relevant_components`).
"""

from __future__ import annotations

import numpy as np

from hashret.models.patches import PatchLayer, mean_and_deviation, versions
from indexer.training.neighbours.hog import oriented_gradients
from indexer.training.neighbours.randomized_svd import principal_coordinates
from indexer.training.neighbours.relevant_components import (
    neighbours_differ_much,
    relevant_coordinates,
)
from indexer.training.neighbours.second_layer import second_coordinates

_KEPT = 100  # principal directions of each view among which those of the result are sought
_DIRECTIONS = 60  # of each view, to find neighbours by (docs/adr/0017); and of the result
_WHITENING = 0.5  # the power of its deviation that each direction is divided by: 0 none, 1 all
_FEWEST = 100  # images from which on neighbours are enough to tell what they differ by
_GRADIENTS = 2.0  # the weight of gradients beside pixels, both of a mean squared length of 1


def image_views(
    rows: np.ndarray, layer: PatchLayer, responses: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """(n, n_directions) float32 of n images, rows of the layer's shape; compared by cosines.

    Gradients (`hog`) with the pixels are one view, the `responses` of the layer to the images'
    patches, a row for each image, another. Views are the same for what the layer is invariant to.
    Fewer than 100 images, and those whose neighbours are much alike, have both views side by side,
    each of unit length. Others have what was learned from these and the responses of a second layer
    over this one, of unit length.
    """
    shape, invariant = layer.shape, layer.invariant
    same = [part.reshape(rows.shape) for part in versions(rows.reshape(-1, *shape), invariant)]
    both = [mean_and_deviation(of) for of in ([oriented_gradients(p, shape) for p in same], same)]
    gradients, pixels = (_spread(np.hstack(parts) if invariant else parts[0]) for parts in both)
    shapes = np.hstack([_GRADIENTS * gradients, pixels])
    views = [
        principal_coordinates(_spread(part), min(_KEPT, *part.shape), rng)
        for part in (shapes, responses)
    ]
    alike = _side_by_side(views)
    if len(rows) < _FEWEST or not neighbours_differ_much(np.hstack(views), alike, rng):
        return alike
    second = second_coordinates(rows, layer, _KEPT, rng)
    if second is not None:
        views.append(_spread(second))
    return relevant_coordinates(np.hstack(views), _side_by_side(views), _DIRECTIONS, rng)


def _side_by_side(views: list[np.ndarray]) -> np.ndarray:
    """The leading directions of each view, half whitened and of unit length."""
    return np.hstack([_half_whitened(view[:, :_DIRECTIONS]) for view in views])


def _half_whitened(coordinates: np.ndarray) -> np.ndarray:
    """Coordinates in principal directions, with half of the deviation of each, of unit length."""
    found = coordinates / np.maximum(coordinates.std(axis=0), 1e-6) ** _WHITENING
    lengths = np.linalg.norm(found, axis=1, keepdims=True)
    return np.asarray(found / np.maximum(lengths, 1e-9), np.float32)


def _spread(rows: np.ndarray) -> np.ndarray:
    """Rows centred, and scaled to a mean squared length of 1."""
    centred = rows - rows.mean(axis=0, dtype=np.float64).astype(np.float32)
    mean_square = float(np.einsum("ij,ij->", centred, centred, dtype=np.float64)) / len(rows)
    return np.asarray(centred / np.float32(max(mean_square, 1e-12) ** 0.5), np.float32)
