"""The tables of multi-index hashing, which find codes by the value of some consecutive bits."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from math import ceil, comb, log2
from typing import NamedTuple

import numpy as np

from hashret.codes import flip_masks
from hashret.indexes.linear_hash import LinearHash, flip_keys

_CHUNK = 1 << 20  # codes worked on at once, which takes some 50 MB
_HALF = np.uint64(32)  # bits of the half of a word


@dataclass(frozen=True, slots=True)
class Substring:
    """The `length` bits (at most 64) of a code from bit `start` on."""

    start: int
    length: int

    def of(self, words: np.ndarray) -> np.ndarray:
        """The values of these bits, (n,) uint64, in (n, n_words) uint64 words."""
        word, shift = divmod(self.start, 64)
        values = words[:, word] >> np.uint64(shift)
        if shift + self.length > 64:
            values |= words[:, word + 1] << np.uint64(64 - shift)
        values &= np.uint64((1 << self.length) - 1)
        return values


@lru_cache(maxsize=64)
def cut(n_bits: int, n_items: int) -> list[Substring]:
    """Cut codes of n_bits into disjoint substrings of about log2(n_items) bits each.

    That length balances probes against candidates (Norouzi, Punjani, Fleet, TPAMI 2014,
    section 4). The lengths differ by at most one.
    """
    length = min(max(8.0, log2(max(1, n_items)) + 1.5), 30.0)
    n_parts = ceil(n_bits / length)
    edges = [n_bits * part // n_parts for part in range(n_parts + 1)]
    return [Substring(a, b - a) for a, b in pairwise(edges)]


def slot_bits(length: int, n_items: int) -> int:
    """The number of bits that address a substring's slots: about one item a slot, if possible."""
    return min(length, max(1, round(log2(max(1, n_items)))))


def work_within(
    parts: list[Substring], n_items: int, radius: int, candidate_cost: float = 1.0
) -> float:
    """The probes and candidates of one query within `radius` on uniformly random codes.

    The candidates of a slot after its first count `candidate_cost` each.
    """
    work = 0.0
    for step in range(radius + 1):
        flips, turn = divmod(step, len(parts))
        length = parts[turn].length
        held = n_items / (1 << slot_bits(length, n_items))
        work += comb(length, flips) * (1 + min(1, held) + candidate_cost * max(0, held - 1))
    return work


class SubstringTable:
    """Codes addressed by the hash of one substring; codes with different values may share a slot.

    `offsets` (n_slots + 1,) uint32 cuts `places` (n,) uint32 into slots. `words` (n, 1) uint64
    holds codes of one word in the order of `places`, or is None: reading them there saves a random
    access for each candidate, at the price of the memory of one more copy.
    """

    def __init__(
        self,
        words: np.ndarray,
        part: Substring,
        *,
        offsets: np.ndarray,
        places: np.ndarray,
        inlined: np.ndarray | None,
    ):
        """Fill `offsets`, `places` and `inlined` (n,), which are views of the owner's arrays."""
        self.part = part
        self.hash = LinearHash(part.length)
        address_bits = slot_bits(part.length, len(words))
        self.shift = np.uint64(part.length - address_bits)
        self.occupancy = len(words) / (1 << address_bits)  # the mean number of codes in a slot
        # one integer for slot and place sorts several times faster than a stable argsort
        slots = np.empty(len(words), np.uint64)
        for start in range(0, len(words), _CHUNK):
            addresses = self.hashed(words[start : start + _CHUNK]) >> self.shift
            rows = np.arange(start, start + len(addresses), dtype=np.uint64)
            slots[start : start + _CHUNK] = addresses << _HALF | rows
        slots.sort()
        offsets[:] = 0
        for start in range(0, len(words), _CHUNK):
            some = slice(start, start + _CHUNK)
            places[some] = slots[some]  # the lower half
            if inlined is not None:
                inlined[some] = words[places[some], 0]
            counted = (slots[some] >> _HALF).view(np.int64)
            counts = np.bincount(counted - counted[0])
            first = int(counted[0]) + 1
            offsets[first : first + len(counts)] += counts.astype(np.uint32)
        np.cumsum(offsets, dtype=np.uint32, out=offsets)
        self.offsets = offsets
        self.places = places
        self.words = None if inlined is None else inlined[:, None]

    def hashed(self, words: np.ndarray) -> np.ndarray:
        """The hash of each query's substring, (n,) uint64, from which `slots` starts."""
        return self.hash(self.part.of(words)[:, None])

    def slots(self, hashed: np.ndarray, flips: int) -> np.ndarray:
        """The slots at exactly `flips` flipped bits of each query, (n, comb(length, flips))."""
        keys = flip_keys(self.part.length, flips)
        return ((hashed[:, None] ^ keys) >> self.shift).view(np.int64)

    def n_probes(self, flips: int) -> int:
        """The number of slots that `slots` returns for one query."""
        return comb(self.part.length, flips)


class Flips(NamedTuple):
    """Numbers that flip bits: `keys` are xored to a key, `masks` to a substring; (m,) uint64.

    Those that flip f bits of substring j are at edges[j, f] to edges[j, f + 1] (exclusive).
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
    """The largest number of flipped bits whose probes of the longest substring fit the budget."""
    longest = max(part.length for part in parts)
    flips = 0
    while flips < longest and comb(longest, flips + 1) <= budget:
        flips += 1
    return flips
