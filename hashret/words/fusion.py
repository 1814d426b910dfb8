"""Join how well texts fit the words of a question and how far their codes agree with it.

Each is put on a scale from 0 to 1 over the candidates of the question, and the fused score is their
mean. Source: Bruch, Gai, Ingber, "An analysis of fusion functions for hybrid retrieval", TOIS 2023:
a convex combination of scores is better than one of ranks (reciprocal rank fusion), which can't
tell a text that fits far better from one that fits a little better. ADR 28 has our measurements.
"""

from __future__ import annotations

import numpy as np

#: What the words count; the codes count the rest. ADR 28 has the figures of other shares.
WORDS = 0.5


def fused(
    words: np.ndarray, agreements: np.ndarray, coded: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """The fused score of each candidate, (n,) float64 in [0, 1], higher is better.

    The candidates of query i have the slice ``limits[i]`` to ``limits[i + 1]`` of the (n,) arrays:
    `words` are BM25 scores, of which 0 stays 0; `agreements` count where `coded`, and the least of
    a query's is 0, as is that of a candidate without a code.
    """
    sizes = limits[1:] - limits[:-1]
    starts, sizes = limits[:-1][sizes > 0], sizes[sizes > 0]
    if not len(starts):
        return np.zeros(len(words))

    def scaled(values: np.ndarray, least: np.ndarray) -> np.ndarray:
        spread = np.maximum.reduceat(values, starts) - least
        spread[spread <= 0.0] = 1.0  # all are equal, and tell nothing
        return np.asarray((values - np.repeat(least, sizes)) / np.repeat(spread, sizes))

    least = np.minimum.reduceat(np.where(coded, agreements, np.inf), starts)
    least[np.isinf(least)] = 0.0  # no candidate of the query has a code
    agreements = np.where(coded, agreements, np.repeat(least, sizes))
    by_words, by_codes = scaled(words, np.zeros(len(starts))), scaled(agreements, least)
    return WORDS * by_words + (1.0 - WORDS) * by_codes
