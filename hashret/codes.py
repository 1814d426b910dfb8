"""Binary codes and their neighbours: packing, Hamming distance, balls, merging.

NumPy only and no input or output. Bit j of a code is bit ``j % 8`` of byte ``j // 8`` (little
bit order, as Faiss hashes read it). Distances are Hamming distances in bits; a radius always
includes its boundary.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain, combinations
from math import comb
from typing import NamedTuple, overload

import numpy as np

from hashret.arguments import require_instance, shown, whole

_MOST_BITS = 1 << 16  # of a code: what `TrainingOptions` allows for bits that are taken as given
# Little-endian on every machine, so that bit j of a word's value is bit j of its 8 bytes.
_WORD = np.dtype("<u8")


@dataclass(frozen=True, slots=True)
class Codes:
    """n packed binary codes.

    `packed` is (n, n_bits // 8) uint8, C-contiguous; `n_bits` is a multiple of 8. A view, a
    memory map and an owned array are all fine: nothing here writes to it.
    """

    packed: np.ndarray

    def __post_init__(self) -> None:
        packed = self.packed
        require_instance("codes", packed, np.ndarray)
        # "B" is uint8; comparing letters is faster than comparing types, and single queries are
        # brief enough for that to matter
        if packed.ndim != 2 or packed.dtype.char != "B" or packed.shape[1] == 0:
            raise ValueError(
                "codes: expected a (n, n_bits // 8) uint8 array of at least 8 bits, got "
                f"{packed.dtype} of shape {packed.shape}; pack bits with Codes.pack"
            )
        if not packed.flags.c_contiguous:
            object.__setattr__(self, "packed", np.ascontiguousarray(packed))

    @classmethod
    def pack(cls, bits: np.ndarray) -> Codes:
        """Pack a (n, n_bits) array of booleans (or of 0 and 1); n_bits a multiple of 8.

        Raises ValueError for another shape or other values: of codes of ±1, pack ``bits > 0``.
        """
        bits = np.asarray(bits)
        if bits.ndim != 2 or bits.shape[1] % 8 or bits.shape[1] == 0:
            raise ValueError(
                f"bits: expected shape (n, n_bits) with n_bits a multiple of 8, got {bits.shape}; "
                "choose another number of bits"
            )
        if bits.dtype != bool and not ((bits == 0) | (bits == 1)).all():
            raise ValueError(
                "bits: expected booleans or 0 and 1, got other values; pack what is above a "
                "threshold, as in Codes.pack(values > 0)"
            )
        return cls(np.packbits(bits.astype(bool), axis=1, bitorder="little"))

    @classmethod
    def empty(cls, n_bits: int) -> Codes:
        """Zero codes of n_bits. Raises ValueError unless that is a positive multiple of 8."""
        if whole("n_bits", n_bits) % 8 or not 0 < n_bits <= _MOST_BITS:
            raise ValueError(
                f"n_bits: expected 8 to {_MOST_BITS:,}, a multiple of 8, got {n_bits}; choose "
                "another"
            )
        return cls(np.empty((0, n_bits // 8), np.uint8))

    @classmethod
    def from_hex(cls, text: str) -> Codes:
        """One code from hexadecimal as `hex` writes it. Raises ValueError for anything else."""
        require_instance("code", text, str)
        try:
            packed = bytes.fromhex(text)
        except ValueError:
            packed = b""
        if not packed:
            raise ValueError(
                f"code: expected two hexadecimal digits for each byte, got {shown(text)}; give it "
                "as `hex` writes it"
            )
        return cls(np.frombuffer(packed, np.uint8)[None])

    @classmethod
    def concatenate(cls, parts: Sequence[Codes]) -> Codes:
        """The codes of all `parts` (at least one, of equal length), one below the other.

        A single part is returned as it is, without a copy.
        """
        require_instance("parts", parts, Sequence)
        if not parts or not all(isinstance(part, Codes) for part in parts):
            raise TypeError(f"parts: expected Codes, one or more, got {shown(parts)}; pass a list")
        if len(lengths := {part.n_bits for part in parts}) > 1:
            raise ValueError(
                f"parts: expected codes of one length, got {sorted(lengths)} bits; encode all with "
                "one model"
            )
        return parts[0] if len(parts) == 1 else cls(np.concatenate([p.packed for p in parts]))

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return 8 * self.packed.shape[1]

    @property
    def bits(self) -> np.ndarray:
        """The bits unpacked, (n, n_bits) bool."""
        return np.unpackbits(self.packed, axis=1, bitorder="little").view(bool)

    @property
    def words(self) -> np.ndarray:
        """The codes as (n, ceil(n_bits / 64)) uint64, zero-padded: equal codes, equal words.

        Bit j of the code is bit ``j % 64`` of word ``j // 64``. Shares memory with `packed`
        where n_bits is a multiple of 64.
        """
        padded = self.packed
        n_bytes = padded.shape[1]
        if n_bytes % 8:
            padded = np.zeros((len(self), 8 * (n_bytes // 8 + 1)), np.uint8)
            padded[:, :n_bytes] = self.packed
        words = padded.view(_WORD)
        return words if _WORD.isnative else words.astype(np.uint64)

    def hex(self, row: int) -> str:
        """Code `row` in hexadecimal, byte 0 first."""
        return self.packed[row].tobytes().hex()

    def __len__(self) -> int:
        return len(self.packed)

    @overload
    def __getitem__(self, rows: slice) -> Codes: ...
    @overload
    def __getitem__(self, rows: np.ndarray) -> Codes: ...
    def __getitem__(self, rows: slice | np.ndarray) -> Codes:
        return Codes(self.packed[rows])

    def n_distinct(self) -> int:
        """The number of different codes."""
        return len(np.unique(self.packed, axis=0)) if len(self) else 0


def require_same_bits(codes: Codes, queries: Codes) -> None:
    """Raise ValueError unless both have the same number of bits."""
    if codes.packed.shape[1] != queries.packed.shape[1]:
        raise ValueError(
            f"query codes: expected {codes.n_bits} bits, got {queries.n_bits}; "
            "encode queries with the model that encoded the collection"
        )


def hamming(queries: Codes, codes: Codes) -> np.ndarray:
    """All distances, (n_queries, n) uint16. Memory grows with n_queries x n: tile large inputs."""
    require_same_bits(codes, queries)
    left, right = queries.words, codes.words
    distances = np.zeros((len(queries), len(codes)), np.uint16)
    for word in range(left.shape[1]):
        distances += np.bitwise_count(left[:, word, None] ^ right[None, :, word])
    return distances


@lru_cache(maxsize=1024)
def ball_size(n_bits: int, radius: int) -> int:
    """How many codes of `n_bits` bits lie within `radius` (inclusive) of any one code."""
    return sum(comb(n_bits, flips) for flips in range(min(radius, n_bits) + 1))


@lru_cache(maxsize=64)
def flip_masks(n_bits: int, flips: int) -> np.ndarray:
    """All codes with exactly `flips` of `n_bits` bits set, (comb(n_bits, flips), n_words) uint64.

    To be xored to `Codes.words`; in lexicographic order of the flipped bits; read-only. Memory
    grows with the binomial coefficient: ask `ball_size` first.
    """
    count = comb(n_bits, flips)
    chosen = np.fromiter(
        chain.from_iterable(combinations(range(n_bits), flips)), np.int64, count * flips
    )
    masks = np.zeros((count, -(-n_bits // 64)), np.uint64)
    each = np.arange(count)
    for bit in chosen.reshape(count, flips).T:
        masks[each, bit // 64] |= np.uint64(1) << (bit % 64).astype(np.uint64)
    masks.flags.writeable = False
    return masks


class Work(NamedTuple):
    """How an answer was found, and how much work all its queries took together.

    `path` names the indexes that took part, joined by " + "; `n_tables` counts their hash tables.
    `probed` counts table look-ups and `compared` counts full code comparisons; equal codes may be
    compared as one. `given_up` is the number of queries that an index passed on to another one.
    `effort` is the weighted sum of an index's own probes and comparisons, where it weighs them.
    """

    path: str = ""
    n_tables: int = 0
    probed: int = 0
    compared: int = 0
    given_up: int = 0
    effort: float = 0.0

    def joined(self, others: Iterable[Work]) -> Work:
        """The sum of this work and of `others`; of the tables only those of this one count."""
        every = [self, *others]
        names = dict.fromkeys(name for work in every for name in work.path.split(" + ") if name)
        _, _, probed, compared, given_up, effort = zip(*every, strict=True)
        sums = sum(probed), sum(compared), sum(given_up), sum(effort)
        return Work(" + ".join(names), self.n_tables, *sums)


_UNTOLD = Work()


@dataclass(frozen=True, slots=True)
class Neighbors:
    """The rows near each query: one ragged answer for k nearest and for a radius.

    Query i has `rows[limits[i]:limits[i + 1]]` (int64) at the `distances` (int32, in bits) of
    the same slice, ordered by (distance, row), each row once. `complete_radius` (n_queries,)
    int32: every indexed row within that distance of query i (inclusive) is in its answer or,
    for k nearest, ties with or loses to its last row by (distance, row); -1: nothing is
    promised. `work` says how the answer was found.
    """

    limits: np.ndarray
    rows: np.ndarray
    distances: np.ndarray
    complete_radius: np.ndarray
    work: Work = _UNTOLD

    def __len__(self) -> int:
        return len(self.limits) - 1

    def __getitem__(self, query: int) -> tuple[np.ndarray, np.ndarray]:
        """The (rows, distances) of one query; -1 is the last. Raises IndexError beyond them."""
        at = query + len(self) if query < 0 else query
        if not 0 <= at < len(self):
            raise IndexError(f"query: expected one of {len(self)}, got {query}; count from 0")
        part = slice(int(self.limits[at]), int(self.limits[at + 1]))
        return self.rows[part], self.distances[part]

    @classmethod
    def from_pairs(
        cls,
        n_queries: int,
        queries: np.ndarray,
        rows: np.ndarray,
        distances: np.ndarray,
        complete_radius: np.ndarray | int,
        work: Work = _UNTOLD,
    ) -> Neighbors:
        """Build from distinct (query, row, distance) triples in any order, three (m,) arrays."""
        limits = np.zeros(n_queries + 1, np.int64)
        np.cumsum(np.bincount(queries, minlength=n_queries), out=limits[1:])
        rows, distances = _in_order(n_queries, queries, rows, distances)
        return cls(
            limits,
            rows,
            distances,
            np.broadcast_to(np.asarray(complete_radius, np.int32), (n_queries,)),
            work,
        )

    def first(self, k: int, *, ties: bool = False) -> Neighbors:
        """At most the first k rows of each query; with `ties`, also all at the k-th distance."""
        lengths = self.limits[1:] - self.limits[:-1]
        if (lengths <= k).all():
            return self
        queries = np.repeat(np.arange(len(self)), lengths)
        rank = np.arange(len(self.rows)) - self.limits[:-1][queries]
        keep = rank < k
        if ties and k > 0:
            last = np.full(len(self), -1, np.int64)
            full = lengths >= k
            last[full] = self.distances[self.limits[:-1][full] + k - 1]
            keep |= self.distances == last[queries]
        limits = np.zeros(len(self) + 1, np.int64)
        np.cumsum(np.bincount(queries[keep], minlength=len(self)), out=limits[1:])
        return Neighbors(
            limits, self.rows[keep], self.distances[keep], self.complete_radius, self.work
        )


# Bits of one integer that holds (query, distance, row): it sorts several times faster than three
# columns do.
_KEY_BITS = 63


def _in_order(
    n_queries: int, queries: np.ndarray, rows: np.ndarray, distances: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Rows (int64) and distances (int32) ordered by (query, distance, row)."""
    if not len(rows):
        return np.empty(0, np.int64), np.empty(0, np.int32)
    row_bits = int(rows.max()).bit_length()
    distance_bits = int(distances.max()).bit_length()
    if n_queries.bit_length() + distance_bits + row_bits <= _KEY_BITS:
        keys = queries.astype(np.int64) << distance_bits
        keys |= distances.astype(np.int64)
        keys <<= row_bits
        keys |= rows.astype(np.int64)
        keys.sort()
        ordered = keys & ((1 << row_bits) - 1)
        keys >>= row_bits
        keys &= (1 << distance_bits) - 1
        return ordered, keys.astype(np.int32)
    order = np.lexsort((rows, distances, queries))
    return np.asarray(rows, np.int64)[order], np.asarray(distances, np.int32)[order]


def merge(parts: list[Neighbors]) -> Neighbors:
    """Answers to consecutive batches of queries (at least one batch), one after the other.

    The work of the result names the path of the largest batch first. The tables of a path that
    several batches took are counted once.
    """
    ends = np.cumsum([0] + [len(part.rows) for part in parts])
    limits = [part.limits[:-1] + end for part, end in zip(parts, ends[:-1], strict=True)]
    first, *others = (part.work for part in sorted(parts, key=len, reverse=True))
    tables = {part.work.path.split(" + ")[0]: part.work.n_tables for part in parts}
    return Neighbors(
        np.concatenate([*limits, ends[-1:]]).astype(np.int64),
        np.concatenate([part.rows for part in parts]),
        np.concatenate([part.distances for part in parts]),
        np.concatenate([part.complete_radius for part in parts]),
        first._replace(n_tables=sum(tables.values())).joined(others),
    )
