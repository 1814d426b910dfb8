"""The losses: what a code must explain (the item and its neighbourhood), and further terms.

Decoding the words of an item's neighbours as well as its own improves the precision of text codes
more than anything else (PairRec, Hansen et al., SIGIR 2020; node2hash, Chaidaroon et al., SIGIR
2018). Here the target is the item mixed with the *mean* of a wide, label-free neighbourhood. The
gradient of both losses is linear in the target, so a few neighbours drawn afresh each step give an
unbiased gradient of the loss on the full mean, in memory linear in the number of items.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hashret.models.steps import steps_of
from hashret.sparse import require_dense, require_sparse, side_by_side
from indexer.training.neighbours.image_views import image_views
from indexer.training.neighbours.neighbourhoods import Neighbourhoods
from indexer.training.neighbours.sequence_views import order_counts, resampled
from indexer.training.neighbours.similarities import (
    Points,
    cosine_points,
    euclidean_points,
    latent_points,
)
from indexer.training.neighbours.term_weighting import l1_normalised, rarity, weighted
from indexer.training.networks.autoencoder import HiddenLayer, Trunk
from indexer.training.parts import Balance, Contrast, Independence, Neighbours, Succession
from indexer.training.training_set import Preparation

#: Bits from which on codes get the full weight of the contrast; for shorter codes the weight falls
#: with the square of their length.
CONTRAST_BITS = 64
#: Bits up to which `Neighbours.short_only` has its full weight; at twice as many it has none.
SHORT_BITS = 16
#: Added to the variance of a code unit, so that one that never varies correlates with no other.
_SPREAD_FLOOR = 1e-4


def word_cross_entropy(outputs: Tensor, target: Tensor) -> Tensor:
    """Mean cross-entropy of softmax(outputs) against rows of `target` that sum to at most 1."""
    return -(target * functional.log_softmax(outputs.float(), dim=1)).sum(dim=1).mean()


def squared_error(outputs: Tensor, target: Tensor) -> Tensor:
    """Mean squared error over items and features."""
    return functional.mse_loss(outputs.float(), target)


def contrast(code: Tensor, partners: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of telling each item's partner from the rest of the batch by their codes.

    Both are (b, n_bits) in [0, 1]; row i of one is the partner of row i of the other. Scores are
    products of codes in [-1, 1], divided by the number of bits and the temperature. The loss pulls
    partners together and pushes others apart, so bits do not repeat each other. The loss is that of
    SimCLR (Chen et al., ICML 2020, section 2.1, in one direction), and for codes that of CIBHash
    (Qiu et al., IJCAI 2021, section 3.1). There the partner is the item under fresh corruption;
    here it may be a neighbour.
    """
    scores = (2.0 * code - 1.0) @ (2.0 * partners - 1.0).T
    wanted = torch.arange(len(code), device=code.device)
    return functional.cross_entropy(scores.float() / (code.shape[1] * temperature), wanted)


def neighbours_contrast(code: Tensor, keys: Tensor, is_near: Tensor, temperature: float) -> Tensor:
    """Mean cross-entropy of telling all of an item's neighbours from the rest by their codes.

    `code` and `keys` (b, n_bits) in [0, 1] are codes of the same items, `is_near` (b, b) bool says
    which keys are neighbours of each, itself among them. An item without another neighbour in the
    batch adds no loss. Scores are those of `contrast`, and what they must equal is the uniform
    distribution over the neighbours. With labels in place of neighbourhoods it is the loss of
    Khosla et al., "Supervised contrastive learning", NeurIPS 2020, section 3.2.2. The contrast
    with one partner pushes the other neighbours in the batch away, which costs short codes most.
    """
    scores = (2.0 * code - 1.0) @ (2.0 * keys - 1.0).T
    wanted = is_near.float()
    count = wanted.sum(dim=1, keepdim=True)
    wanted = wanted * (count > 1.0) / count
    return word_cross_entropy(scores.float() / (code.shape[1] * temperature), wanted)


def independence(code: Tensor) -> Tensor:
    """Mean squared correlation of two different bits over a batch of codes (b, n_bits) in [0, 1].

    It is 0 if no two bits are correlated and 1 if all are equal up to their sign. An efficient code
    needs independent bits (Weiss, Torralba and Fergus, Spectral hashing, NIPS 2008, section 2). As
    a loss it is the second term of Barlow Twins (Zbontar et al., ICML 2021, section 3.1), of one
    view with itself. For a single bit it is 0.
    """
    n_bits = code.shape[1]
    centred = code - code.mean(dim=0)
    unit = centred * torch.rsqrt(centred.square().sum(dim=0) + _SPREAD_FLOOR * len(code))
    correlations = unit.T @ unit
    others = correlations.square().sum() - correlations.diagonal().square().sum()
    return others / max(1, n_bits * (n_bits - 1))


def balance(code: Tensor) -> Tensor:
    """Mean over bits of the squared mean of the batch, codes (b, n_bits) in [0, 1] read as -1 to 1.

    It is 0 if every bit is 1 for half of the batch, and 1 if no bit varies (Weiss, Torralba and
    Fergus, Spectral hashing, NIPS 2008, section 2).
    """
    return (2.0 * code.mean(dim=0) - 1.0).square().mean()


@dataclass(frozen=True, slots=True)
class Mixture:
    """What the target of each item is mixed of: the item and members of its neighbourhood.

    Without neighbourhoods, the target is the item alone.
    """

    near: Neighbourhoods | None
    share: float
    """The share of the target that is the neighbours'; the rest is the item's own."""
    draws: int
    rng: np.random.Generator

    def of(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Members (b, m) of the targets of a batch, the item first, and their (m,) weights."""
        if self.near is None or not self.share:
            return alone(rows)
        members = np.column_stack([rows, self.near.draw(rows, self.draws, self.rng)])
        weights = np.full(members.shape[1], self.share / (members.shape[1] - 1), np.float32)
        weights[0] = 1.0 - self.share
        return members, weights

    def partners(self, rows: np.ndarray, own_share: float) -> np.ndarray:
        """The positive of each row for the contrast, (b,): a neighbour, or the row itself."""
        if self.near is None:
            return rows
        neighbours = self.near.draw(rows, 1, self.rng)[:, 0]
        if not own_share:
            return neighbours
        return np.where(self.rng.random(len(rows)) < own_share, rows, neighbours)

    def are_near(self, rows: np.ndarray) -> np.ndarray:
        """Which of some rows, all different, are alike, (b, b) bool; each is like itself."""
        return np.eye(len(rows), dtype=bool) if self.near is None else self.near.are_near(rows)


def alone(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The members and weights of targets that consist of the items themselves."""
    return rows[:, None], np.ones(1, np.float32)


class Target(ABC):
    """What the decoder rebuilds, with its loss, and the similarity of items that goes with it."""

    n_outputs: int | None = None
    """The width of the decoder's output; None: that of the features."""

    @abstractmethod
    def loss(self, outputs: Tensor, members: np.ndarray, weights: np.ndarray) -> Tensor:
        """The loss of outputs (b, n_outputs) against the weighted mean of each row's members."""

    @abstractmethod
    def points(self, rng: np.random.Generator) -> Points:
        """Points whose products say how alike items are; neighbourhoods are found by them."""


class WordsTarget(Target):
    """Cross-entropy against the item's word distribution.

    The distribution of an item is its features (tf-idf), weighted by `Preparation.word_weights` and
    L1-normalised; that of an item without a word is empty and adds no loss.
    """

    def __init__(
        self, settings: object, preparation: Preparation, trunk: Trunk, device: torch.device
    ):
        require_sparse(trunk.features, "the target 'words'")
        self._rows = preparation.items.bag
        self._weights = preparation.word_weights
        self._distributions = l1_normalised(weighted(self._rows, self._weights))
        self._device = device

    def loss(self, outputs: Tensor, members: np.ndarray, weights: np.ndarray) -> Tensor:
        """The cross-entropy of a batch."""
        return word_cross_entropy(outputs, self._mean(members, weights))

    def _mean(self, members: np.ndarray, weights: np.ndarray) -> Tensor:
        """The weighted mean of the members' distributions, (b, n_outputs)."""
        taken = self._distributions.take(members.ravel())
        owner = np.repeat(np.arange(members.size) // members.shape[1], taken.nnz_per_row)
        values = taken.values * np.repeat(np.tile(weights, len(members)), taken.nnz_per_row)
        # on the CPU: on CUDA, index_add_ sums in an order that varies from run to run
        target = torch.zeros(len(members) * taken.n_features)
        flat = torch.from_numpy(owner * taken.n_features + taken.indices)
        target.index_add_(0, flat, torch.from_numpy(values))
        return target.view(len(members), -1).to(self._device)

    def points(self, rng: np.random.Generator) -> Points:
        """Points by latent semantic coordinates."""
        return latent_points(self._rows, self._weights, rng)


class TokensTarget(WordsTarget):
    """The cross-entropy against the item's words or tokens, and against which follow which.

    The second is that of `order_counts`, which are distributions as the first are.
    """

    def __init__(
        self, settings: Succession, preparation: Preparation, trunk: Trunk, device: torch.device
    ):
        super().__init__(settings, preparation, trunk, device)
        self._order_weight, self._n_words = settings.order_weight, self._rows.n_features
        steps = steps_of(trunk.features, preparation.items.require_ordering())
        self._order = order_counts(steps)
        order = l1_normalised(weighted(self._order, rarity(self._order)))
        self._distributions = side_by_side(self._distributions, order)
        self._is_text = preparation.telling is not None
        self.n_outputs = self._distributions.n_features

    def loss(self, outputs: Tensor, members: np.ndarray, weights: np.ndarray) -> Tensor:
        """The sum of both cross-entropies, the second weighted."""
        n, target = self._n_words, self._mean(members, weights)
        words = word_cross_entropy(outputs[:, :n], target[:, :n])
        return words + self._order_weight * word_cross_entropy(outputs[:, n:], target[:, n:])

    def points(self, rng: np.random.Generator) -> Points:
        """Points by latent semantic coordinates: of texts by words alone, else by both."""
        if self._is_text:
            return super().points(rng)
        both = side_by_side(self._rows, self._order)
        return latent_points(both, rarity(both), rng)


class SquaredTarget(Target):
    """Mean squared error against the item's scaled features."""

    def __init__(
        self, settings: object, preparation: Preparation, trunk: Trunk, device: torch.device
    ):
        self._features = require_dense(trunk.features, "the target 'squared'")
        self._rows, self._scale = self._features, np.float32(trunk.scale)
        self._device = device

    def loss(self, outputs: Tensor, members: np.ndarray, weights: np.ndarray) -> Tensor:
        """The squared error of a batch."""
        mean = np.einsum("imf,m->if", self._rows[members], weights * self._scale)
        target = torch.from_numpy(mean.astype(np.float32, copy=False)).to(self._device)
        return squared_error(outputs, target)

    def points(self, rng: np.random.Generator) -> Points:
        """Points by Euclidean distance of the features."""
        return euclidean_points(self._features, rng)


class ViewsTarget(SquaredTarget):
    """Mean squared error against views of an image, scaled to standard deviation 1.

    Rows of pixels of unknown shape have no views: the pixels are rebuilt instead.
    """

    def __init__(
        self, settings: object, preparation: Preparation, trunk: Trunk, device: torch.device
    ):
        super().__init__(settings, preparation, trunk, device)
        self._views: np.ndarray | None = None
        if preparation.items.shape is None:
            return
        pixels = require_dense(preparation.items.features, "views")
        layer, responses = preparation.patches
        self._views = preparation.stage(
            "views", lambda: image_views(pixels, layer, responses, preparation.rng())
        )
        self._rows, self._scale = self._views / max(float(self._views.std()), 1e-6), np.float32(1.0)
        self.n_outputs = self._rows.shape[1]

    def points(self, rng: np.random.Generator) -> Points:
        """Points by the cosines of the views."""
        return super().points(rng) if self._views is None else cosine_points(self._views)


class ResampledTarget(SquaredTarget):
    """Mean squared error against the course of a series, in equal parts."""

    def __init__(
        self, settings: Succession, preparation: Preparation, trunk: Trunk, device: torch.device
    ):
        steps = steps_of(trunk.features, preparation.items.require_ordering())
        course = resampled(steps, settings.n_parts)
        self._features = self._rows = course / max(float(course.std()), 1e-6)
        self._scale, self._device = np.float32(1.0), device
        self.n_outputs = course.shape[1]


class SuccessionTarget(Target):
    """What an item's steps are and how they follow each other: of tokens, or of numbers."""

    def __init__(
        self, settings: Succession, preparation: Preparation, trunk: Trunk, device: torch.device
    ):
        has_tokens = preparation.items.require_ordering().n_tokens > 0
        chosen = TokensTarget if has_tokens else ResampledTarget
        self._target: Target = chosen(settings, preparation, trunk, device)
        self.n_outputs = self._target.n_outputs

    def loss(self, outputs: Tensor, members: np.ndarray, weights: np.ndarray) -> Tensor:
        """The loss of a batch."""
        return self._target.loss(outputs, members, weights)

    def points(self, rng: np.random.Generator) -> Points:
        """Points by what is to be explained."""
        return self._target.points(rng)


@dataclass(frozen=True, slots=True)
class CodedBatch:
    """Training rows, their codes (b, n_bits) in [0, 1], and a function that codes rows again."""

    rows: np.ndarray
    code: Tensor
    mixture: Mixture
    encode: Callable[[np.ndarray], Tensor]
    """Computes the codes of some rows under fresh corruption."""
    hidden: Sequence[HiddenLayer] = ()
    """The hidden layers of the encoder, the first one first."""


class ContrastTerm:
    """`contrast` with a partner for each row, weighted less for codes of few bits."""

    def __init__(self, settings: Contrast):
        self.settings = settings

    def __call__(self, batch: CodedBatch) -> Tensor:
        """The weighted loss of a batch."""
        # few bits can't tell many items apart: forcing them to would cost what they say of the item
        share = min(1.0, batch.code.shape[1] / CONTRAST_BITS) ** 2
        partners = batch.encode(batch.mixture.partners(batch.rows, self.settings.own_share))
        loss = contrast(batch.code, partners, self.settings.temperature)
        return self.settings.weight * share * loss


class NeighboursTerm:
    """`neighbours_contrast`, weighted; items of a batch are each other's keys, corrupted anew."""

    def __init__(self, settings: Neighbours):
        self.settings = settings

    def __call__(self, batch: CodedBatch) -> Tensor:
        """The weighted loss of a batch."""
        share = 1.0
        if self.settings.short_only:
            share = min(1.0, max(0.0, 2.0 - batch.code.shape[1] / SHORT_BITS))
        if not share:
            return batch.code.new_zeros(())
        is_near = torch.from_numpy(batch.mixture.are_near(batch.rows)).to(batch.code.device)
        keys = batch.encode(batch.rows)
        loss = neighbours_contrast(batch.code, keys, is_near, self.settings.temperature)
        return self.settings.weight * share * loss


class IndependenceTerm:
    """`independence`, weighted."""

    def __init__(self, settings: Independence):
        self.settings = settings

    def __call__(self, batch: CodedBatch) -> Tensor:
        """The weighted loss of a batch."""
        return self.settings.weight * independence(batch.code)


class BalanceTerm:
    """`balance`, weighted."""

    def __init__(self, settings: Balance):
        self.settings = settings

    def __call__(self, batch: CodedBatch) -> Tensor:
        """The weighted loss of a batch."""
        return self.settings.weight * balance(batch.code)
