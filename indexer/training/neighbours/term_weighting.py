"""Weights of words on top of tf-idf, and rows of words scaled by them.

The weight of a word is its rarity, or more (`telling_words`).
"""

from __future__ import annotations

import numpy as np

from hashret.sparse import SparseRows


def rarity_weighted(rows: SparseRows) -> SparseRows:
    """Each value times the rarity of its feature: log((1 + n_rows) / rows that have it).

    On top of tf-idf this squares the inverse document frequency. Common words carry little of
    what a document is about but, being many, much of a cosine or of a word distribution; with no
    list of stop words for any language, this is what keeps them from choosing the neighbours.
    """
    return weighted(rows, rarity(rows))


def weighted(rows: SparseRows, weights: np.ndarray) -> SparseRows:
    """Each value times the weight of its feature; `weights` (n_features,)."""
    return _with_values(rows, rows.values * weights[rows.indices])


def rarity(rows: SparseRows) -> np.ndarray:
    """The rarity of each feature, (n_features,) float64."""
    holders = np.bincount(rows.indices, minlength=rows.n_features)
    return np.log((1.0 + len(rows)) / np.maximum(holders, 1))


def l1_normalised(rows: SparseRows) -> SparseRows:
    """Rows of non-negative values divided by their sums; an empty row stays empty."""
    return _divided(rows, _sums(rows, rows.values))


def l2_normalised(rows: SparseRows) -> SparseRows:
    """Rows divided by their Euclidean lengths; an empty row stays empty."""
    return _divided(rows, np.sqrt(_sums(rows, np.square(rows.values, dtype=np.float64))))


def _sums(rows: SparseRows, values: np.ndarray) -> np.ndarray:
    owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)
    return np.bincount(owner, weights=values, minlength=len(rows))


def _divided(rows: SparseRows, divisors: np.ndarray) -> SparseRows:
    each = np.repeat(np.maximum(divisors, 1e-12), rows.nnz_per_row)
    return _with_values(rows, rows.values / each)


def _with_values(rows: SparseRows, values: np.ndarray) -> SparseRows:
    return SparseRows(rows.indptr, rows.indices, values.astype(np.float32), rows.n_features)
