"""The rotation that codes of vectors start from: principal directions, then ITQ.

Gong and Lazebnik, "Iterative quantization: a Procrustean approach to learning binary codes", CVPR
2011, section 2: among all rotations of the leading principal directions, the one that brings the
centred items nearest to the corners of a cube loses least when only signs are kept.
"""

from __future__ import annotations

import numpy as np

_ITERATIONS = 50  # as in the paper, section 2.2


def principal_directions(items: np.ndarray, count: int) -> np.ndarray:
    """The `count` <= n_features orthonormal directions of greatest variance, as columns.

    `items` is (n, n_features), centred; the result (n_features, count) float64. With fewer items
    than features the last directions may be any that are orthogonal to the items.
    """
    wide = np.asarray(items, np.float64)
    return np.ascontiguousarray(np.linalg.eigh(wide.T @ wide)[1][:, : -count - 1 : -1])


def itq_rotation(reduced: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The (n_bits, n_bits) rotation for (n, n_bits) centred items."""
    n_bits = reduced.shape[1]
    # float32 products are twice as fast; only the rotation itself must be exact
    reduced = np.asarray(reduced, np.float32)
    rotation = np.linalg.qr(rng.standard_normal((n_bits, n_bits)))[0]
    for _ in range(_ITERATIONS):
        corners = np.where(reduced @ rotation.astype(np.float32) > 0, np.float32(1), np.float32(-1))
        left, _, right = np.linalg.svd((reduced.T @ corners).astype(np.float64))
        rotation = left @ right  # orthogonal Procrustes
    return rotation


def itq_projection(items: np.ndarray, n_bits: int, rng: np.random.Generator) -> np.ndarray:
    """The (n_features, n_bits) float64 projection whose signs are the ITQ codes of the items.

    With more bits than features, the items are padded with zeros to n_bits dimensions and rotated
    there (an overcomplete frame), so that every bit has a direction of its own.
    """
    count = min(n_bits, items.shape[1])
    directions = principal_directions(items, count)
    reduced = np.zeros((len(items), n_bits))
    reduced[:, :count] = items @ directions
    return directions @ itq_rotation(reduced, rng)[:count]
