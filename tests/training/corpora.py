"""Small corpora with known groups, as features."""

import numpy as np

from hashret.sparse import SparseRows, side_by_side
from hashret.specs.ordering import Ordering
from indexer.training.presets import PRESETS
from tests.models.encoders import as_sparse
from tests.models.sequences import in_order


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


def textures(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Grey images of 16 x 16: checks and stripes, as bright as each other, shifted; and the kinds."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16]
    kinds = np.arange(n) % 2
    images = np.empty((n, 256), np.float32)
    for i, kind in enumerate(kinds):
        a, b = y + rng.integers(8), x + rng.integers(8)
        images[i] = ((a // 2 + b // 2 if kind else a // 2) % 2).ravel()
    return images + 0.05 * rng.standard_normal(images.shape).astype(np.float32), kinds


def stripes(n: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """Grey images of 16 x 16: stripes of four directions, any width, phase and contrast."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:16, :16]
    groups = np.arange(n) % 4
    angle = (groups * np.pi / 4)[:, None, None]
    phase, width, contrast = (
        rng.uniform(*ends, (n, 1, 1)) for ends in ((0, 6), (0.5, 1.5), (0.5, 2))
    )
    images = contrast * np.sin(width * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    noisy = images.reshape(n, -1) + 0.6 * rng.standard_normal((n, 256))
    return noisy.astype(np.float32), groups


def as_taken(words: SparseRows, kind: str, preset: str) -> tuple[SparseRows, Ordering | None]:
    """Rows of words as the preset takes them: as bags, with their order, or in order alone."""
    if not PRESETS[kind][preset].recipe.in_order:
        return words, None
    bounds = words.indptr[1:-1]
    steps = in_order(np.split(words.indices + 1, bounds), int(words.nnz_per_row.max()))
    if kind == "sequence":
        return steps, Ordering(n_tokens=words.n_features)
    return side_by_side(words, steps), Ordering(n_tokens=words.n_features, first=words.n_features)
