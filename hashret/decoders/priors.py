"""Which codes are likely? Distributions to draw codes from that decode to something new.

Codes are not uniform: bits go together, and most combinations of 64 bits stand for nothing. A
Chow-Liu tree is the best distribution among those in which each bit depends on one other: the
maximum spanning tree by mutual information (Chow and Liu, "Approximating discrete probability
distributions with dependence trees", IEEE Transactions on Information Theory 14, 1968).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np

from hashret.codes import Codes
from hashret.errors import InputError

#: Codes that a tree is learned from, a sample evenly spaced: enough for frequencies of pairs to
#: a third of a percent.
_MOST_CODES = 100_000
#: The longest codes in bits for which there is a tree: it takes four tables of bits x bits.
_MOST_BITS = 4_096
#: Codes that each of the four combinations of two bits is counted beside those that have it.
_DOUBT = 0.25


class Prior(Protocol):
    """A distribution over codes."""

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """n codes, drawn independently."""
        ...


@dataclass(frozen=True, slots=True)
class FairBits:
    """Each bit is a fair coin: the prior of a model that was taught to have such codes."""

    n_bits: int

    def draw(self, n: int, rng: np.random.Generator) -> Codes:
        """n codes, drawn independently."""
        return Codes.pack(rng.random((n, self.n_bits)) < 0.5)


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
