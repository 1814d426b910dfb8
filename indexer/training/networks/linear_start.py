"""How a decoder begins: as the best linear one, by units that pass bits on.

Two layers with a ReLU between them hold any linear map of the bits: a unit for each bit whose bias
keeps it open. Descent then only has to learn what is not linear.
"""

from __future__ import annotations

import numpy as np

from indexer.training.neighbours.randomized_svd import principal_directions

#: Bias of a unit that passes a bit of -1 or 1 on: it stays open with some room.
OPEN = 1.5
#: What is added to the variances of bits, as a share: so a bit that repeats others is shrunk.
_SHRINKAGE = 0.01
#: Standard errors that a coefficient must be from 0. Else what n_bits coefficients learn by heart
#: adds n_bits / n to the error of new items: of 256 bits and 6,000 items a twenty-fifth.
_SURE = 3.0


def linear_start(
    bits: np.ndarray, wanted: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """The weights (n_bits, n_out) and biases (n_out,) of a layer behind such units, float32.

    By ridge regression of the principal coordinates of what is wanted, (n, n_out), on the bits (n,
    n_bits) bool of n >= 1 items, without the coefficients that may be 0.
    """
    signed = np.where(bits, np.float32(1), np.float32(-1))
    middle, mean = signed.mean(axis=0), wanted.mean(axis=0, dtype=np.float64)
    centred, away = signed - middle, (wanted - mean).astype(np.float32)
    directions = principal_directions(away, min(2 * bits.shape[1], *away.shape), rng)
    coordinates = away @ directions  # (n, rank)
    products = (centred.T @ centred).astype(np.float64)
    products[np.diag_indices(len(products))] += 1.0 + _SHRINKAGE * len(bits)
    inverse = np.linalg.inv(products)
    found = inverse @ (centred.T @ coordinates)  # (n_bits, rank)
    left = np.square(coordinates - centred @ found).mean(axis=0)
    errors = np.sqrt(np.diag(inverse)[:, None] * left)
    weights = np.where(np.abs(found) >= _SURE * errors, found, 0.0) @ directions.T
    return weights.astype(np.float32), (mean - (middle + OPEN) @ weights).astype(np.float32)
