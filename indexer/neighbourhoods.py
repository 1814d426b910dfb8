"""Neighbourhoods without labels: which training items are alike, by features and learned codes.

Similarities are computed in tiles of rows against a pool of items and cut to the k nearest at
once, so memory is linear in the number of items. The pool is the whole corpus up to
`EXACT_ITEMS` items and a random sample of that size above, with k shrunk in proportion, so time
is linear in the number of items too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from scipy.sparse import csr_array
from torch import Tensor
from torch.nn import functional

from hashret.sparse import Features, SparseRows
from indexer.words import l2_normalised, rarity_weighted

#: Up to this many items the search is exact over all of them.
EXACT_ITEMS = 20_000
#: Of a neighbourhood this many members are kept, at random: their mean stands for the whole.
KEPT_MEMBERS = 128

_TILE_ROWS = 1024
_LATENT = 100


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """`members` (n, m) int32: for each item m rows drawn from its `width` nearest, not itself."""

    members: np.ndarray
    width: int

    def draw(self, rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """`count` members of each given row, (len(rows), count), with replacement."""
        chosen = rng.integers(0, self.members.shape[1], (len(rows), count))
        return self.members[rows[:, None], chosen]


class Similarity(Protocol):
    """How alike items are: larger is nearer; any offset and scale."""

    def tile(self, start: int, stop: int, pool: np.ndarray | None) -> Tensor:
        """(stop - start, n_pool) float32: rows start to stop against the pool (None: all)."""
        ...


class LatentSimilarity:
    """Cosine of latent semantic coordinates (halved) plus that of the rarity-weighted words.

    Latent semantic analysis (Deerwester et al., 1990) sees past the choice of words; the words
    themselves see the narrow topic. Of a corpus larger than `EXACT_ITEMS` only the latent part is
    used: the product of sparse rows costs several times as much.
    """

    def __init__(self, features: SparseRows, rng: np.random.Generator):
        weighted = l2_normalised(rarity_weighted(features))
        arrays = (weighted.values, weighted.indices, weighted.indptr)
        self._words = csr_array(arrays, shape=features.shape)
        rank = min(_LATENT, *features.shape)
        self._latent = functional.normalize(torch.from_numpy(_principal(self._words, rank, rng)))
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
            centred = _principal(centred, min(_LATENT, *features.shape), rng)
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


def find_neighbourhoods(
    similarity: Similarity,
    n: int,
    width: int,
    rng: np.random.Generator,
    on_rows: Callable[[int], None] | None = None,
) -> Neighbourhoods:
    """The `width` nearest others of each of n >= 2 items, at most `KEPT_MEMBERS` kept of each.

    `on_rows` is called with the number of items done so far.
    """
    pool = np.sort(rng.choice(n, EXACT_ITEMS, replace=False)) if n > EXACT_ITEMS else None
    n_pool = n if pool is None else len(pool)
    count = max(1, min(n_pool - 1, round(width * n_pool / n)))
    kept = min(count, KEPT_MEMBERS)
    members = np.empty((n, kept), np.int32)
    for start in range(0, n, _TILE_ROWS):
        stop = min(start + _TILE_ROWS, n)
        tile = similarity.tile(start, stop, pool)
        _hide_self(tile, start, pool)
        nearest = torch.topk(tile, count, dim=1, sorted=False).indices.numpy()
        if kept < count:
            nearest = rng.permuted(nearest, axis=1)[:, :kept]
        members[start:stop] = nearest if pool is None else pool[nearest]
        if on_rows:
            on_rows(stop)
    return Neighbourhoods(members, width)


def _hide_self(tile: Tensor, start: int, pool: np.ndarray | None) -> None:
    rows = np.arange(start, start + len(tile))
    columns = rows
    if pool is not None:
        columns = np.searchsorted(pool, rows)
        present = (columns < len(pool)) & (pool[np.minimum(columns, len(pool) - 1)] == rows)
        rows, columns = rows[present], columns[present]
    tile[torch.from_numpy(rows - start), torch.from_numpy(columns)] = -torch.inf


def _principal(matrix: Any, rank: int, rng: np.random.Generator) -> np.ndarray:
    """The rows of `matrix` in its `rank` leading singular directions, (n, rank) float32.

    Randomised range finder with two power iterations (Halko, Martinsson and Tropp, SIAM Review
    2011, algorithms 4.4 and 5.1).
    """
    n_columns = matrix.shape[1]
    oversampled = min(rank + 10, *matrix.shape)
    sketch = matrix @ rng.standard_normal((n_columns, oversampled), dtype=np.float32)
    for _ in range(2):
        basis = np.linalg.qr(sketch)[0]
        sketch = matrix @ np.linalg.qr(matrix.T @ basis)[0]
    basis = np.linalg.qr(sketch)[0]
    left, scale, _ = np.linalg.svd((matrix.T @ basis).T, full_matrices=False)
    return np.ascontiguousarray((basis @ (left * scale))[:, :rank], np.float32)
