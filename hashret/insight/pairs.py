"""How far apart are the codes of near items, and of any two? And which radius do they suggest?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from hashret.codes import Codes, hamming
from hashret.collection import Collection
from hashret.rank import similarities
from hashret.sparse import take_rows

#: Items whose near ones are looked for, among how many, and how many near ones each has.
_ASKED, _AMONG, _NEAR = 200, 20_000, 10
#: Random pairs of items.
_RANDOM = 200_000
#: Share of random pairs that the suggested radius holds at most: an answer is to be looked through.
_STRANGERS = 0.01
#: A radius that holds a smaller share of the near pairs is of little use.
_TOO_FEW = 0.3


@dataclass(frozen=True, slots=True, eq=False)
class Distances:
    """The distances of near and of random pairs of items, in bits."""

    near: np.ndarray
    """(n_bits + 1,): the share of near pairs at each distance."""
    random: np.ndarray
    """(n_bits + 1,): the share of random pairs at each distance."""
    by_features: bool
    """Whether near pairs are those of near features; else those of near codes."""
    n_items: int
    """Items of the collection that have a code."""

    @property
    def crossing(self) -> int:
        """The distance up to which near pairs are more frequent than random ones, all in all."""
        return int((np.cumsum(self.near) - np.cumsum(self.random)).argmax())

    @property
    def radius(self) -> int:
        """The radius that is suggested: up to the crossing, and with few random pairs."""
        few = int(np.searchsorted(np.cumsum(self.random), _STRANGERS, side="right")) - 1
        return max(0, min(self.crossing, few))

    def __str__(self) -> str:
        """Which radius the distances suggest, and what it finds, in sentences."""
        radius = self.radius
        held, strangers = (
            float(self.near[: radius + 1].sum()),
            float(self.random[: radius + 1].sum()),
        )
        what = "items of near features" if self.by_features else "items of near codes"
        n_found = strangers * self.n_items
        found = f"about {n_found:,.0f}" if n_found >= 1 else "less than one"
        bits = "1 bit" if radius == 1 else f"{radius} bits"
        said = (
            f"Use --radius {radius}: within {bits} lie {held:.0%} of the pairs of {what} and "
            f"{strangers:.2%} of random pairs, so that a question finds {found} of "
            f"{self.n_items:,} items besides near ones. Beyond {self.crossing} bits, a distance "
            "tells of random pairs rather than of near ones."
        )
        if held < _TOO_FEW:
            return f"{said} That misses many: ask for the nearest (-k) instead of for a radius."
        return said


def distances(collection: Collection, seed: int = 0) -> Distances | None:
    """The distances of seeded samples of pairs; None with fewer than two items that have a code.

    Near pairs are an item and its ten nearest by features among at most 20,000, or, where those are
    not stored, by codes.
    """
    codes, n_bits = collection.codes, collection.n_bits
    n = len(codes)
    if n < 2:
        return None
    rng = np.random.default_rng(seed)
    left = rng.integers(0, n, _RANDOM)
    right = (left + rng.integers(1, n, _RANDOM)) % n
    apart = np.bitwise_count(codes[left].words ^ codes[right].words).sum(axis=1)
    among = np.sort(rng.permutation(n)[:_AMONG])
    asked = rng.permutation(len(among))[:_ASKED]
    by_features = collection.has_features
    near = _near_by_features if by_features else _near_by_codes
    return Distances(
        _shares(near(collection, among, asked), n_bits),
        _shares(apart, n_bits),
        by_features,
        n,
    )


def _shares(of_pairs: np.ndarray, n_bits: int) -> np.ndarray:
    return np.bincount(of_pairs.astype(np.int64), minlength=n_bits + 1) / max(1, len(of_pairs))


def _near_by_features(collection: Collection, among: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The distances of the `asked`, places in `among`, to the nearest by features, flat."""
    features = collection.coder.featurizer.compared(collection.features(among))
    codes = collection.codes[among]
    k = min(_NEAR, len(among) - 1)
    found = []
    for place in asked.tolist():
        alike = similarities(take_rows(features, np.array([place])), features)
        alike[place] = -np.inf
        nearest = np.argpartition(-alike, k - 1)[:k]
        found.append(_of_one(codes, place)[nearest])
    return np.concatenate(found)


def _near_by_codes(collection: Collection, among: np.ndarray, asked: np.ndarray) -> np.ndarray:
    """The distances of the `asked`, places in `among`, to the nearest codes, flat."""
    codes = collection.codes[among]
    k = min(_NEAR, len(among) - 1)
    of_each = (np.delete(_of_one(codes, place), place) for place in asked.tolist())
    return np.concatenate([np.partition(one, k - 1)[:k] for one in of_each])


def _of_one(codes: Codes, place: int) -> np.ndarray:
    return hamming(codes[place : place + 1], codes)[0]
