"""The common part of images and vectors: features are centred and scaled by one number."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import numpy as np

from hashret.items import Payload
from hashret.sparse import Features
from hashret.specs import ImageSpec, VectorSpec

S = TypeVar("S", bound=ImageSpec | VectorSpec)


class CentredFeaturizer(Generic[S]):
    """Base class whose learned state is a `mean` (shaped like a payload) and a `scale`."""

    def __init__(self, spec: S, mean: np.ndarray, scale: float):
        self.spec = spec
        self._mean = mean
        self._scale = scale

    def compared(self, features: Features) -> Features:
        """The features as they were before they were scaled: centred."""
        return np.asarray(features, np.float32) / np.float32(self._scale)

    def tensors(self) -> dict[str, np.ndarray]:
        """The mean, float32, and the scale, (1,) float32."""
        return {"mean": self._mean, "scale": np.array([self._scale], np.float32)}

    @classmethod
    def keep(cls, payload: Payload) -> bytes:
        """The payload as it is kept for a model to come (`features.kept`).

        Raises `PayloadError` for what no model could take.
        """
        raise NotImplementedError

    @classmethod
    def kept(cls, data: bytes) -> Any:
        """What `keep` kept, as a payload. Raises `DamagedError`."""
        raise NotImplementedError

    @classmethod
    def preview(cls, payload: Payload) -> str:
        """Always "": images and numbers have no text to show."""
        return ""
