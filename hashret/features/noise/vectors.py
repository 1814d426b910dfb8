"""Vectors as a denoiser takes them: centred and scaled, of unit length for cosine."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from hashret.errors import PayloadError
from hashret.features.noise.denoising import Denoising

#: Rounds in which the noise, and the lengths that vectors have without it, are found by each other,
#: until the noise moves by less than a share of the numbers.
_ROUNDS, _NEAR = 20, 1e-5
#: The least share of a squared length that is taken to be no noise.
_LEAST_LEFT = 0.02


@dataclass(frozen=True, slots=True, eq=False)
class NoisyVectors:
    """Vectors, and how they become features: (x - mean) * scale."""

    rows: np.ndarray
    """(n, n_features) float32, n >= 1."""
    mean: np.ndarray
    scale: float
    by_direction: bool
    """Whether the model knows only the directions of vectors, as cosine compares them."""

    def noise(self, denoiser: Denoising) -> float:
        """The standard deviation of the noise, estimated, in the vectors' own numbers.

        It is at most their root mean square, which it is of vectors that are all noise.
        """
        most = float(np.sqrt(np.square(self.rows, dtype=np.float64).mean()))
        noise = 0.0
        for _ in range(_ROUNDS):
            lengths = self._lengths(noise)
            found = denoiser.noise_of(self._features(lengths)) / self.scale
            before = noise
            noise = min(found * float(np.sqrt(np.square(lengths).mean())), most)
            if abs(noise - before) <= _NEAR * most:
                break
        return noise

    def denoised(self, denoiser: Denoising, noise: float) -> np.ndarray:
        """The vectors without noise of this standard deviation in their numbers, float32."""
        if noise == 0.0:
            return self.rows
        lengths = self._lengths(noise)
        found = denoiser.denoised(self._features(lengths), noise * self.scale / lengths[:, 0])
        return np.asarray((found / np.float32(self.scale) + self.mean) * lengths)

    def _lengths(self, noise: float) -> np.ndarray:
        """What the vectors are divided by, (n, 1): 1, or the lengths without their noise."""
        if not self.by_direction:
            return np.ones((len(self.rows), 1), np.float32)
        squares = np.square(self.rows, dtype=np.float64).sum(axis=1, keepdims=True)
        left = np.maximum(squares - self.rows.shape[1] * noise**2, _LEAST_LEFT * squares)
        return np.sqrt(left).astype(np.float32)

    def _features(self, lengths: np.ndarray) -> np.ndarray:
        return np.asarray((self.rows / lengths - self.mean) * np.float32(self.scale))


def rows_of(payload: Any) -> np.ndarray:
    """One vector or several as rows. Raises `PayloadError` for what are none."""
    try:
        given = np.asarray(payload)
    except ValueError:  # rows of several lengths
        given = np.asarray(None)
    if given.ndim not in (1, 2) or not given.size:
        raise PayloadError(
            f"vectors: expected rows of numbers, got {given.dtype} of shape {given.shape}; pass "
            "(width,) or (n, width)"
        )
    return given if given.ndim == 2 else given[None]


def same_form(rows: np.ndarray, given: np.ndarray) -> np.ndarray:
    """The rows in the shape and, if it is one of numbers, the dtype that were given."""
    if given.dtype.kind in "iu":
        limits = np.iinfo(given.dtype)
        rows = np.clip(np.rint(rows), limits.min, limits.max)
    return rows.reshape(given.shape).astype(
        given.dtype if given.dtype.kind in "iuf" else rows.dtype
    )
