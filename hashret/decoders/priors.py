"""Which codes are likely? Distributions to draw codes from that decode to something new.

Codes are not uniform: bits go together, and most combinations of 64 bits stand for nothing. A
Chow-Liu tree is the best distribution among those in which each bit depends on one other: the
maximum spanning tree by mutual information (Chow and Liu, "Approximating discrete probability
distributions with dependence trees", IEEE Transactions on Information Theory 14, 1968). One tree
is too plain: of Fashion-MNIST a new code has a logarithm of -35 under it and of -15 under 32 trees,
one for each cluster of the codes; fair bits give -44 (Meila and Jordan, "Learning with mixtures of
trees", JMLR 1, 2000).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from hashret.codes import Codes
from hashret.errors import InputError

#: Codes that trees are learned from, a sample evenly spaced: enough for frequencies of pairs to
#: a percent.
_MOST_CODES = 20_000
#: The longest codes in bits for which there is a tree: it takes four tables of bits x bits.
_MOST_BITS = 4_096
#: Codes that each of the four combinations of two bits is counted beside those that have it.
_DOUBT = 0.25
#: Trees of a mixture at most; codes for each at least; pairs of bits in the tables of all.
_TREES, _CODES_EACH, _CELLS = 32, 50, 1 << 24
_TURNS = 6  # that codes go to the tree under which they are likeliest


class Prior(Protocol):
    """A distribution over codes."""

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """n codes, drawn independently."""
        ...

    def log_probabilities(self, codes: Codes) -> np.ndarray:
        """The natural logarithm of each code's probability, (n,) float64."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ChowLiuTree:
    """Each bit depends on its parent in a tree; the root on none."""

    parents: np.ndarray
    """The parent of each bit, (n_bits,) int64; that of the root is -1."""
    order: np.ndarray
    """The bits, each after its parent, (n_bits,) int64."""
    ones: np.ndarray
    """The probability that a bit is 1 where its parent is 0, and where it is 1, (n_bits, 2)."""

    @classmethod
    def of(cls, codes: Codes) -> Self:
        """The tree of the codes, n >= 1. Raises `InputError` for codes of more than 4,096 bits."""
        if codes.n_bits > _MOST_BITS:
            raise InputError(
                f"codes: expected at most {_MOST_BITS:,} bits to learn which go together, got "
                f"{codes.n_bits:,}; make shorter codes"
            )
        rows = np.linspace(0, len(codes) - 1, min(len(codes), _MOST_CODES)).astype(np.int64)
        bits = codes[rows].bits.astype(np.float32)  # sums up to 2**24 are exact
        both = (bits.T @ bits).astype(np.float64) + _DOUBT
        alone = bits.sum(axis=0, dtype=np.float64) + 2 * _DOUBT
        n = len(rows) + 4 * _DOUBT
        shared = _mutual_information(both / n, alone / n)
        parents, order = _maximum_spanning_tree(shared)
        ones = np.repeat((alone / n)[:, None], 2, axis=1)
        children = order[1:]
        up = parents[children]
        together = both[children, up]
        ones[children, 1] = together / alone[up]
        ones[children, 0] = (alone[children] - together) / (n - alone[up])
        return cls(parents, order, ones)

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return len(self.parents)

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """n codes, drawn independently, each bit after its parent."""
        chance = rng.random((n, self.n_bits))
        bits = np.zeros((n, self.n_bits), bool)
        for bit in self.order.tolist():
            bits[:, bit] = chance[:, bit] < self._ones_of(bits, bit)
        return Codes.pack(bits)

    def log_probabilities(self, codes: Codes) -> np.ndarray:
        """The natural logarithm of each code's probability, (n,) float64."""
        bits = codes.bits
        above = np.where(self.parents >= 0, bits[:, self.parents], False)
        ones = self.ones[np.arange(self.n_bits), above.astype(np.int64)]
        return np.asarray(np.log(np.where(bits, ones, 1.0 - ones)).sum(axis=1))

    def _ones_of(self, bits: np.ndarray, bit: int) -> np.ndarray | float:
        """The probability that a bit is 1, by its parent in the rows of `bits`."""
        parent = self.parents[bit]
        if parent < 0:
            return float(self.ones[bit, 0])
        return np.where(bits[:, parent], self.ones[bit, 1], self.ones[bit, 0])


@dataclass(frozen=True, slots=True, eq=False)
class TreeMixture:
    """Codes are of clusters, and each cluster has a tree of its own."""

    trees: list[ChowLiuTree]
    shares: np.ndarray
    """Of the codes that each tree stands for, (n_trees,) float64, of sum 1."""

    @classmethod
    def of(cls, codes: Codes) -> Self:
        """The mixture of the codes, n >= 1; the same each time. Errors are those of `ChowLiuTree`.

        By expectation and maximisation where each code goes to one cluster, from the clusters of
        Lloyd's algorithm on the bits.
        """
        rows = np.linspace(0, len(codes) - 1, min(len(codes), _MOST_CODES)).astype(np.int64)
        sample = codes[rows]
        n_trees = min(_TREES, len(sample) // _CODES_EACH, _CELLS // codes.n_bits**2)
        owner = _clusters(sample, max(1, n_trees))
        for _ in range(_TURNS):
            names, counts = np.unique(owner, return_counts=True)
            trees = [ChowLiuTree.of(sample[np.flatnonzero(owner == one)]) for one in names]
            mixture = cls(trees, counts / counts.sum())
            owner = mixture._joint(sample).argmax(axis=1)
        return mixture

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """n codes, drawn independently."""
        which = rng.choice(len(self.trees), n, p=self.shares)
        packed = np.empty((n, self.trees[0].n_bits // 8), np.uint8)
        for i, tree in enumerate(self.trees):
            rows = np.flatnonzero(which == i)
            packed[rows] = tree.draw(len(rows), rng).packed
        return Codes(packed)

    def log_probabilities(self, codes: Codes) -> np.ndarray:
        """The natural logarithm of each code's probability, (n,) float64."""
        joint = self._joint(codes)
        return np.asarray(np.logaddexp.reduce(joint, axis=1))

    def _joint(self, codes: Codes) -> np.ndarray:
        """The logarithm of the probability of each code and each tree, (n, n_trees)."""
        found = [tree.log_probabilities(codes) for tree in self.trees]
        return np.stack(found, axis=1) + np.log(self.shares)


def _clusters(codes: Codes, n_clusters: int) -> np.ndarray:
    """Which of the clusters each code is in, (n,) int64, by the distance to their mean bits."""
    bits = codes.bits.astype(np.float32)
    rng = np.random.default_rng(0)
    means = bits[rng.choice(len(bits), n_clusters, replace=False)]
    owner = np.zeros(len(bits), np.int64)
    for _ in range(_TURNS):
        owner = (2.0 * bits @ means.T - np.square(means).sum(axis=1)).argmax(axis=1)
        for cluster in np.unique(owner).tolist():
            means[cluster] = bits[owner == cluster].mean(axis=0)
    return owner


def _mutual_information(both: np.ndarray, alone: np.ndarray) -> np.ndarray:
    """What each two bits tell of one another, in nats, (n_bits, n_bits).

    `both` (n_bits, n_bits) is how often both are 1, `alone` (n_bits,) how often each is.
    """
    shared = np.zeros_like(both)
    for left in (0, 1):
        for right in (0, 1):
            # of the pairs with these values: by what is known of both, of one, of the other
            one = alone if left else 1.0 - alone
            other = alone if right else 1.0 - alone
            cell = both
            if not left:
                cell = alone[None, :] - cell if right else 1.0 - alone[:, None] - alone + cell
            elif not right:
                cell = alone[:, None] - cell
            cell = np.maximum(cell, np.finfo(np.float64).tiny)
            shared += cell * np.log(cell / (one[:, None] * other[None, :]))
    return shared


def _maximum_spanning_tree(weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The parent of each node from node 0 on, and the nodes in the order in which they joined.

    By Prim's algorithm: in each turn the node joins that has the heaviest edge to the tree.
    """
    n = len(weights)
    parents = np.full(n, -1, np.int64)
    heaviest, nearest = weights[0].copy(), np.zeros(n, np.int64)
    heaviest[0] = -np.inf
    order = [0]
    for _ in range(n - 1):
        node = int(heaviest.argmax())
        parents[node] = nearest[node]
        order.append(node)
        better = (weights[node] > heaviest) & (heaviest > -np.inf)
        heaviest = np.where(better, weights[node], heaviest)
        nearest = np.where(better, node, nearest)
        heaviest[node] = -np.inf
    return parents, np.array(order, np.int64)
