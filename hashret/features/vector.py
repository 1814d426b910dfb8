"""Vectors as features: centred, and scaled by one number so that their geometry stays."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self

import numpy as np

from hashret.errors import EmptyCorpusError, PayloadError
from hashret.features.base import Hasher
from hashret.items import Payload
from hashret.specs import VectorSpec


class VectorFeaturizer:
    """The mean of the vectors and their mean standard deviation."""

    def __init__(self, spec: VectorSpec, mean: np.ndarray, scale: float):
        self.spec = spec
        self._mean = mean
        self._scale = scale

    @property
    def n_features(self) -> int:
        """The width of a vector."""
        return len(self._mean)

    @classmethod
    def suggest_spec(cls, payloads: Sequence[Payload]) -> VectorSpec:
        """The width of the first vector; the others must have it too."""
        for payload in payloads:
            array = np.asarray(payload)
            if array.ndim == 1 and len(array):
                return VectorSpec(n_features=len(array))
        return VectorSpec()

    @classmethod
    def prepare(cls, payload: Payload, spec: VectorSpec) -> np.ndarray:
        """The vector as (n_features,) float32.

        Raises `PayloadError` for another shape or width, numbers that are not finite in float32,
        and a vector of length zero, which points nowhere.
        """
        try:
            with np.errstate(over="ignore"):
                vector = np.asarray(payload, np.float32)
        except (TypeError, ValueError):
            raise PayloadError(
                f"vector: expected numbers, got {type(payload).__name__}; pass a 1-D float array"
            ) from None
        if vector.shape != (spec.n_features,):
            raise PayloadError(
                f"vector: expected {spec.n_features} numbers, got shape {vector.shape}; "
                "use the model that made the collection's vectors"
            )
        if not np.isfinite(vector).all():
            raise PayloadError("vector: expected finite numbers, got NaN or infinity; leave it out")
        if not vector.any():
            raise PayloadError("vector: expected a length above 0, got only zeros; leave it out")
        return vector

    @classmethod
    def fit(cls, prepared: Iterable[np.ndarray], spec: VectorSpec) -> Self:
        """Learn mean and scale in one pass, in float64."""
        n, total, squares = 0, np.zeros(spec.n_features), 0.0
        for vector in prepared:
            wide = vector.astype(np.float64)
            total += wide
            squares += float(wide @ wide)
            n += 1
        if n == 0:
            raise EmptyCorpusError("vectors: expected at least one, got none; check the sources")
        mean = total / n
        variance = max(squares / n - float(mean @ mean), 0.0) / max(spec.n_features, 1)
        scale = 1.0 / math.sqrt(variance) if variance > 1e-24 else 1.0
        return cls(spec, mean.astype(np.float32), float(np.float32(scale)))

    def transform(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """(n, n_features) float32: (x - mean) * scale, element by element."""
        stacked = (
            np.stack(prepared) if len(prepared) else np.empty((0, self.n_features), np.float32)
        )
        return (stacked - self._mean) * np.float32(self._scale)

    def tensors(self) -> dict[str, np.ndarray]:
        """The mean and the scale."""
        return {"mean": self._mean, "scale": np.array([self._scale], np.float32)}

    @classmethod
    def from_tensors(cls, spec: VectorSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a fitted featurizer."""
        return cls(spec, tensors["mean"], float(tensors["scale"][0]))

    @classmethod
    def preview(cls, payload: Payload) -> str:
        """Nothing: numbers tell a reader nothing."""
        return ""

    @classmethod
    def digest(cls, payload: Any, hasher: Hasher) -> None:
        """Hash the numbers as float32."""
        try:
            hasher.update(np.ascontiguousarray(payload, np.float32).tobytes())
        except (TypeError, ValueError):
            raise PayloadError(f"vector: expected numbers, got {type(payload).__name__}") from None
