"""Measure the quality of codes without labels, on items held out from training.

For texts, the words of each held-out text are divided into two halves at random. The codes of both
halves should find the same items, and items on the theme of the other half. The quality is the
product of two figures (docs/adr/0019): the *agreement* of the neighbours that both halves find,
corrected for chance, and the *themes* that a half shares with the neighbours of the other half.

For vectors, the quality is the recall of the nearest vectors by the codes. For images no figure is
known that follows their labels.
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

_DEPTH = 100  # neighbours that are compared, as in P@100
_ITEMS_PER_NEIGHBOUR = 10  # at least so many, so that a small corpus has fewer neighbours
_THEMES = 24  # latent dimensions in which themes are compared: few, so that they are broad


class Criterion(Protocol):
    """A measure of the quality of codes without labels; larger is better, within one corpus."""

    def __call__(self, encoder: Encoder) -> float:
        """The quality of the codes of an encoder."""
        ...


@dataclass(frozen=True, slots=True)
class Halves:
    """The criterion for texts: items to search, and two halves of each held-out text."""

    items: SparseRows
    """(n, n_features)."""
    first: SparseRows
    """(m, n_features)."""
    second: SparseRows
    """(m, n_features)."""
    themes: np.ndarray
    """(n + 2 m, d): the themes of the items, the first and the second halves; unit length."""

    @classmethod
    def of(cls, items: SparseRows, held_out: SparseRows, rng: np.random.Generator) -> Halves:
        """The criterion in which each word of a held-out text is in one half, at random."""
        drawn = rng.random(len(held_out.indices)) < 0.5
        first, second = _only(held_out, drawn), _only(held_out, ~drawn)
        return cls(items, first, second, themes_of([items, first, second], rng))

    def __call__(self, encoder: Encoder) -> float:
        """The agreement times the shared themes, each at least 0; see the top of this file."""
        items = encoder.encode(self.items)
        k = max(1, min(_DEPTH, len(items) // _ITEMS_PER_NEIGHBOUR))
        halves = [encoder.encode(half) for half in (self.first, self.second)]
        shares = [shares_of_nearest(half, items, k) for half in halves]
        return max(0.0, agreement(*shares)) * max(0.0, self.shared_themes(shares))

    def shared_themes(self, shares: list[np.ndarray]) -> float:
        """How much the neighbours of one half, by `shares_of_nearest`, share the other's themes.

        This is the mean cosine between a half and the neighbours of its other half, minus the mean
        cosine between a half and all items.
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
    """The criterion for vectors: items to search, and held-out vectors as queries."""

    items: np.ndarray
    """(n, n_features)."""
    held_out: np.ndarray
    """(m, n_features)."""

    def __call__(self, encoder: Encoder) -> float:
        """The recall of the 10 nearest vectors: the mean of the recalls by score and by bits."""
        return float(np.mean(held_out_recall(encoder, self.held_out, self.items)))


def shares_of_nearest(queries: Codes, items: Codes, k: int) -> np.ndarray:
    """The share of each item in the k nearest of each query, (m, n) float32; rows sum to k.

    The share is 1 or 0; items that tie for the last places divide these equally.
    """
    distances = hamming(queries, items)
    last = np.partition(distances, k - 1, axis=1)[:, k - 1, None]
    inside, tied = distances < last, distances == last
    left = k - inside.sum(axis=1, keepdims=True)
    return (inside + tied * (left / tied.sum(axis=1, keepdims=True))).astype(np.float32)


def agreement(first: np.ndarray, second: np.ndarray) -> float:
    """How far the rows i of two `shares_of_nearest` agree beyond chance, as in Cohen's kappa.

    Chance is the agreement of rows i and j != i. The result is 1 if rows i have the same neighbours
    and no other pair of rows shares any; it is 0 by chance. So codes that put many items into few
    buckets gain nothing.
    """
    m, k = len(first), float(first[0].sum())
    observed = float(np.einsum("ij,ij->", first, second, dtype=np.float64)) / (m * k)
    pairs = float(first.sum(axis=0, dtype=np.float64) @ second.sum(axis=0, dtype=np.float64))
    chance = (pairs / k - observed * m) / (m * (m - 1))
    return (observed - chance) / (1.0 - chance) if chance < 1.0 else 0.0


def _only(rows: SparseRows, chosen: np.ndarray) -> SparseRows:
    """The rows with only the chosen entries, again of unit length."""
    owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)[chosen]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(rows)))])
    part = SparseRows(indptr, rows.indices[chosen], rows.values[chosen], rows.n_features)
    return l2_normalised(part)


def themes_of(parts: list[SparseRows], rng: np.random.Generator) -> np.ndarray:
    """The texts in the leading latent dimensions of their rare words, (n, d), of unit length."""
    matrix = to_scipy(l2_normalised(rarity_weighted(concatenate(parts))))
    found = principal_coordinates(matrix, min(_THEMES, *matrix.shape), rng)
    return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-9)
