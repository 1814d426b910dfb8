"""How alike training items are, by their features and by codes already learned."""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from hashret.sparse import Features, SparseRows
from indexer.principal import principal_coordinates
from indexer.words import l2_normalised, rarity_weighted

#: Up to this many items are compared with all others.
EXACT_ITEMS = 20_000

_LATENT = 100
_THEMES = 24


class Similarity(Protocol):
    """How alike items are: larger is nearer; any offset and scale."""

    def tile(self, start: int, stop: int, pool: np.ndarray | None) -> Tensor:
        """(stop - start, n_pool) float32: rows start to stop against the pool (None: all)."""
        ...


class LatentSimilarity:
    """Cosines of latent semantic coordinates (halved) plus that of the rarity-weighted words.

    Latent semantic analysis (Deerwester et al., 1990) sees past the choice of words: in 24
    dimensions the broad themes, in 100 the topics; the words themselves see the narrowest. Their
    errors differ, so their sum is better than each. Of a corpus larger than `EXACT_ITEMS` only the
    latent parts are used: the product of sparse rows costs several times as much.
    """

    def __init__(self, features: SparseRows, rng: np.random.Generator):
        weighted = l2_normalised(rarity_weighted(features))
        arrays = (weighted.values, weighted.indices, weighted.indptr)
        self._words = csr_array(arrays, shape=features.shape)
        rank = min(_LATENT, *features.shape)
        coordinates = torch.from_numpy(principal_coordinates(self._words, rank, rng))
        # unit rows side by side: their product is the sum of the cosines
        views = [functional.normalize(part) for part in (coordinates, coordinates[:, :_THEMES])]
        self._latent = torch.cat(views, dim=1)
        self._exact = len(features) <= EXACT_ITEMS

    def tile(self, start: int, stop: int, pool: np.ndarray | None) -> Tensor:
        """See `Similarity`."""
        others = self._latent if pool is None else self._latent[pool]
        similarity = self._latent[start:stop] @ others.T
        if self._exact:
            columns = self._words if pool is None else self._words[pool]
            words = (self._words[start:stop] @ columns.T).toarray()
            similarity.mul_(0.5).add_(torch.from_numpy(words))
        return similarity


class EuclideanSimilarity:
    """Minus half the squared Euclidean distance, up to a constant per row, after centring.

    Wide features are first projected on their leading principal components.
    """

    def __init__(self, features: np.ndarray, rng: np.random.Generator):
        centred = np.asarray(features, np.float32) - features.mean(axis=0, dtype=np.float32)
        if features.shape[1] > _LATENT and len(features) > 1:
            centred = principal_coordinates(centred, min(_LATENT, *features.shape), rng)
        self._points = torch.from_numpy(centred)
        self._half_norms = self._points.square().sum(dim=1) / 2.0

    def tile(self, start: int, stop: int, pool: np.ndarray | None) -> Tensor:
        """See `Similarity`."""
        others = self._points if pool is None else self._points[pool]
        norms = self._half_norms if pool is None else self._half_norms[pool]
        return self._points[start:stop] @ others.T - norms


class CosineSimilarity:
    """The cosine of dense rows, such as learned codes in [-1, 1]."""

    def __init__(self, points: np.ndarray):
        self._unit = functional.normalize(torch.from_numpy(points))

    def tile(self, start: int, stop: int, pool: np.ndarray | None) -> Tensor:
        """See `Similarity`."""
        return self._unit[start:stop] @ (self._unit if pool is None else self._unit[pool]).T


class MixedSimilarity:
    """The sum of similarities, each in standard deviations of its own tile."""

    def __init__(self, *parts: Similarity):
        self._parts = parts

    def tile(self, start: int, stop: int, pool: np.ndarray | None) -> Tensor:
        """See `Similarity`."""
        tiles = [part.tile(start, stop, pool) for part in self._parts]
        return torch.stack([tile.div_(tile.std().clamp(min=1e-9)) for tile in tiles]).sum(dim=0)


def similarity_of(features: Features, rng: np.random.Generator) -> Similarity:
    """The similarity of items by their features: latent for sparse rows, else Euclidean."""
    if isinstance(features, SparseRows):
        return LatentSimilarity(features, rng)
    return EuclideanSimilarity(features, rng)
