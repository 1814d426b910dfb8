"""What multi-index hashing in NumPy has found so far, for a block of queries."""

from __future__ import annotations

import numpy as np

from hashret.indexes.gather import Pairs


class Progress:
    """What a block of queries has found, and how near the rest must be to matter."""

    def __init__(
        self, words: np.ndarray, caps: np.ndarray, k: int | None, start: int, pairs: Pairs
    ):
        self.words = words
        self.caps = caps  # a part of the caller's array, which sees it shrink
        self.pairs = pairs
        self._start = start
        self._k = k
        n_bits = 64 * words.shape[1]
        self._seen = np.zeros((len(words), n_bits + 1), np.int64) if k is not None else None

    def add(self, queries: np.ndarray, rows: np.ndarray, distances: np.ndarray) -> None:
        """Add new pairs and draw the caps in to the k-th distances."""
        self.pairs.add(queries + self._start, rows, distances)
        if self._seen is None:
            return
        width = self._seen.shape[1]
        bins = queries * width + distances
        self._seen += np.bincount(bins, minlength=self._seen.size).reshape(self._seen.shape)
        reached = np.cumsum(self._seen, axis=1) >= self._k
        enough = np.flatnonzero(reached[:, -1])
        self.caps[enough] = reached[enough].argmax(axis=1)
