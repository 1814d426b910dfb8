"""Codes to search in: clustered, uniform, duplicate-heavy, and those of a trained model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks import learned_codes

FAMILIES = ("clustered", "uniform", "duplicate-heavy", "learned")
_CENTRES, _NOISE = 2000, 0.08


class Family:
    """Codes and queries of one distribution, (n, n_bits // 8) uint8 at a time.

    clustered: 2,000 random centres with 8 % of the bits flipped. uniform: every bit a coin.
    duplicate-heavy: clustered, but half of all items lie in ten codes. learned: passages of posts
    through a trained model, queries being passages of posts that it never saw
    (`benchmarks.learned_codes`, which must have run). The first three draw queries as they draw
    codes.
    """

    def __init__(self, name: str, n_bits: int, seed: int, learned: Path | None = None):
        self.name = name
        self.n_bits = n_bits
        self._folder = learned or learned_codes.default_folder()
        self._rng = np.random.default_rng(seed)
        self._centres = self._random(_CENTRES)
        self._unseen: np.ndarray | None = None

    def codes(self, n: int) -> np.ndarray:
        """n codes to search in."""
        if self.name != "learned":
            return self._sample(n)
        found = learned_codes.load(self._folder, self.n_bits, n)
        if found is None:
            raise FileNotFoundError(
                f"{self._folder}: expected {n:,} learned codes of {self.n_bits} bits, got fewer; "
                f"run python -m benchmarks.learned_codes --n {n} --bits {self.n_bits}"
            )
        codes, self._unseen = found
        return np.ascontiguousarray(codes)

    def queries(self, n: int) -> np.ndarray:
        """The next n queries; of learned codes after `codes`."""
        if self._unseen is None:
            return self._sample(n)
        return self._unseen[self._rng.integers(0, len(self._unseen), n)]

    def look_ups(self, stored: np.ndarray, n: int) -> np.ndarray:
        """n codes to look up, half of them stored; the others random, or queries of a model."""
        rows = self._rng.integers(0, len(stored), n)
        hit = self._rng.random((n, 1)) < 0.5
        others = self._random(n) if self._unseen is None else self.queries(n)
        return np.where(hit, stored[rows], others)

    def _sample(self, n: int) -> np.ndarray:
        if self.name == "uniform":
            return self._random(n)
        codes = self._centres[self._rng.integers(0, _CENTRES, n)]
        for start in range(0, n, 1 << 17):
            part = codes[start : start + (1 << 17)]
            coins = self._rng.random((len(part), self.n_bits), dtype=np.float32)
            part ^= np.packbits(coins < _NOISE, axis=1)
        if self.name == "duplicate-heavy":
            crowded = np.flatnonzero(self._rng.random(n) < 0.5)
            codes[crowded] = self._centres[self._rng.integers(0, 10, len(crowded))]
        return codes

    def _random(self, n: int) -> np.ndarray:
        return self._rng.integers(0, 256, (n, self.n_bits // 8), dtype=np.uint8)
