"""A bijective hash of codes that is linear over GF(2): hash(q ^ flips) = hash(q) ^ hash(flips).

Because the hash is linear, flipping bits of a code is one xor of its key with a precomputed number.
The mixing spreads clustered codes evenly over the leading bits, which address the tables. The
rounds are xor-shifts (Marsaglia, "Xorshift RNGs", JSS 2003), each an invertible matrix over GF(2).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from hashret.codes import flip_masks

# Bits to shift left and right in turn, for keys of 64 bits; they are scaled for narrower keys.
_SHIFTS = (13, 7, 17, 29, 31, 11, 25)
_BLOCK = 1 << 15  # codes hashed at once: what each round leaves to the next stays in the cache


class LinearHash:
    """Hash codes of n_bits to keys of `width` = min(n_bits, 64) bits.

    Up to 64 bits the hash is a bijection: equal keys mean equal codes. Longer codes are folded
    word by word and may collide, so the whole code must be compared after a look-up.
    """

    def __init__(self, n_bits: int):
        self.width = min(n_bits, 64)
        self._mask = (1 << self.width) - 1
        self._shifts = tuple(max(1, round(s * self.width / 64)) for s in _SHIFTS)

    @property
    def constants(self) -> tuple[np.ndarray, np.uint64]:
        """The shifts, (7,) uint64, and the mask of `width` ones, as kernels want them."""
        return np.array(self._shifts, np.uint64), np.uint64(self._mask)

    def __call__(self, words: np.ndarray) -> np.ndarray:
        """The keys, (n,) uint64, of (n, n_words) uint64 words."""
        if len(words) <= _BLOCK:
            return self._folded(words)
        keys = np.empty(len(words), np.uint64)
        for start in range(0, len(words), _BLOCK):
            keys[start : start + _BLOCK] = self._folded(words[start : start + _BLOCK])
        return keys

    def _folded(self, words: np.ndarray) -> np.ndarray:
        keys = self._mix(words[:, -1])
        for word in range(words.shape[1] - 2, -1, -1):
            keys = self._mix(keys ^ words[:, word])
        return keys

    def _mix(self, words: np.ndarray) -> np.ndarray:
        keys = words.copy()
        mask = np.uint64(self._mask)
        for position, shift in enumerate(self._shifts):
            if position % 2:
                keys ^= keys >> np.uint64(shift)
            elif self.width == 64:
                keys ^= keys << np.uint64(shift)
            else:
                keys ^= (keys << np.uint64(shift)) & mask
        return keys

    def key(self, code: int) -> int:
        """The key of one code, given as an integer; in plain Python, faster than NumPy here."""
        key, words = 0, [code]
        while code >> 64:
            code >>= 64
            words.append(code)
        a, b, c, d, e, f, g = self._shifts
        mask = self._mask
        for word in reversed(words):
            key ^= word & mask
            key ^= (key << a) & mask
            key ^= key >> b
            key ^= (key << c) & mask
            key ^= key >> d
            key ^= (key << e) & mask
            key ^= key >> f
            key ^= (key << g) & mask
        return key


@lru_cache(maxsize=256)
def flip_keys(n_bits: int, flips: int) -> np.ndarray:
    """The keys of `flip_masks`: xored to a code's key, they flip these bits; read-only."""
    keys = LinearHash(n_bits)(flip_masks(n_bits, flips))
    keys.flags.writeable = False
    return keys
