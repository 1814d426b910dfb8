"""Synthetic codes to search in: clustered, uniform, and duplicate-heavy."""

from __future__ import annotations

import numpy as np

FAMILIES = ("clustered", "uniform", "duplicate-heavy")
_CENTRES, _NOISE = 2000, 0.08


class Family:
    """Codes and queries of one distribution, (n, n_bits // 8) uint8 at a time.

    clustered: 2,000 random centres with 8 % of the bits flipped. uniform: every bit a coin.
    duplicate-heavy: clustered, but half of all items lie in ten codes.
    """

    def __init__(self, name: str, n_bits: int, seed: int):
        self.name = name
        self._n_bytes = n_bits // 8
        self._rng = np.random.default_rng(seed)
        self._centres = self._random(_CENTRES)

    def sample(self, n: int) -> np.ndarray:
        """The next n codes."""
        if self.name == "uniform":
            return self._random(n)
        codes = self._centres[self._rng.integers(0, _CENTRES, n)]
        for start in range(0, n, 1 << 17):
            part = codes[start : start + (1 << 17)]
            coins = self._rng.random((len(part), 8 * self._n_bytes), dtype=np.float32)
            part ^= np.packbits(coins < _NOISE, axis=1)
        if self.name == "duplicate-heavy":
            crowded = np.flatnonzero(self._rng.random(n) < 0.5)
            codes[crowded] = self._centres[self._rng.integers(0, 10, len(crowded))]
        return codes

    def look_ups(self, stored: np.ndarray, n: int) -> np.ndarray:
        """n codes to look up, half of them stored."""
        rows = self._rng.integers(0, len(stored), n)
        hit = self._rng.random((n, 1)) < 0.5
        return np.where(hit, stored[rows], self._random(n))

    def _random(self, n: int) -> np.ndarray:
        return self._rng.integers(0, 256, (n, self._n_bytes), dtype=np.uint8)
