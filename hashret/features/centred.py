"""What images and vectors have in common: features centred, and scaled by one number."""

from __future__ import annotations

from typing import Generic, TypeVar

import numpy as np

from hashret.items import Payload
from hashret.specs import ImageSpec, VectorSpec

S = TypeVar("S", bound=ImageSpec | VectorSpec)


class CentredFeaturizer(Generic[S]):
    """Learned state of two parts: a `mean` (of the shape of a prepared payload) and a `scale`."""

    def __init__(self, spec: S, mean: np.ndarray, scale: float):
        self.spec = spec
        self._mean = mean
        self._scale = scale

    def tensors(self) -> dict[str, np.ndarray]:
        """The mean, float32, and the scale, (1,) float32."""
        return {"mean": self._mean, "scale": np.array([self._scale], np.float32)}

    @classmethod
    def preview(cls, payload: Payload) -> str:
        """Nothing: an image is shown by its id, and numbers tell a reader nothing."""
        return ""
