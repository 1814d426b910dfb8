"""The leading singular directions of a large matrix, by a randomised range finder."""

from __future__ import annotations

from typing import Any

import numpy as np


def principal_coordinates(matrix: Any, rank: int, rng: np.random.Generator) -> np.ndarray:
    """The rows of `matrix` in its `rank` leading singular directions, (n, rank) float32."""
    basis, left, scale, _ = _decomposed(matrix, rank, rng)
    return np.ascontiguousarray((basis @ (left * scale))[:, :rank], np.float32)


def principal_directions(matrix: Any, rank: int, rng: np.random.Generator) -> np.ndarray:
    """The `rank` leading singular directions of the rows, (n_columns, rank) float32."""
    *_, right = _decomposed(matrix, rank, rng)
    return np.ascontiguousarray(right[:rank].T, np.float32)


def _decomposed(
    matrix: Any, rank: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A basis of the range, and the singular value decomposition of `matrix` in it.

    Randomised range finder with two power iterations (Halko, Martinsson and Tropp, SIAM Review
    2011, algorithms 4.4 and 5.1).
    """
    n_columns = matrix.shape[1]
    oversampled = min(rank + 10, *matrix.shape)
    sketch = matrix @ rng.standard_normal((n_columns, oversampled), dtype=np.float32)
    for _ in range(2):
        basis = np.linalg.qr(sketch)[0]
        sketch = matrix @ np.linalg.qr(matrix.T @ basis)[0]
    basis = np.linalg.qr(sketch)[0]
    left, scale, right = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    return basis, left, scale, right
