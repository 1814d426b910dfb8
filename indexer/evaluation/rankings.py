"""The orders in which a collection's items can be put for a query, as distances, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.sparse import csr_array

from hashret.codes import Codes, hamming
from hashret.rank import expected_agreement
from hashret.sparse import Features, SparseRows

#: From a slice of queries to their distances to every item, (n_queries of the slice, n).
Distances = Callable[[slice], np.ndarray]

_TILE_PAIRS = 1 << 23  # query-item pairs at a time


def tiles(n_queries: int, n: int) -> Iterator[slice]:
    """Slices of queries, few enough for a tile to fit in memory."""
    step = max(1, _TILE_PAIRS // max(1, n))
    for start in range(0, n_queries, step):
        yield slice(start, min(start + step, n_queries))


def by_distance(queries: Codes, codes: Codes) -> Distances:
    """By Hamming distance in bits."""
    return lambda tile: hamming(queries[tile], codes).astype(np.float64)


def by_confidences(confidences: np.ndarray, codes: Codes) -> Distances:
    """By the query's confidences against the stored bits: asymmetric ranking of everything."""
    return lambda tile: (
        1.0 - np.stack([expected_agreement(row, codes) for row in confidences[tile]])
    )


def by_distance_then_confidences(
    queries: Codes, codes: Codes, confidences: np.ndarray
) -> Distances:
    """As a collection orders its hits."""
    bits, asymmetric = by_distance(queries, codes), by_confidences(confidences, codes)

    def distances(tile: slice) -> np.ndarray:
        # the ranks of the score within (0, 1): it never overrules a bit
        score = asymmetric(tile)
        low, high = score.min(), score.max()
        return bits(tile) + (score - low) / (2.0 * (high - low) + 1e-300)

    return distances


def by_features(queries: Features, features: Features) -> Distances:
    """By the features themselves: cosine of sparse rows, Euclidean distance of dense ones."""
    if isinstance(queries, SparseRows) and isinstance(features, SparseRows):
        asked, stored = _matrix(queries), _matrix(features).T.tocsr()
        return lambda tile: 1.0 - (asked[tile] @ stored).toarray()
    wide = np.asarray(features, np.float64)
    lengths = np.square(wide).sum(axis=1)

    def distances(tile: slice) -> np.ndarray:
        points = np.asarray(queries, np.float64)[tile]
        # up to a constant for each query, which changes no order
        return lengths - 2.0 * points @ wide.T

    return distances


def by_real_values(queries: np.ndarray, items: np.ndarray) -> Distances:
    """By the cosine of codes in [-1, 1] that were never thresholded, two (n, n_bits)."""
    unit = items / np.maximum(np.linalg.norm(items, axis=1, keepdims=True), 1e-12)
    return lambda tile: 1.0 - queries[tile] @ unit.T


def _matrix(rows: SparseRows) -> csr_array:
    return csr_array((rows.values.astype(np.float64), rows.indices, rows.indptr), shape=rows.shape)
