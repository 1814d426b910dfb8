"""How good are codes, as far as items that nobody labelled can tell?

Texts held out from training are cut into two halves of their words. What a good code of one half
finds is about what the other half is about. Two figures say how well (docs/adr/0019): the
*agreement* of the neighbours that both halves find, corrected for chance, and the *themes* of the
one half among the neighbours of the other. Their product is the quality. Of a user's own vectors,
the quality is what their codes are for: the float neighbours kept. Of images no figure is known
that follows their labels.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hashret.codes import Codes, hamming
from hashret.models.base import Encoder
from hashret.sparse import SparseRows, concatenate, to_scipy
from indexer.training.neighbours.randomized_svd import principal_coordinates
from indexer.training.neighbours.term_weighting import l2_normalised, rarity_weighted
from indexer.training.vectors.towers import held_out_recall

#: Neighbours that are compared: 100, as P@100 has, and of few items at most a tenth of them.
_DEPTH, _SHARE = 100, 10
#: Latent directions that themes are told apart by: broad ones, not words.
_THEMES = 24


class Criterion(Protocol):
    """The quality of codes without labels; the larger the better, for one corpus."""

    def __call__(self, encoder: Encoder) -> float:
        """The quality of the codes of an encoder."""
        ...


@dataclass(frozen=True, slots=True)
class Halves:
    """Texts to search, (n, n_features), and the two halves of held-out ones, (m, n_features).

    `themes`, (n + 2 m, d): the place of each, in that order, in the space of themes; unit length.
    """

    items: SparseRows
    first: SparseRows
    second: SparseRows
    themes: np.ndarray

    @classmethod
    def of(cls, items: SparseRows, held: SparseRows, rng: np.random.Generator) -> Halves:
        """Each word of a held-out text is in one of its halves, by chance."""
        drawn = rng.random(len(held.indices)) < 0.5
        first, second = _only(held, drawn), _only(held, ~drawn)
        return cls(items, first, second, themes_of([items, first, second], rng))

    def __call__(self, encoder: Encoder) -> float:
        """Agreement times themes, each at least 0: see the top of this file."""
        items = encoder.encode(self.items)
        k = max(1, min(_DEPTH, len(items) // _SHARE))
        halves = [encoder.encode(half) for half in (self.first, self.second)]
        shares = [shares_of_nearest(half, items, k) for half in halves]
        return max(0.0, agreement(*shares)) * max(0.0, self.shared_themes(shares))

    def shared_themes(self, shares: list[np.ndarray]) -> float:
        """How far the neighbours of each half, as `shares_of_nearest`, share the other's themes.

        This is the mean cosine of a half and an item among its other half's neighbours, less that
        of a half and any item.
        """
        n, m = len(self.items), len(self.first)
        items, *halves = np.split(self.themes, [n, n + m])
        background = items.mean(axis=0)
        gains = [
            ((near @ items / near[0].sum() - background) * other).sum(axis=1).mean()
            for near, other in zip(shares, halves[::-1], strict=True)
        ]
        return float(np.mean(gains))


@dataclass(frozen=True, slots=True)
class FloatNeighbours:
    """Vectors to search and to ask for, (n, n_features) and (m, n_features)."""

    items: np.ndarray
    held: np.ndarray

    def __call__(self, encoder: Encoder) -> float:
        """Recall of the 10 nearest floats, the mean of that by the query's weights and by bits."""
        return float(np.mean(held_out_recall(encoder, self.held, self.items)))


def shares_of_nearest(queries: Codes, items: Codes, k: int) -> np.ndarray:
    """How much of each item is among the k nearest of each query, (m, n) float32; rows sum to k.

    Items that tie for the last places share them.
    """
    distances = hamming(queries, items)
    last = np.partition(distances, k - 1, axis=1)[:, k - 1, None]
    inside, tied = distances < last, distances == last
    left = k - inside.sum(axis=1, keepdims=True)
    return (inside + tied * (left / tied.sum(axis=1, keepdims=True))).astype(np.float32)


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """How far row i of two `shares_of_nearest` agrees beyond rows i and j != i: Cohen's kappa.

    1 where each pair of rows has the same neighbours and no other pair shares any, 0 by chance.
    Codes that put many items in few buckets agree by chance, and gain nothing.
    """
    m, k = len(first), float(first[0].sum())
    observed = float(np.einsum("ij,ij->", first, second, dtype=np.float64)) / (m * k)
    pairs = float(first.sum(axis=0, dtype=np.float64) @ second.sum(axis=0, dtype=np.float64))
    chance = (pairs / k - observed * m) / (m * (m - 1))
    return (observed - chance) / (1.0 - chance) if chance < 1.0 else 0.0


def _only(rows: SparseRows, chosen: np.ndarray) -> SparseRows:
    """The chosen entries, rows of unit length again."""
    owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)[chosen]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(rows)))])
    part = SparseRows(indptr, rows.indices[chosen], rows.values[chosen], rows.n_features)
    return l2_normalised(part)


def themes_of(parts: list[SparseRows], rng: np.random.Generator) -> np.ndarray:
    """Where texts stand in the leading latent directions of their rarer words, (n, d), unit."""
    matrix = to_scipy(l2_normalised(rarity_weighted(concatenate(parts))))
    found = principal_coordinates(matrix, min(_THEMES, *matrix.shape), rng)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
