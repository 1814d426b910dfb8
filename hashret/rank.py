"""Order a shortlist: by Hamming distance, then by the query's confidences, then by id.

The confidences give an asymmetric score: the query keeps its real-valued opinion of every bit
while the stored side has only bits. Sources: Gordo, Perronnin, Gong, Lazebnik, "Asymmetric
distances for binary embeddings", TPAMI 2014, section 3; the look-up by byte is that of product
quantisation (Jégou, Douze, Schmid, TPAMI 2011, section III).
"""

from __future__ import annotations

import numpy as np

from hashret.codes import Codes

# Confidences are rounded to this grid so that their sums are exact in float64 and a score does
# not depend on the order of summation, hence not on what else was asked in the same batch.
_GRID = float(1 << 24)


def expected_agreement(probabilities: np.ndarray, codes: Codes) -> np.ndarray:
    """The share of bits in which each code is expected to agree with the query, (n,) float64.

    `probabilities` (n_bits,): the query's confidence that each of its bits is 1. For a query of
    certain bits (0.0 and 1.0) the result is ``(n_bits - distance) / n_bits``.
    """
    n_bits = codes.n_bits
    opinion = np.rint((np.asarray(probabilities, np.float64) - 0.5) * _GRID).reshape(-1, 8)
    signs = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    by_byte = opinion @ (2.0 * signs.T - 1.0)  # (n_bytes, 256): a byte's share of the sum
    total = np.zeros(len(codes))
    for position, sums in enumerate(by_byte):
        total += sums[codes.packed[:, position]]
    return (0.5 * n_bits * _GRID + total) / (_GRID * n_bits)


def order(distances: np.ndarray, scores: np.ndarray, ids: list[str]) -> list[int]:
    """The positions sorted by (distance, -score, id), three sequences of equal length."""
    return sorted(range(len(ids)), key=lambda i: (int(distances[i]), -float(scores[i]), ids[i]))


def contenders(distances: np.ndarray, scores: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """Who is in the first k for certain, and who ties for the last places.

    Returns two arrays of positions: those whose (distance, -score) is strictly better than that
    of the k-th, and those equal to it, of which only the ids can choose. Fewer than k in all:
    everything is certain.
    """
    if len(distances) <= k:
        return np.arange(len(distances)), np.empty(0, np.intp)
    ranked = np.lexsort((-scores, distances))
    last = ranked[k - 1]
    tied = (distances == distances[last]) & (scores == scores[last])
    certain = ranked[:k]
    return certain[~tied[certain]], np.flatnonzero(tied)
