"""Measure how alike training items are, by their features and by codes already learned.

Every similarity is an inner product of points, so that one index of floats serves them all.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hashret.sparse import SparseRows, to_scipy
from indexer.training.neighbours.randomized_svd import principal_coordinates
from indexer.training.neighbours.term_weighting import l2_normalised, weighted

#: Number of items up to which all are compared with all; beyond, time would grow as the square.
EXACT_ITEMS = 20_000

_LATENT = 100  # latent semantic coordinates, for topics
_THEMES = 24  # the first of them once more, for broad themes
_SAMPLE = 1000  # of the items, in each of two draws, by which similarities are put on one scale


class Points(NamedTuple):
    """How alike item i finds item j: queries[i] @ stored[j], up to a constant of i's own.

    Both (n, d) float32, C-contiguous; larger is nearer.
    """

    queries: np.ndarray
    stored: np.ndarray


def latent_points(features: SparseRows, weights: np.ndarray, rng: np.random.Generator) -> Points:
    """Cosines of latent semantic coordinates of texts, whose words are weighted by `weights`.

    Latent semantic analysis (Deerwester et al., 1990) sees past the choice of words: in 24
    dimensions the broad themes, in 100 the topics. Their errors differ, so their sum is better than
    each. The words themselves add nothing to it where the weights are those of `telling_words`.
    """
    words = to_scipy(l2_normalised(weighted(features, weights)))
    coordinates = principal_coordinates(words, min(_LATENT, *features.shape), rng)
    # unit rows side by side: their product is the sum of the cosines
    views = np.hstack([unit_rows(part) for part in (coordinates, coordinates[:, :_THEMES])])
    return Points(views, views)


def euclidean_points(features: np.ndarray, rng: np.random.Generator) -> Points:
    """Minus half the squared Euclidean distance.

    Wide features are first projected on their leading principal components.
    """
    points = np.asarray(features, np.float32) - features.mean(axis=0, dtype=np.float32)
    if features.shape[1] > _LATENT and len(features) > 1:
        points = principal_coordinates(points, min(_LATENT, *features.shape), rng)
    norms = np.square(points).sum(axis=1, keepdims=True)
    return Points(
        np.hstack([points, np.ones_like(norms)]),
        np.hstack([points, -0.5 * norms]),
    )


def cosine_points(rows: np.ndarray) -> Points:
    """The cosine of dense rows, such as learned codes in [-1, 1]."""
    unit = unit_rows(rows)
    return Points(unit, unit)


def mixed_points(first: Points, second: Points, rng: np.random.Generator) -> Points:
    """The sum of two similarities of the same items, each in its standard deviations."""
    n = len(first.stored)
    rows, others = (rng.choice(n, min(n, _SAMPLE), replace=False) for _ in range(2))
    scales = []
    for points in (first, second):
        spread = float(similarities(points, rows, others).std())
        scales.append(np.float32(1.0 / max(spread, 1e-9)))
    pairs = zip(scales, (first, second), strict=True)
    queries = [scale * points.queries for scale, points in pairs]
    return Points(np.hstack(queries), np.hstack([first.stored, second.stored]))


def similarities(points: Points, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How alike each of `rows` finds each of `others`, (n_rows, n_others) float32."""
    found: np.ndarray = points.queries[rows] @ points.stored[others].T
    return found


def unit_rows(rows: np.ndarray) -> np.ndarray:
    """Dense rows divided by their Euclidean lengths, float32; a row of zeros stays one."""
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.maximum(norms, 1e-12), np.float32)
