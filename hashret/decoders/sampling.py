"""Draw what a code could have been of: a stochastic decoder, p(features | code).

A decoder says what is expected, and its errors on held-out items how far from that an item is. So
what a code stands for is a distribution, and its rows here the parameters: the shares of words, or
the means of numbers (Goodfellow, Bengio and Courville, Deep Learning, 2016, 14.4).
"""

from __future__ import annotations

import numpy as np


def sampled_words(shares: np.ndarray, n_words: int, rng: np.random.Generator) -> np.ndarray:
    """Counts of words, (n, n_vocabulary) int64: for each row a text of `n_words` drawn words.

    `shares` (n, n_vocabulary) are what a decoder of words gives, not negative and of sum 1. Words
    are drawn one by one, with replacement. Raises ValueError for a negative share or number.
    """
    wide = np.asarray(shares, np.float64)
    if not (wide >= 0).all() or n_words < 0:
        raise ValueError("shares: expected numbers of 0 or more, and as many words; got less")
    wide = wide / np.maximum(wide.sum(axis=1, keepdims=True), np.finfo(np.float64).tiny)
    return rng.multinomial(n_words, wide)


def sampled_numbers(
    means: np.ndarray, held_errors: np.ndarray, rng: np.random.Generator
) -> np.ndarray:
    """Numbers drawn around what a decoder gives, (n, n_features) float32.

    They are independent and normal, and their variance is the mean of `held_errors`, the mean
    squared errors of items that the decoder was not taught with: so the samples are as far from the
    means as such items are. Without such errors the means come back.
    """
    variance = float(held_errors.mean()) if len(held_errors) else 0.0
    noise = rng.standard_normal(means.shape, dtype=np.float32)
    drawn: np.ndarray = (means + np.float32(variance**0.5) * noise).astype(np.float32)
    return drawn
