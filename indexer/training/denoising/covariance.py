"""Learn a denoiser of vectors: their covariance says all that a linear one needs."""

from __future__ import annotations

import numpy as np
from scipy.linalg import eigh

from hashret.decoders.vector_denoiser import VectorDenoiser

#: The most principal directions of vectors; the others are treated alike.
_MOST_DIRECTIONS = 512
#: The widest vectors of which a covariance is computed: it takes 64 MB then, and seconds.
_WIDEST = 4_096


def vector_denoiser(features: np.ndarray) -> VectorDenoiser | None:
    """The denoiser of rows (n, n_features) of features, n >= 2; None of rows that are too wide."""
    n_features = features.shape[1]
    if n_features > _WIDEST:
        return None
    covariance = np.cov(features, rowvar=False).reshape(n_features, n_features)
    n_directions = min(n_features, _MOST_DIRECTIONS)
    among = (n_features - n_directions, n_features - 1)
    variances, directions = eigh(covariance, subset_by_index=among)
    total = float(np.trace(covariance))
    return VectorDenoiser.of(np.maximum(variances[::-1], 0.0), directions[:, ::-1], total)
