"""What a code must explain: the item itself and its neighbourhood.

Decoding the words of the neighbours beside the item's own is what lifts the precision of text
codes most (PairRec, Hansen et al., SIGIR 2020; node2hash, Chaidaroon et al., SIGIR 2018). Here
the target is the item mixed with the *mean* of a wide, label-free neighbourhood. The gradient of
both losses is linear in the target, so a few neighbours drawn afresh each step give an unbiased
gradient of the loss on the full mean, in memory linear in the number of items.
"""

from __future__ import annotations

from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hashret.sparse import SparseRows
from indexer.training.batches import TrainingItems
from indexer.training.neighbours.neighbourhoods import Neighbourhoods
from indexer.training.neighbours.term_weighting import l1_normalised, rarity_weighted
from indexer.training.presets import Recipe

#: Added to the variance of a unit of the code: one that never varies is correlated with none.
_SPREAD_FLOOR = 1e-4


def word_cross_entropy(outputs: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of softmax(outputs) against rows of `target` that sum to at most 1."""
    return -(target * functional.log_softmax(outputs.float(), dim=1)).sum(dim=1).mean()


def squared_error(outputs: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over items and features."""
    return functional.mse_loss(outputs.float(), target)


def contrast(code: Tensor, partners: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of telling each item's partner from all others of the batch, by its code.

    Both (b, n_bits) in [0, 1]; row i of each belong together. Scores are products of codes in
    [-1, 1], divided by the bits and the temperature: near codes for partners, far ones for others,
    and so bits that do not repeat each other. The loss is that of SimCLR (Chen et al., ICML 2020,
    section 2.1, in one direction), for codes CIBHash (Qiu et al., IJCAI 2021, section 3.1); there
    the partner is the item corrupted once more, here it may be a neighbour.
    """
    scores = (2.0 * code - 1.0) @ (2.0 * partners - 1.0).T
    wanted = torch.arange(len(code), device=code.device)
    return functional.cross_entropy(scores.float() / (code.shape[1] * temperature), wanted)


def independence(code: Tensor) -> Tensor:
    """Mean squared correlation of two different bits over a batch of codes (b, n_bits) in [0, 1].

    0 where no bit tells anything about another by a straight line, 1 where all say the same. What
    makes a code efficient asks for it (Weiss, Torralba and Fergus, Spectral hashing, NIPS 2008,
    section 2); as a term of training it is the second of Barlow Twins (Zbontar et al., ICML 2021,
    section 3.1), of one view with itself. Of a single bit it is 0.
    """
    n_bits = code.shape[1]
    centred = code - code.mean(dim=0)
    unit = centred * torch.rsqrt(centred.square().sum(dim=0) + _SPREAD_FLOOR * len(code))
    correlations = unit.T @ unit
    others = correlations.square().sum() - correlations.diagonal().square().sum()
    return others / max(1, n_bits * (n_bits - 1))


def balance(code: Tensor) -> Tensor:
    """Mean over bits of the squared mean of the batch, codes (b, n_bits) in [0, 1] read as -1 to 1.

    0 where every bit is 1 for half of the batch, 1 where none varies (Weiss, Torralba and Fergus,
    Spectral hashing, NIPS 2008, section 2).
    """
    return (2.0 * code.mean(dim=0) - 1.0).square().mean()


class Objective(Protocol):
    """A loss on the decoder's outputs for a batch of training rows."""

    def __call__(self, outputs: Tensor, rows: np.ndarray, near: Neighbourhoods | None) -> Tensor:
        """The loss; with `near`, against the items mixed with their neighbours."""
        ...


class Words:
    """Cross-entropy against the item's word distribution, mixed with its neighbours' mean.

    The distribution of an item is its features (tf-idf), weighted by rarity and L1-normalised;
    that of an item without a word is empty and costs nothing.
    """

    def __init__(self, items: TrainingItems, weight: float, draws: int, rng: np.random.Generator):
        if not isinstance(items.features, SparseRows):
            raise TypeError("features: expected sparse rows for the objective 'words'")
        self._distributions = l1_normalised(rarity_weighted(items.features))
        self._device = items.device
        self._mixture = _Mixture(weight, draws, rng)

    def __call__(self, outputs: Tensor, rows: np.ndarray, near: Neighbourhoods | None) -> Tensor:
        """The cross-entropy of a batch."""
        members, weights = self._mixture.of(rows, near)
        taken = self._distributions.take(members.ravel())
        owner = np.repeat(np.arange(members.size) // members.shape[1], taken.nnz_per_row)
        values = taken.values * np.repeat(np.tile(weights, len(rows)), taken.nnz_per_row)
        # on the CPU: on CUDA, index_add_ sums in an order that varies from run to run
        target = torch.zeros(len(rows) * taken.n_features)
        flat = torch.from_numpy(owner * taken.n_features + taken.indices)
        target.index_add_(0, flat, torch.from_numpy(values))
        return word_cross_entropy(outputs, target.view(len(rows), -1).to(self._device))


class Squared:
    """Mean squared error against what is told of the item, mixed with its neighbours' mean.

    That is the items' `targets`, or, where they have none, their scaled features.
    """

    def __init__(self, items: TrainingItems, weight: float, draws: int, rng: np.random.Generator):
        if isinstance(items.features, SparseRows):
            raise TypeError("features: expected a dense array for the objective 'squared'")
        told, scale = items.targets, 1.0
        if told is None:
            told, scale = items.features, items.scale
        self._told = told
        self._scale = np.float32(scale)
        self._device = items.device
        self._mixture = _Mixture(weight, draws, rng)

    def __call__(self, outputs: Tensor, rows: np.ndarray, near: Neighbourhoods | None) -> Tensor:
        """The squared error of a batch."""
        members, weights = self._mixture.of(rows, near)
        mean = np.einsum("imf,m->if", self._told[members], weights * self._scale)
        target = torch.from_numpy(mean.astype(np.float32, copy=False)).to(self._device)
        return squared_error(outputs, target)


class _Mixture:
    """Which items make up the targets of a batch, and with what weights."""

    def __init__(self, weight: float, draws: int, rng: np.random.Generator):
        self._weight = weight
        self._draws = draws
        self._rng = rng

    def of(self, rows: np.ndarray, near: Neighbourhoods | None) -> tuple[np.ndarray, np.ndarray]:
        """Members (b, m) of the targets of a batch, the item first, and their (m,) weights."""
        if near is None or self._weight == 0.0:
            return rows[:, None], np.ones(1, np.float32)
        members = np.column_stack([rows, near.draw(rows, self._draws, self._rng)])
        weights = np.full(members.shape[1], self._weight / (members.shape[1] - 1), np.float32)
        weights[0] = 1.0 - self._weight
        return members, weights


def objective_for(recipe: Recipe, items: TrainingItems, rng: np.random.Generator) -> Objective:
    """The recipe's objective: "words" (sparse features), else the squared error (dense ones)."""
    kind = Words if recipe.objective == "words" else Squared
    return kind(items, recipe.neighbour_weight, recipe.neighbour_draws, rng)
