"""The linear hash of `hashret.indexes.linear_hash`, compiled for one value."""

from __future__ import annotations

import numpy as np
from numba import njit


@njit(cache=True, nogil=True)
def mix(value: int, shifts: np.ndarray, mask: int) -> int:
    """`LinearHash` of one word: `shifts` (7,) uint64 to the left and right in turn."""
    value ^= (value << shifts[0]) & mask
    value ^= value >> shifts[1]
    value ^= (value << shifts[2]) & mask
    value ^= value >> shifts[3]
    value ^= (value << shifts[4]) & mask
    value ^= value >> shifts[5]
    value ^= (value << shifts[6]) & mask
    return value


@njit(cache=True, nogil=True)
def key_of(words: np.ndarray, shifts: np.ndarray, mask: int) -> int:
    """`LinearHash` of one code of any number of words."""
    key = mix(words[-1], shifts, mask)
    for word in range(len(words) - 2, -1, -1):
        key = mix(key ^ words[word], shifts, mask)
    return key
