"""The product of one row with a matrix, compiled: the matrix is read as it is stored, in float32.

NumPy needs it in float64: twice the memory to read, which is what the product of one row takes, or
a copy of the rows that it needs. Sums are in float64 all the same. They are exact where the numbers
are those of `hashret.models.fixed_point`, and then the same as NumPy's.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from hashret.kernels.intrinsics import FLOATS, SHORT_FLOATS_2D, SHORT_INTS


@njit((SHORT_INTS, FLOATS, SHORT_FLOATS_2D), cache=True, nogil=True)
def times(
    indices: np.ndarray,  # (n,) int32
    values: np.ndarray,  # (n,) float64
    matrix: np.ndarray,  # (n_in, n_out) float32
) -> np.ndarray:
    """The sum of the rows of a matrix at `indices`, each times its value: (n_out,) float64.

    Raises IndexError for a row that the matrix has not.
    """
    sums = np.zeros(matrix.shape[1])
    for i in range(len(indices)):
        row, value = indices[i], values[i]
        if row < 0 or row >= len(matrix):
            raise IndexError("row: expected one of the matrix, got another")
        weights = matrix[row]
        for j in range(len(sums)):
            sums[j] += value * np.float64(weights[j])
    return sums
