"""Distinct keys in order, each with a word beside it; three accesses to memory find one."""

from __future__ import annotations

from bisect import bisect_left
from math import log2

import numpy as np


class SortedKeys:
    """`keys` (m,) uint64 ascending and distinct, of `width` bits, spread evenly (hashed).

    `words` (m,) uint64 say something of each; a key and its word share a cache line. Offsets by the
    leading bits cut the keys into slots of about one; a bitmap of about 16 bits a key turns
    most absent keys away in one access. Together at most 25 bytes a key.
    """

    def __init__(self, keys: np.ndarray, words: np.ndarray, width: int):
        #: key and word of each in turn
        self._entries = np.stack([keys, words], axis=1).ravel()
        slot_bits = min(width, max(1, round(log2(max(1, len(keys))))))
        self._slot_shift = width - slot_bits
        slots = (keys >> np.uint64(self._slot_shift)).astype(np.int64)
        self._offsets = np.zeros((1 << slot_bits) + 1, np.uint32)
        np.cumsum(np.bincount(slots, minlength=1 << slot_bits), out=self._offsets[1:])
        # never coarser than the slots, so that a bit set means a slot with keys in it
        bitmap_bits = min(width, slot_bits + 4)
        self._bit_shift = width - bitmap_bits
        self._bitmap = _bitmap(keys >> np.uint64(self._bit_shift), bitmap_bits)
        # plain Python reads single elements several times faster through a memoryview
        self._views = (self._bitmap.data, self._offsets.data, self._entries[::2].data)
        self._words = self._entries[1::2].data

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.uint64, np.uint64]:
        """Bitmap, offsets, entries, and the shifts that address the first two, for kernels."""
        shifts = np.uint64(self._bit_shift), np.uint64(self._slot_shift)
        return self._bitmap, self._offsets, self._entries, *shifts

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held."""
        return self._entries.nbytes + self._offsets.nbytes + self._bitmap.nbytes

    def place(self, key: int) -> int:
        """The position of one key, -1 if it is absent; without NumPy's cost of a call."""
        bitmap, offsets, keys = self._views
        bit = key >> self._bit_shift
        if not bitmap[bit >> 3] >> (bit & 7) & 1:
            return -1
        slot = key >> self._slot_shift
        end = offsets[slot + 1]
        place = bisect_left(keys, key, offsets[slot], end)
        return place if place < end and keys[place] == key else -1

    def word(self, place: int) -> int:
        """What stands beside the key at a position."""
        return self._words[place]

    def find(self, probes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Which of `probes` (n,) uint64 are present (int64), and their words (uint64).

        In no particular order.
        """
        bits = probes >> np.uint64(self._bit_shift)
        occupied = self._bitmap.take((bits >> np.uint64(3)).view(np.int64))
        occupied >>= bits.astype(np.uint8) & np.uint8(7)
        which = np.flatnonzero(occupied & np.uint8(1))
        wanted = probes.take(which)
        slots = (wanted >> np.uint64(self._slot_shift)).view(np.int64)
        low = self._offsets.take(slots).astype(np.int64)
        high = self._offsets.take(slots + 1).astype(np.int64)
        found, words = [which[:0]], [wanted[:0]]
        while len(which):  # bisect all slots at once; most hold one or two keys
            middle = (low + high) >> 1
            seen = self._entries.take(2 * middle)
            hit = np.flatnonzero(seen == wanted)
            found.append(which.take(hit))
            words.append(self._entries.take(2 * middle.take(hit) + 1))
            above = seen < wanted
            low = np.where(above, middle + 1, low)
            high = np.where(above, high, middle)
            high[hit] = 0
            left = np.flatnonzero(low < high)
            which, wanted = which.take(left), wanted.take(left)
            low, high = low.take(left), high.take(left)
        return np.concatenate(found), np.concatenate(words)


def _bitmap(bits: np.ndarray, n_bits: int) -> np.ndarray:
    """A bitmap of 2**n_bits bits with the ascending positions `bits` (uint64) set."""
    bitmap = np.zeros(1 << (n_bits - 3), np.uint8)
    byte = (bits >> np.uint64(3)).astype(np.int64)
    first = np.flatnonzero(np.diff(byte, prepend=-1))
    if len(first):
        ones = np.uint8(1) << (bits & np.uint64(7)).astype(np.uint8)
        bitmap[byte[first]] = np.bitwise_or.reduceat(ones, first)
    return bitmap
