"""The query tower: a linear map from a query's features to the weight of each bit.

Stored items have codes from one tower, and queries have weights of the bits from another. With
stored bits b in {-1, 1}^n and weights w = A q + v, the score w . b gives the same order as the
inner product of q with a linear reconstruction of the stored item, A transposed times b, which is
never computed. Sources: Gordo, Perronnin, Gong, Lazebnik, "Asymmetric distances for binary
embeddings", TPAMI 2014 (asymmetric distance); Shen, Liu, Zhang, Yang, Shen, "Learning binary codes
for maximum inner product search", ICCV 2015 (a separate map for queries).
"""

from __future__ import annotations

import numpy as np

from hashret.models.fixed_point import to_grid
from hashret.models.matrix import Matrix


class QueryTower:
    """A map from a query's features to weights of the bits, in the arithmetic of `fixed_point`.

    `weight` is (n_features, n_bits) float32 and `bias` (n_bits,) float64, multiples of 2^-16.
    Inputs are rounded to the grid and clamped to `clamp`, so that all sums are exact.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray, clamp: float):
        self.weight = weight
        self.bias = bias
        self._clamp = clamp
        self._matrix = Matrix(weight)

    def confidences(self, inputs: np.ndarray) -> np.ndarray:
        """The confidences, (n, n_bits) float32, of queries with scaled features (n, n_features).

        0.5 is undecided. The mean distance of a row from 0.5 is 0.5. So the score of
        `rank.expected_agreement` is the share of the query's weight on which a code agrees: 1 if
        it agrees in every bit, 0 if in none. Confidences may lie outside [0, 1].
        """
        active = to_grid(np.clip(inputs, -self._clamp, self._clamp))
        weights = self._matrix.times(active)
        weights += self.bias
        size = np.abs(weights).mean(axis=1, keepdims=True)
        shares = np.divide(weights, size, out=np.zeros_like(weights), where=size > 0.0)
        return (0.5 + 0.5 * shares).astype(np.float32)
