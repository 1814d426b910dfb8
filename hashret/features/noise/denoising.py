"""What is needed of a denoiser (`hashret.decoders.denoiser`)."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np


class Denoising(Protocol):
    """Takes noise out of levels, or of features."""

    def noise_of(self, noisy: np.ndarray) -> float:
        """The standard deviation of the noise, estimated."""
        ...

    def denoised(self, noisy: np.ndarray, noise: Any) -> np.ndarray:
        """The same without its noise, of one standard deviation, or one for each row."""
        ...
