"""Small corpora with known groups, as features."""

import numpy as np

from hashret.sparse import SparseRows
from tests.models.encoders import as_sparse


def grouped_words(
    n: int, n_groups: int = 4, n_features: int = 120, seed: int = 0
) -> tuple[SparseRows, np.ndarray]:
    """Unit rows of words, most from the words of one's group, some from all; and the groups."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) % n_groups
    own = n_features // n_groups
    dense = np.zeros((n, n_features), np.float32)
    for row, group in enumerate(groups):
        dense[row, own * group + rng.choice(own, 10, replace=False)] = 1.0
        dense[row, rng.choice(n_features, 3, replace=False)] = 1.0
    return as_sparse(dense / np.linalg.norm(dense, axis=1, keepdims=True)), groups


def grouped_points(
    n: int, n_groups: int = 4, n_features: int = 24, seed: int = 0
) -> tuple[np.ndarray, np.ndarray]:
    """Gaussian clouds, two standard deviations of a coordinate apart; and the groups."""
    rng = np.random.default_rng(seed)
    groups = np.arange(n) % n_groups
    centres = 2.0 * rng.standard_normal((n_groups, n_features))
    points = centres[groups] + rng.standard_normal((n, n_features))
    return points.astype(np.float32), groups
