"""Fixed-point numbers in float64: sums whose value does not depend on their order.

A float64 holds every integer up to 2^53. If weights and activations are multiples of 2^-16,
their products are multiples of 2^-32, and a sum of products whose absolute values add up to at
most 2^53 such units (2^21) is exact, as is every partial sum of it. So any order of summation,
tile size, number of threads, BLAS or machine gives the same bits, with or without fused
multiply-add. The price is a clamp on activations, chosen per layer from its weights.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np

#: Units per 1: weights, biases and activations are multiples of 1 / UNITS.
UNITS = 2.0**16

#: Sums of |activation| x |weight| up to this value are exact: 2^53 times the product of two units.
EXACT_SUM = 2.0**53 / UNITS**2

#: Bound of |weight|, below which float32 with its 24 bits stores it exactly.
MAX_WEIGHT = 2.0**24 / UNITS

#: Added to the variance or squared length of a row that is normalised, here and in training.
NORM_FLOOR = 1e-5

#: Largest clamp: no activation exceeds it, and a wider one would leave less room for weights.
_WIDEST_CLAMP = 2.0**12

#: Multiples of 1 / this have the upper half of a number's digits.
_HALF = 2.0**3

#: Number of rows normalised at once: they fit a core's cache.
_NORMALISED_ROWS = 64


def to_grid(values: np.ndarray) -> np.ndarray:
    """Round to the nearest multiple of 1 / UNITS (halves to even), as float64."""
    scaled = np.asarray(values, np.float64) * UNITS
    np.rint(scaled, out=scaled)
    scaled *= 1.0 / UNITS  # a power of two: exact, and faster than a division
    return scaled


def in_units(values: np.ndarray, scale: float, clamp: float) -> np.ndarray:
    """Values times `scale`, clamped and on the grid, in its units: whole numbers, as float64.

    What goes through many layers stays in units: rounding to the grid is then one operation, and
    sums in units are as exact as others, because units are a power of two.
    """
    scaled = np.clip(np.asarray(values, np.float64) * scale, -clamp, clamp)
    scaled *= UNITS
    return np.rint(scaled, out=scaled)


def normalised(sums: np.ndarray) -> np.ndarray:
    """Rows (n, width) of mean 0 and variance 1, the same on every machine; writes to `sums`.

    This is layer normalisation (Ba, Kiros and Hinton, 2016, section 3) without a learned scale, for
    at most 32,768 units. All sums are of numbers on the grid, and so exact in any order; all else
    rounds single numbers, which is the same everywhere.
    """
    for start in range(0, len(sums), _NORMALISED_ROWS):
        rows = sums[start : start + _NORMALISED_ROWS]
        _put_on_grid(np.clip(rows, -_WIDEST_CLAMP, _WIDEST_CLAMP, out=rows))
        rows -= (rows.sum(axis=1) / sums.shape[1])[:, None]
        _put_on_grid(rows)
        rows *= (1.0 / np.sqrt(_squares(rows) / sums.shape[1] + NORM_FLOOR))[:, None]
    return sums


def unit(sums: np.ndarray) -> np.ndarray:
    """Rows (n, width) of Euclidean length 1, on the grid as in `normalised`; zeros remain zeros."""
    _put_on_grid(np.clip(sums, -_WIDEST_CLAMP, _WIDEST_CLAMP, out=sums))
    sums *= (1.0 / np.sqrt(_squares(sums) + NORM_FLOOR))[:, None]
    _put_on_grid(sums)
    return sums


def _put_on_grid(rows: np.ndarray) -> None:
    """`to_grid` in place."""
    rows *= UNITS
    np.rint(rows, out=rows)
    rows *= 1.0 / UNITS


def _squares(rows: np.ndarray) -> np.ndarray:
    """The sum of the squares of each row, which lies on the grid within twice the widest clamp.

    Squares would not fit a float64; those of two halves of the digits, and their product, do.
    """
    high = np.rint(rows * _HALF)
    high *= 1.0 / _HALF
    low = rows - high
    squares, products, rest = (
        np.einsum("ij,ij->i", *pair) for pair in ((high, high), (high, low), (low, low))
    )
    return np.asarray(squares + (2.0 * products + rest))


def require_bounded(weights: Iterable[np.ndarray]) -> None:
    """Raise ValueError unless every weight is below `MAX_WEIGHT`, NaN included."""
    for weight in weights:
        largest = float(np.abs(weight).max())
        if not largest < MAX_WEIGHT:
            raise ValueError(
                f"weights: expected absolute values below {MAX_WEIGHT:.0f}, got {largest:.4g}; "
                "train with a smaller learning rate"
            )


def clamp_for(weight: np.ndarray, bias: np.ndarray) -> float:
    """The widest power of two that may bound the activations entering a layer.

    `weight` is (n_in, n_out) and `bias` (n_out,). With every |activation| at most the returned
    value, all sums of the layer are exact. Raises ValueError if the weights leave no room.
    """
    column_sums = np.abs(weight).sum(axis=0, dtype=np.float64)
    room = (EXACT_SUM - np.abs(bias)) / np.maximum(column_sums, 1.0 / UNITS)
    limit = float(room.min())
    if not limit >= 1.0:
        raise ValueError(
            f"weights: expected columns whose absolute values sum to less than {EXACT_SUM:.0f}, "
            f"got {column_sums.max():.4g}; train with a smaller learning rate"
        )
    return min(_WIDEST_CLAMP, 2.0 ** math.floor(math.log2(limit)))
