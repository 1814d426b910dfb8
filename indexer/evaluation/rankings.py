"""The orders in which a collection's items can be put for a query, as distances, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.sparse import csr_array

from hashret.codes import Codes, hamming
from hashret.rank import expected_agreement
from hashret.sparse import Features, SparseRows, by_layout, require_dense, require_sparse, to_scipy

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
    """By the features themselves: cosine of sparse rows, Euclidean distance of dense ones.

    Items of equal features are at equal distances.
    """

    def to_sparse(rows: SparseRows) -> Distances:
        # each sum is made term by term in the query's order, so equal rows have equal ones
        asked = _matrix(require_sparse(queries, "sparse items"))
        stored = _matrix(rows).T.tocsr()
        return lambda tile: 1.0 - (asked[tile] @ stored).toarray()

    def to(items: np.ndarray) -> Distances:
        asked, wide = require_dense(queries, "dense items"), items.astype(np.float64)
        lengths = np.square(wide).sum(axis=1)

        def distances(tile: slice) -> np.ndarray:
            points = np.asarray(asked, np.float64)[tile]
            # up to a constant for each query, which changes no order
            return lengths - 2.0 * points @ wide.T

        return distances

    return by_layout(features, to_sparse, lambda items: _equal_for_equal(items, to))


def by_real_values(queries: np.ndarray, items: np.ndarray) -> Distances:
    """By the cosine of codes in [-1, 1] that were never thresholded, two (n, n_bits).

    Items of equal values are at equal distances.
    """

    def to(items: np.ndarray) -> Distances:
        unit = items / np.maximum(np.linalg.norm(items, axis=1, keepdims=True), 1e-12)
        return lambda tile: 1.0 - queries[tile] @ unit.T

    return _equal_for_equal(items, to)


def _equal_for_equal(items: np.ndarray, to: Callable[[np.ndarray], Distances]) -> Distances:
    """The distances `to` dense items, where equal items are at the very same distance.

    A product of matrices sums up in an order that depends on where in the matrix a row stands, so
    that equal rows may differ in the last bit and would not tie: each is asked for once.
    """
    rows = np.ascontiguousarray(items + 0.0)  # no -0.0, which has other bytes than the 0.0 it is
    whole = rows.view(f"V{rows.itemsize * rows.shape[1]}")[:, 0]
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    if len(first) == len(rows):
        return to(items)
    distinct = to(items[first])
    return lambda tile: distinct(tile)[:, which]


def _matrix(rows: SparseRows) -> csr_array:
    return to_scipy(rows).astype(np.float64)
