"""The bit flips of all substrings, one after the other, as kernels want them."""

from __future__ import annotations

from math import comb
from typing import NamedTuple

import numpy as np

from hashret.codes import flip_masks
from hashret.indexes.linear_hash import flip_keys
from hashret.indexes.substrings import Substring


class Flips(NamedTuple):
    """`keys` and `masks` (m,) uint64: what to xor to a key and to a substring.

    Those of f bits in substring j stand from edges[j, f] to edges[j, f + 1].
    """

    keys: np.ndarray
    masks: np.ndarray
    edges: np.ndarray


def flips_of(parts: list[Substring], most: int) -> Flips:
    """The flips of 0 to `most` bits of each substring."""
    keys, masks = [], []
    edges: dict[int, np.ndarray] = {}  # substrings of one length share their flips
    count = 0
    for length in sorted({part.length for part in parts}):
        sizes = [comb(length, flips) for flips in range(most + 1)]
        edges[length] = count + np.cumsum([0, *sizes])
        count += sum(sizes)
        keys += [flip_keys(length, flips) for flips in range(most + 1)]
        masks += [flip_masks(length, flips)[:, 0] for flips in range(most + 1)]
    each = np.array([edges[part.length] for part in parts], np.int64)
    return Flips(np.concatenate(keys), np.concatenate(masks), each)


def most_affordable(parts: list[Substring], budget: float) -> int:
    """The most flips whose probes of the longest substring a budget covers."""
    longest = max(part.length for part in parts)
    flips = 0
    while flips < longest and comb(longest, flips + 1) <= budget:
        flips += 1
    return flips
