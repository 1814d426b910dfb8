"""Which items lie near each other? All pairs of a collection, block by block, in bounded memory.

A block of items, which are ordered by their codes, is compared with the items of all codes within
the radius of one of the block's, which an index finds. The comparison is a product of matrices, so
large buckets cost little more than reading them; it is never more than comparing all with all.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

import numpy as np

from hashret.arguments import resolve
from hashret.codes import Codes
from hashret.indexes.base import INDEXES, Index
from hashret.sparse import positions_of

_BLOCK, _TILE = 1_024, 8_192  # items on either side of one comparison
_AT_ONCE = 64  # codes whose neighbours are looked up together at first, and then so many
_FOUND = 1 << 21  # that about this number of neighbours is found
#: Where the radius is more than this share of the bits, an index would find nearly all codes.
_WIDE = 0.25

#: Pairs, as two arrays (n,) int64, and how unlike each is, (n,) float64.
Found = tuple[np.ndarray, np.ndarray, np.ndarray]


class Likeness(Protocol):
    """What confirms that two items, which are numbered from 0, are alike.

    Unlikeness is 0 for the same and at most 1 for two that are alike by themselves. What stands in
    a group must be within `within_group` of the one that is kept.
    """

    within_group: float

    def pairs(self, left: np.ndarray, right: np.ndarray, limit: float) -> Found:
        """All pairs of one of the `left` and one of the `right` items, at most `limit` unlike."""
        ...

    def similarities(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """How similar each two items are, for people: 1.0 for the same, (n,) float64."""
        ...


class Components:
    """Which of n things hang together by pairs; `label` (n,) is the least of those that do."""

    def __init__(self, n: int):
        self.label = np.arange(n)

    def join(self, left: np.ndarray, right: np.ndarray) -> None:
        """Take the two of each pair together."""
        while True:
            ends = np.sort(np.stack([self.label[left], self.label[right]]), axis=0)
            apart = ends[0] != ends[1]
            if not apart.any():
                return
            np.minimum.at(self.label, ends[1][apart], ends[0][apart])
            while (shorter := self.label[self.label]).tobytes() != self.label.tobytes():
                self.label = shorter


def near_pairs(codes: Codes, likeness: Likeness, radius: int | None) -> Iterator[Found]:
    """Yield every pair that is alike by itself, and within `radius` bits (inclusive) if one is set.

    Item i has the i-th code. Each pair comes once.
    """
    if not len(codes):
        return
    distinct, of_item = _distinct(codes)
    order = np.argsort(of_item, kind="stable")
    limits = np.searchsorted(of_item[order], np.arange(len(distinct) + 1))
    index: Index | None = None
    if radius is not None and radius <= _WIDE * codes.n_bits:
        index = resolve(INDEXES, "auto", "index").build(distinct)
    for start in range(0, len(order), _BLOCK):
        block = order[start : start + _BLOCK]
        places = np.arange(start, len(order))
        if index is not None and radius is not None:
            near = _near_codes(index, distinct, np.unique(of_item[block]), radius)
            _, places = positions_of(limits[:-1][near], limits[1:][near] - limits[:-1][near])
            places = places[places >= start]
        for tile in range(0, len(places), _TILE):
            others = places[tile : tile + _TILE]
            left, right, unlike = likeness.pairs(block, order[others], 1.0)
            # within the block itself both orders of a pair are found
            once = (left < right) | ~np.isin(right, block)
            if radius is not None:
                once &= bits_between(codes, left, right) <= radius
            yield left[once], right[once], unlike[once]


def bits_between(codes: Codes, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """The distance of each two codes in bits, (n,) int64."""
    found = np.empty(len(left), np.int64)
    for start in range(0, len(left), 1 << 18):
        part = slice(start, start + (1 << 18))
        differ = codes.packed[left[part]] ^ codes.packed[right[part]]
        found[part] = np.bitwise_count(differ).sum(axis=1, dtype=np.int64)
    return found


def _distinct(codes: Codes) -> tuple[Codes, np.ndarray]:
    """The different codes, and which of them each item has."""
    whole = np.ascontiguousarray(codes.packed).view(f"V{codes.packed.shape[1]}").ravel()
    _, first, of_item = np.unique(whole, return_index=True, return_inverse=True)
    return codes[first], of_item.ravel()


def _near_codes(index: Index, distinct: Codes, asked: np.ndarray, radius: int) -> np.ndarray:
    """The places of all codes within the radius of one of the `asked`, increasing."""
    near, size = np.zeros(len(distinct), bool), _AT_ONCE
    while len(asked):
        found = index.within(distinct[asked[:size]], radius).rows
        near[found] = True
        asked = asked[size:]
        size = max(1, min(_BLOCK, _FOUND * size // max(1, len(found))))
    return np.flatnonzero(near)
