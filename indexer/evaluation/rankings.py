"""The orders in which items can be ranked for a query, each given by distances, tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from scipy.sparse import csr_array

from hashret.codes import Codes, hamming
from hashret.rank import expected_agreement
from hashret.sparse import Features, SparseRows, by_layout, require_dense, require_sparse, to_scipy

#: A function from a slice of m queries to their distances to every item, (m, n).
Distances = Callable[[slice], np.ndarray]

_TILE_PAIRS = 1 << 23  # pairs of a query and an item in a tile: 64 MB of float64


def tiles(n_queries: int, n: int) -> Iterator[slice]:
    """The slices of queries whose distances to n items are computed at a time, for memory."""
    step = max(1, _TILE_PAIRS // max(1, n))
    for start in range(0, n_queries, step):
        yield slice(start, min(start + step, n_queries))


def by_distance(queries: Codes, codes: Codes) -> Distances:
    """The Hamming distances in bits."""
    return lambda tile: hamming(queries[tile], codes).astype(np.float64)


def by_confidences(confidences: np.ndarray, codes: Codes) -> Distances:
    """One minus the asymmetric score, of the query's confidences with the stored bits."""
    return lambda tile: (
        1.0 - np.stack([expected_agreement(row, codes) for row in confidences[tile]])
    )


def by_distance_then_confidences(
    queries: Codes, codes: Codes, confidences: np.ndarray
) -> Distances:
    """Distances in the order of a collection's hits: by Hamming distance, then by score."""
    bits, asymmetric = by_distance(queries, codes), by_confidences(confidences, codes)

    def distances(tile: slice) -> np.ndarray:
        # the score is scaled to less than 1, so that it only orders items at one distance
        score = asymmetric(tile)
        low, high = score.min(), score.max()
        return bits(tile) + (score - low) / (2.0 * (high - low) + 1e-300)

    return distances


def by_features(queries: Features, features: Features) -> Distances:
    """Distances in the order of the features: by cosine if sparse, else by Euclidean distance.

    Items with equal features are at equal distances.
    """

    def to_sparse(rows: SparseRows) -> Distances:
        # the terms of each sum are added in the query's order, so equal rows have equal sums
        matrix = _matrix(require_sparse(queries, "sparse items"))
        stored = _matrix(rows).T.tocsr()
        return lambda tile: 1.0 - (matrix[tile] @ stored).toarray()

    def to_dense(items: np.ndarray) -> Distances:
        rows, wide = require_dense(queries, "dense items"), items.astype(np.float64)
        squares = np.square(wide).sum(axis=1)

        def distances(tile: slice) -> np.ndarray:
            points = np.asarray(rows, np.float64)[tile]
            # the squared distance but for the query's own square, which does not change the order
            return squares - 2.0 * points @ wide.T

        return distances

    return by_layout(features, to_sparse, lambda items: _equal_for_equal(items, to_dense))


def by_real_values(queries: np.ndarray, items: np.ndarray) -> Distances:
    """Distances in the order of the cosine of real-valued codes, (m, n_bits) and (n, n_bits).

    The codes are in [-1, 1]. Items with equal values are at equal distances.
    """

    def to_dense(items: np.ndarray) -> Distances:
        unit = items / np.maximum(np.linalg.norm(items, axis=1, keepdims=True), 1e-12)
        return lambda tile: 1.0 - queries[tile] @ unit.T

    return _equal_for_equal(items, to_dense)


def _equal_for_equal(
    items: np.ndarray, distances_to: Callable[[np.ndarray], Distances]
) -> Distances:
    """The distances to dense items, with equal items at exactly equal distances.

    In a matrix product the order of summation depends on the position of a row. So the distances to
    equal rows might differ in the last bit, and not tie; therefore they are computed once for all
    of them.
    """
    rows = np.ascontiguousarray(items + 0.0)  # turns -0.0 into 0.0, which has other bytes
    whole = rows.view(f"V{rows.itemsize * rows.shape[1]}")[:, 0]
    _, first, which = np.unique(whole, return_index=True, return_inverse=True)
    if len(first) == len(rows):
        return distances_to(items)
    distinct = distances_to(items[first])
    return lambda tile: distinct(tile)[:, which]


def _matrix(rows: SparseRows) -> csr_array:
    return to_scipy(rows).astype(np.float64)
