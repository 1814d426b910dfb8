"""Measure how alike training items are, by their features and by codes already learned.

Every similarity is an inner product of points, so that one index of floats serves them all; that of
few texts has a product of sparse rows besides.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.sparse import csr_array

from hashret.sparse import SparseRows, to_scipy
from indexer.training.neighbours.randomized_svd import principal_coordinates
from indexer.training.neighbours.term_weighting import l2_normalised, rarity_weighted

#: Number of items up to which all are compared with all; beyond, time would grow as the square.
EXACT_ITEMS = 20_000

_LATENT = 100  # latent semantic coordinates, for topics
_THEMES = 24  # the first of them once more, for broad themes
_SAMPLE = 1000  # of the items, in each of two draws, by which similarities are put on one scale


class Points(NamedTuple):
    """How alike item i finds item j: queries[i] @ stored[j], up to a constant of i's own.

    Both (n, d) float32, C-contiguous; larger is nearer. `words`, where there are any, are n sparse
    rows whose products are added.
    """

    queries: np.ndarray
    stored: np.ndarray
    words: csr_array | None = None


def latent_points(features: SparseRows, rng: np.random.Generator) -> Points:
    """Cosines of latent semantic coordinates (halved) plus that of the rarity-weighted words.

    Latent semantic analysis (Deerwester et al., 1990) sees past the choice of words: in 24
    dimensions the broad themes, in 100 the topics; the words themselves see the narrowest. Their
    errors differ, so their sum is better than each. Of a corpus larger than `EXACT_ITEMS` only the
    latent parts are used: the products of sparse rows cost several times as much.
    """
    words = to_scipy(l2_normalised(rarity_weighted(features)))
    coordinates = principal_coordinates(words, min(_LATENT, *features.shape), rng)
    # unit rows side by side: their product is the sum of the cosines
    views = np.hstack([_unit(part) for part in (coordinates, coordinates[:, :_THEMES])])
    if len(features) > EXACT_ITEMS:
        return Points(views, views)
    return Points(np.float32(0.5) * views, views, words)


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
    unit = _unit(rows)
    return Points(unit, unit)


def mixed_points(first: Points, second: Points, rng: np.random.Generator) -> Points:
    """The sum of two similarities of the same items, each in its standard deviations.

    Of the first there may be words, of the second not.
    """
    n = len(first.stored)
    rows, others = (rng.choice(n, min(n, _SAMPLE), replace=False) for _ in range(2))
    scales = []
    for points in (first, second):
        spread = float(similarities(points, rows, others).std())
        scales.append(np.float32(1.0 / max(spread, 1e-9)))
    pairs = zip(scales, (first, second), strict=True)
    queries = [scale * points.queries for scale, points in pairs]
    words = None if first.words is None else first.words * np.sqrt(scales[0])
    return Points(np.hstack(queries), np.hstack([first.stored, second.stored]), words)


def similarities(points: Points, rows: np.ndarray, others: np.ndarray) -> np.ndarray:
    """How alike each of `rows` finds each of `others`, (n_rows, n_others) float32."""
    found: np.ndarray = points.queries[rows] @ points.stored[others].T
    if points.words is not None:
        found += (points.words[rows] @ points.words[others].T).toarray()
    return found


def _unit(rows: np.ndarray) -> np.ndarray:
    norms = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.ascontiguousarray(rows / np.maximum(norms, 1e-12), np.float32)
