"""The arrays of a hash table: how they are built from codes, and how stored ones are checked.

Most of the time of building goes into sorting the keys; one pass checks that they are sorted.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping
from math import log2
from typing import Self

import numpy as np

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.indexes.linear_hash import LinearHash

#: Two numbers of 32 bits share a word of 64: the mask of the lower one, the shift of the upper one.
LOW, HALF = np.uint64((1 << 32) - 1), np.uint64(32)
_NONE = np.empty(0, np.uint32)


def built(codes: Codes, hashed: LinearHash) -> tuple[SortedKeys, np.ndarray]:
    """The keys of the codes, each with its run, and the rows of all runs longer than one."""
    keys = hashed(codes.words)
    order = np.argsort(keys, kind="stable")  # stable: rows ascend within a bucket
    keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
    lengths = np.diff(first, append=len(keys))
    shared = lengths > 1
    begins = np.cumsum(lengths * shared) - lengths
    # for each key the length of its run (upper half), and the position of the run or, if it has
    # one row, that row (lower half)
    runs = lengths.astype(np.uint64) << HALF
    runs |= np.where(shared, begins, order[first]).astype(np.uint64)
    rows = order[np.repeat(shared, lengths)].astype(np.uint32)
    return SortedKeys.build(keys[first], runs, hashed.width), rows


def checked(
    codes: Codes, hashed: LinearHash, tensors: Mapping[str, np.ndarray]
) -> tuple[SortedKeys, np.ndarray]:
    """The result of `built`, made of tensors. Raises DamagedError unless they are exactly that."""
    blocks, entries, rows = (tensors.get(name, _NONE) for name in ("blocks", "entries", "rows"))
    types = [(array.ndim, array.dtype.str) for array in (blocks, entries, rows)]
    if types == [(1, "<u8"), (1, "<u8"), (1, "<u4")] and len(entries) % 2 == 0:
        order = _order_of(entries[1::2], rows, len(codes))
        keys = hashed(codes.words)[order] if order is not None else _NONE
        if order is not None and _are_in_order(entries, order, keys):
            found = SortedKeys(entries, blocks, hashed.width)
            if np.array_equal(blocks, blocks_of(entries[::2], hashed.width)):
                return found, rows
    raise DamagedError(
        f"table: expected that of these {len(codes)} codes, got another; build it from them"
    )


def _order_of(runs: np.ndarray, stored: np.ndarray, n: int) -> np.ndarray | None:
    """All n rows, run by run, int64; None if the runs don't have n rows."""
    lengths = (runs >> HALF).view(np.int64)
    begins = (runs & LOW).view(np.int64)
    shared = lengths > 1
    ends = np.cumsum(lengths[shared])
    sound = (lengths > 0).all() and lengths.sum() == n and lengths[shared].sum() == len(stored)
    if not sound or (begins[shared] != ends - lengths[shared]).any():
        return None
    of_several = np.repeat(shared, lengths)
    order = np.empty(n, np.int64)
    order[of_several] = stored
    order[~of_several] = begins[~shared]
    return order if (order < n).all() else None


def _are_in_order(entries: np.ndarray, order: np.ndarray, keys: np.ndarray) -> bool:
    """Whether each run has exactly the rows of its key, ascending, and the keys ascend too.

    `keys` are the keys of the codes in the order of the rows.
    """
    lengths = (entries[1::2] >> HALF).view(np.int64)
    run_keys = entries[::2]
    new = keys[1:] > keys[:-1]
    return bool(
        np.array_equal(np.repeat(run_keys, lengths), keys)
        and (run_keys[1:] > run_keys[:-1]).all()
        and (new | (order[1:] > order[:-1])).all()
    )


_CELLS = 4  # log2 of the cells per key: of absent keys, one in seventeen meets a set bit
#: log2 of the cells in a block: their bits fill a word.
BLOCK = 6
_SIX, _ONE, _INNER = np.uint64(BLOCK), np.uint64(1), np.uint64((1 << BLOCK) - 1)


class SortedKeys:
    """m distinct uint64 keys, ascending, each with a uint64 word; the keys must be hashes.

    A key and its word share a cache line. The leading bits of a key name its cell; there are about
    16 cells per key. Each block of 64 cells has a bitmap of the cells that hold keys, and beside it
    the position of its first key. A clear bit shows that a key is absent. For a set bit, the number
    of set bits below it gives the key's position, apart from the few keys that share a cell
    (Bagwell, "Ideal hash trees", EPFL 2001, section 3.1, without the tree). All this takes at most
    22 bytes a key, and 16 without any key.
    """

    def __init__(self, entries: np.ndarray, blocks: np.ndarray, width: int):
        """Take over arrays that `build` made; they may be read-only memory maps."""
        self._entries = entries
        self._blocks = blocks
        self._shift = width - (len(blocks) // 2).bit_length() + 1 - BLOCK
        # plain Python reads single elements several times faster through a memoryview
        self._views = (self._blocks.data, self._entries[::2].data)
        self._words = self._entries[1::2].data

    @classmethod
    def build(cls, keys: np.ndarray, words: np.ndarray, width: int) -> Self:
        """Build the arrays from keys and their words."""
        return cls(np.stack([keys, words], axis=1).ravel(), blocks_of(keys, width), width)

    @property
    def arrays(self) -> tuple[np.ndarray, np.ndarray, np.uint64]:
        """Blocks, entries, and the shift that turns a key into its cell, for kernels."""
        return self._blocks, self._entries, np.uint64(self._shift)

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held."""
        return self._entries.nbytes + self._blocks.nbytes

    def place(self, key: int) -> int:
        """The position of one key, -1 if it is absent; plain Python is faster than NumPy here."""
        blocks, keys = self._views
        cell = key >> self._shift
        at = cell >> BLOCK << 1
        bits = blocks[at]
        bit = 1 << (cell & 63)
        if not bits & bit:
            return -1
        end, begin = divmod(blocks[at + 1], 1 << 32)
        place = bisect_left(keys, key, begin + (bits & (bit - 1)).bit_count(), end)
        return place if place < end and keys[place] == key else -1

    def word(self, place: int) -> int:
        """The word beside the key at a position."""
        return self._words[place]

    def find(self, probes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The positions of those `probes` (n,) uint64 that are present, and their words.

        They are int64 and uint64 arrays, in no particular order.
        """
        cells = probes >> np.uint64(self._shift)
        blocks = self._blocks.reshape(-1, 2)[:, 0].take((cells >> _SIX).view(np.int64))
        which = np.flatnonzero(blocks >> (cells & _INNER) & _ONE)
        wanted, cells = probes.take(which), cells.take(which)
        places = self._blocks.take(2 * (cells >> _SIX).view(np.int64) + 1)
        below = blocks.take(which) & ((_ONE << (cells & _INNER)) - _ONE)
        low = (places & LOW).view(np.int64) + np.bitwise_count(below)
        high = (places >> HALF).view(np.int64)
        found, words = [which[:0]], [wanted[:0]]
        middle = low  # most cells hold one key; the others are searched by bisection, all at once
        while len(which):
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
            middle = (low + high) >> 1
        return np.concatenate(found), np.concatenate(words)


def blocks_of(keys: np.ndarray, width: int) -> np.ndarray:
    """The bitmap of each block of cells, and the positions of its first key and after its last.

    (2 * n_blocks,) uint64: bitmaps alternate with the two positions, which share a word.
    """
    cell_bits = min(width, max(BLOCK, round(log2(max(1, len(keys)))) + _CELLS))
    cells = keys >> np.uint64(width - cell_bits)
    of_key = (cells >> _SIX).view(np.int64)
    counts = np.bincount(of_key, minlength=1 << (cell_bits - BLOCK))
    ends = np.cumsum(counts)
    blocks = np.zeros((len(counts), 2), np.uint64)
    blocks[:, 1] = ends - counts | ends << 32
    if len(keys):
        first = np.flatnonzero(np.diff(of_key, prepend=-1))
        blocks[of_key[first], 0] = np.bitwise_or.reduceat(_ONE << (cells & _INNER), first)
    return blocks.ravel()
