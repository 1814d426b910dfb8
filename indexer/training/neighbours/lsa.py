"""Latent semantic directions: a linear map of texts, used by the encoder beside their words.

Latent semantic analysis (Deerwester et al., 1990) finds which words occur together, and is not
fitted to neighbourhoods. A network of millions of weights overfits the neighbourhoods of its own
documents; this map can't.
"""

from __future__ import annotations

import numpy as np

from hashret.sparse import SparseRows, to_scipy
from indexer.training.neighbours.randomized_svd import principal_directions
from indexer.training.neighbours.term_weighting import l2_normalised, weighted

_ITEMS_EACH = 30  # least number of items per direction, so that a small corpus has fewer


def latent_directions(
    rows: SparseRows, weights: np.ndarray, most: int, rng: np.random.Generator
) -> np.ndarray:
    """(n_features, at most `most`) float32: what to multiply tf-idf rows by.

    The leading singular directions of the rows weighted by `weights` (n_features,), of unit length;
    the weights are part of the map.
    """
    count = max(1, min(most, len(rows) // _ITEMS_EACH, rows.n_features))
    words = to_scipy(l2_normalised(weighted(rows, weights)))
    directions = principal_directions(words, count, rng)
    return (directions * weights[:, None]).astype(np.float32)
