"""The query tower: a linear map from a query's features to the weight of each bit.

A code is one tower, the query's opinion of its bits another: with stored bits b in {-1, 1}^n and
weights w = A q + v, the score w . b ranks like the inner product of q with a linear
reconstruction of the stored item, A transposed times b, without ever making it (asymmetric
distance: Gordo, Perronnin, Gong, Lazebnik, "Asymmetric distances for binary embeddings", TPAMI
2014; a query map of its own: Shen, Liu, Zhang, Yang, Shen, "Learning binary codes for maximum
inner product search", ICCV 2015).
"""

from __future__ import annotations

import numpy as np

from hashret.models.fixed_point import to_grid


class QueryTower:
    """Weights of the bits for a query, in the exact arithmetic of `fixed_point`.

    `weight` is (n_features, n_bits) float32 and `bias` (n_bits,) float64, multiples of 2^-16;
    inputs are rounded to the grid and clamped to `clamp`, so all sums are exact.
    """

    def __init__(self, weight: np.ndarray, bias: np.ndarray, clamp: float):
        self.weight = weight
        self.bias = bias
        self._clamp = clamp

    def confidences(self, inputs: np.ndarray) -> np.ndarray:
        """(n, n_bits) float32 for (n, n_features) scaled features.

        0.5 is no opinion of a bit. A row's distances from it are 0.5 on average, so the agreement
        of `rank.expected_agreement` is the share of the query's weight that a code has: 1 where
        it agrees in every bit, 0 where in none. Values may lie outside [0, 1].
        """
        active = to_grid(np.clip(inputs, -self._clamp, self._clamp))
        weights = active @ np.asarray(self.weight, np.float64)
        weights += self.bias
        size = np.abs(weights).mean(axis=1, keepdims=True)
        shares = np.divide(weights, size, out=np.zeros_like(weights), where=size > 0.0)
        return (0.5 + 0.5 * shares).astype(np.float32)
