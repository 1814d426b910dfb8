"""The arrays of a hash table: how they are built from codes, and the bounds of those that are kept.

A table is built in little more memory than it takes: its entries are first where keys and rows are
put apart by the leading bits of the keys, and then, part by part, where they stand in order.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator, Mapping
from itertools import pairwise
from math import log2
from typing import Self

import numpy as np

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.indexes.linear_hash import LinearHash
from hashret.kernels.packing import BLOCK, HALF, LOW

_NONE = np.empty(0, np.uint32)
_CHUNK = 1 << 20  # codes, entries or blocks worked on at once, which takes some 50 MB
_PART_BITS = 15  # log2 of the keys of a part, which are put in order together: they fit the caches
_DIGIT = 16  # bits; NumPy sorts numbers of 16 bits several times faster than longer ones


def built(codes: Codes, hashed: LinearHash) -> tuple[SortedKeys, np.ndarray]:
    """The keys of the codes, each with its run, and the rows of all runs longer than one.

    Meanwhile the table takes 16 bytes for each code, and 4 for each that others share.
    """
    bits = min(_DIGIT, hashed.width, max(0, len(codes).bit_length() - _PART_BITS))
    pairs, limits = _parted(codes, hashed, bits)
    rows = np.empty(len(codes), np.uint32)  # the system gives the memory of what is written only
    n_keys = n_rows = 0
    for begin, end in pairwise(limits.tolist()):
        part = _in_order(pairs[2 * begin : 2 * end], hashed.width - bits)
        keys, runs, several = _runs_of(*part, n_rows)
        # never beyond what was read: there are no more keys than codes
        pairs[2 * n_keys : 2 * (n_keys + len(keys))] = np.stack([keys, runs], axis=1).ravel()
        rows[n_rows : n_rows + len(several)] = several
        n_keys, n_rows = n_keys + len(keys), n_rows + len(several)
        del part  # which may be a view of `pairs`
    # what is left over goes back to the system; no view of these arrays is left
    pairs.resize(2 * n_keys, refcheck=False)
    rows.resize(n_rows, refcheck=False)
    return SortedKeys(pairs, blocks_of(pairs[::2], hashed.width), hashed.width), rows


def _parted(codes: Codes, hashed: LinearHash, bits: int) -> tuple[np.ndarray, np.ndarray]:
    """Keys and rows in turn, (2 * n,) uint64, those of keys with the same leading bits together.

    Also where each of the 2**bits parts begins, and the last ends. Rows ascend within a part.
    """
    shift = np.uint64(hashed.width - bits)
    counts = np.zeros(1 << bits, np.int64)
    for _, keys in _keys_of(codes, hashed):
        counts += np.bincount((keys >> shift).view(np.int64), minlength=len(counts))
    limits = np.concatenate([[0], np.cumsum(counts)])
    pairs, written = np.empty(2 * len(codes), np.uint64), limits[:-1].copy()
    two = pairs.reshape(-1, 2)
    for start, keys in _keys_of(codes, hashed):
        parts = (keys >> shift).astype(np.uint16)
        order = np.argsort(parts, kind="stable")
        some = np.stack([keys[order], (order + start).view(np.uint64)], axis=1)
        counts = np.bincount(parts, minlength=len(counts))
        begin = 0
        for part in np.flatnonzero(counts).tolist():
            at, count = written[part], counts[part]
            two[at : at + count] = some[begin : begin + count]
            begin += count
        written += counts
    return pairs, limits


def _keys_of(codes: Codes, hashed: LinearHash) -> Iterator[tuple[int, np.ndarray]]:
    """The keys of the codes, a chunk at a time, each chunk after the row that it begins with."""
    for start in range(0, len(codes), _CHUNK):
        yield start, hashed(codes[start : start + _CHUNK].words)


def _in_order(pairs: np.ndarray, width: int) -> tuple[np.ndarray, np.ndarray]:
    """The keys of a part, ascending, and their rows, int64, ascending where keys are equal.

    Keys of a part differ in the last `width` bits at most.
    """
    keys, rows = pairs[::2].copy(), pairs[1::2].view(np.int64)
    if _ascend(keys):  # as where all are equal
        return keys, rows
    low = max(0, width - 2 * _DIGIT)
    order = np.argsort((keys >> np.uint64(low)).astype(np.uint16), kind="stable")
    upper = (keys >> np.uint64(low + _DIGIT)).astype(np.uint16)[order]
    order = order[np.argsort(upper, kind="stable")]
    keys = keys[order]
    if not _ascend(keys):  # few have both digits in common and differ in the bits below
        again = np.argsort(keys, kind="stable")
        keys, order = keys[again], order[again]
    return keys, rows[order]


def _ascend(keys: np.ndarray) -> bool:
    return not (keys[1:] < keys[:-1]).any()


def _runs_of(
    keys: np.ndarray, rows: np.ndarray, n_before: int
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The distinct of these keys, the run of each, and the rows of those that have several.

    A run is the number of rows in the upper half of a word; in the lower half, the row itself if it
    is one, or else how many rows of several come first, `n_before` in the parts before.
    """
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
    lengths = np.diff(first, append=len(keys))
    shared = lengths > 1
    begins = n_before + np.cumsum(lengths * shared) - lengths
    runs = lengths.astype(np.uint64) << HALF
    runs |= np.where(shared, begins, rows[first]).astype(np.uint64)
    return keys[first], runs, rows[np.repeat(shared, lengths)].astype(np.uint32)


def taken(
    codes: Codes, hashed: LinearHash, tensors: Mapping[str, np.ndarray]
) -> tuple[SortedKeys, np.ndarray]:
    """The result of `built`, made of tensors that whoever passes them knows to be those of codes.

    Raises DamagedError for tensors of other types, and where a number leads beyond an array: so
    whatever they are, looking up reads nothing outside them and gives no more rows than there are.
    """
    blocks, entries, rows = (tensors.get(name, _NONE) for name in ("blocks", "entries", "rows"))
    types = [(array.ndim, array.dtype.str) for array in (blocks, entries, rows)]
    if types == [(1, "<u8"), (1, "<u8"), (1, "<u4")] and len(entries) % 2 == 0:
        n_keys, n = len(entries) // 2, len(codes)
        fits = len(blocks) == 2 << _block_bits(n_keys, hashed.width)
        if fits and _are_within(blocks, entries, n_keys, rows, n):
            return SortedKeys(entries, blocks, hashed.width), rows
    raise DamagedError(
        f"table: expected that of these {len(codes)} codes, got another; build it from them"
    )


def _are_within(
    blocks: np.ndarray, entries: np.ndarray, n_keys: int, rows: np.ndarray, n: int
) -> bool:
    """Whether blocks lead to keys, keys to rows, and rows to codes; and there are n rows in all."""
    total = 0
    for start in range(0, len(blocks), _CHUNK):
        bitmaps, places = blocks[start : start + _CHUNK].reshape(-1, 2).T
        ends = places >> HALF
        if ((places & LOW) + np.bitwise_count(bitmaps) > ends).any() or (ends > n_keys).any():
            return False
    for start in range(0, len(entries), _CHUNK):
        runs = entries[start + 1 : start + _CHUNK : 2]
        lengths, begins = runs >> HALF, runs & LOW
        past = np.where(lengths > 1, len(rows), n)
        if (begins + lengths > past).any():
            return False
        total += int(lengths.sum())
    several = (rows[start : start + _CHUNK] for start in range(0, len(rows), _CHUNK))
    return total == n and all((part < n).all() for part in several)


_CELLS = 4  # log2 of the cells per key: of absent keys, one in seventeen meets a set bit
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
    block_bits = _block_bits(len(keys), width)
    blocks = np.zeros((1 << block_bits, 2), np.uint64)
    for start in range(0, len(keys), _CHUNK):
        cells = keys[start : start + _CHUNK] >> np.uint64(width - block_bits - BLOCK)
        of_key = (cells >> _SIX).view(np.int64)
        first = np.flatnonzero(np.diff(of_key, prepend=-1))
        at = of_key[first]  # the first of them may be the last of the chunk before
        blocks[at, 0] |= np.bitwise_or.reduceat(_ONE << (cells & _INNER), first)
        blocks[at, 1] += np.diff(first, append=len(cells)).view(np.uint64)
    ends = np.cumsum(blocks[:, 1])
    begins = ends - blocks[:, 1]
    ends <<= HALF
    np.bitwise_or(begins, ends, out=blocks[:, 1])
    return blocks.ravel()


def _block_bits(n_keys: int, width: int) -> int:
    """log2 of the number of blocks over so many keys."""
    return min(width, max(BLOCK, round(log2(max(1, n_keys))) + _CELLS)) - BLOCK
