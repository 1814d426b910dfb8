"""Brute force: compare the query with every code. All other indexes are tested against this one.

It needs no building and no other library, so it also answers the first query of a process: in
about 1.5 ms over a million 64-bit codes, and in a third of that with kernels.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from hashret import kernels
from hashret.codes import Codes, Neighbors, Work, merge
from hashret.indexes.base import Index, certified, check_search, check_within
from hashret.indexes.costs import Call, ExactIndex, Seen, Size, line
from hashret.indexes.gather import Pairs, kth_distance, with_ties

_BLOCK, _BLOCK_CODES = (
    16,
    1 << 22,
)  # queries at once, and codes they may find: these are sorted within the cache
_FIRST_TILE = 1 << 12
_ONE_TILE = 1 << 13  # codes; a second tile of so few costs more calls than lower limits save
_TILE = 1 << 16  # codes compared at once: 512 KiB of words, which fits the second-level cache
_FEW_CODES = 1 << 13  # codes of a measurement that must fit the first-level cache


@dataclass(frozen=True, slots=True)
class ScanCosts:
    """Times in ns: of a call, of each of its queries, and of each word of 64 bits compared."""

    call: float
    query: float
    word: float


class ScanIndex(ExactIndex[ScanCosts]):
    """Every query against every code, tile by tile.

    Beyond the answers it needs the memory of one tile, however many codes and queries there are,
    and a copy of the codes in words of 8 bytes. No copy is needed for codes of 64 bits and, with
    kernels, for codes of any multiple of 64 bits.
    """

    name: ClassVar[str] = "scan"
    NUMPY: ClassVar[ScanCosts] = ScanCosts(call=30e3, query=40e3, word=0.9)
    COMPILED: ClassVar[ScanCosts] = ScanCosts(call=8e3, query=1.3e3, word=0.28)

    def __init__(self, codes: Codes, *, tile: int = _TILE):
        super().__init__(codes)
        self._tile = tile
        self._words = codes.words
        self._columns: list[np.ndarray] = []
        self._distance_type = np.dtype("u1" if codes.n_bits < 256 else "u2")

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves."""
        packed = self._codes.packed
        held = [self._words, *self._columns]
        return sum(c.nbytes for c in held if not np.may_share_memory(c, packed))

    @classmethod
    def expected(cls, call: Call, size: Size, costs: ScanCosts, seen: Seen) -> float:
        """The estimated ns of comparing every code."""
        return costs.call + call.n_queries * (costs.query + costs.word * size.words)

    @classmethod
    def calibrate(cls, codes: Codes, queries: Codes, known: ScanCosts, slower: float) -> ScanCosts:
        """The costs of a scan as measured on these codes."""
        return ScanCosts(*measured_linear(cls(codes[:_FEW_CODES]), cls(codes), queries))

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        compiled = kernels.loaded()
        if compiled is not None and len(self) and len(queries):
            return self._nearest_compiled(compiled, queries, k, ties)
        selections = [_Nearest(k, self.n_bits, ties) for _ in range(len(queries))]
        found = self._compare(queries, selections, self.n_bits)
        return certified(found.first(k, ties=ties), len(self), self.n_bits)

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        radii = check_within(self._codes, queries, radius)
        compiled = kernels.loaded()
        if compiled is None:
            return self._compare(queries, [_ball(int(radius)) for radius in radii], radii)
        radii = np.ascontiguousarray(radii)
        block = max(_BLOCK, _BLOCK_CODES // max(1, len(self)))
        parts = []
        for start in range(0, max(1, len(queries)), block):
            batch = queries[start : start + block]
            batch_radii = radii[start : start + block]
            limits, rows, distances = compiled.scan.within(
                self._words, batch.words, batch_radii, self.n_bits
            )
            work = self._compared(len(batch))
            parts.append(Neighbors(limits, rows, distances, batch_radii.astype(np.int32), work))
        return parts[0] if len(parts) == 1 else merge(parts)

    def _nearest_compiled(
        self, compiled: kernels.Kernels, queries: Codes, k: int, ties: bool
    ) -> Neighbors:
        n = len(self)
        max_hits = with_ties(k, n) if ties else k
        limits, rows, distances, radius, cut = compiled.scan.nearest(
            self._words, queries.words, k, max_hits, self.n_bits
        )
        if not cut:
            return Neighbors(limits, rows, distances, radius, self._compared(len(queries)))
        again = self.within(queries, radius.astype(np.int64))
        work = self._compared(2 * len(queries))
        found = Neighbors(again.limits, again.rows, again.distances, again.complete_radius, work)
        return certified(found, n, self.n_bits)

    def _compared(self, n_queries: int) -> Work:
        """The work of comparing every code with so many queries."""
        return Work(self.name, 0, 0, len(self) * n_queries)

    def _compare(
        self,
        queries: Codes,
        selections: Sequence[Callable[[np.ndarray], np.ndarray]],
        complete_radius: np.ndarray | int,
    ) -> Neighbors:
        """Compare tile by tile, and keep what each query's selection picks from the distances."""
        n, words = len(self), queries.words
        if not self._columns:
            # adding whole columns is faster than summing along rows of a few words
            columns = range(self._words.shape[1])
            self._columns = [np.ascontiguousarray(self._words[:, i]) for i in columns]
        xor = np.empty(min(self._tile, n), np.uint64)
        pairs = Pairs(self.name)
        # tiles in the outer loop, queries in the inner one: a tile is read once for all queries
        # the first tile is small, and lowers the limits for the others
        first = n if n <= _ONE_TILE else _FIRST_TILE
        edges = [0, *range(min(first, self._tile), n, self._tile), n]
        for start, end in pairwise(edges):
            tile = [column[start:end] for column in self._columns]
            for query, select in enumerate(selections):
                near = self._distances(tile, words[query], xor[: len(tile[0])])
                chosen = select(near)
                pairs.add(np.full(len(chosen), query), chosen + start, near[chosen])
        pairs.compared = n * len(queries)
        return pairs.neighbors(len(queries), complete_radius)

    def _distances(self, tile: list[np.ndarray], query: np.ndarray, xor: np.ndarray) -> np.ndarray:
        total: np.ndarray = np.zeros(len(xor), self._distance_type)
        for column, word in zip(tile, query, strict=True):
            total += np.bitwise_count(np.bitwise_xor(column, word, out=xor))
        return total


def measured_linear(few: Index, index: Index, queries: Codes) -> tuple[float, float, float]:
    """The ns of a call, a query and a word, for an index that compares every code.

    `few` and `index` are two of these, over few and over many codes.
    """
    call, each_of_few = line(lambda n: few.search(queries[:n], 10), 16)
    _, each = line(lambda n: index.search(queries[:n], 10), 16)
    word = (each - each_of_few) / max(1, len(index) - len(few))
    return call, each_of_few - word * len(few), word


class LazyScan:
    """A scan over the codes that is made on the first call."""

    def __init__(self, codes: Codes):
        self._codes = codes
        self._scan: ScanIndex | None = None

    def __call__(self) -> ScanIndex:
        """The scan."""
        if self._scan is None:
            self._scan = ScanIndex(self._codes)
        return self._scan

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves."""
        return self._scan.n_bytes if self._scan else 0


def _ball(radius: int) -> Callable[[np.ndarray], np.ndarray]:
    """A selection of the codes within the radius."""
    return lambda distances: np.flatnonzero(distances <= radius)


class _Nearest:
    """A selection, tile after tile, of the codes that may be among the k nearest of all tiles.

    A histogram of the distances seen gives the k-th distance without sorting.
    """

    def __init__(self, k: int, n_bits: int, ties: bool):
        self._k = k
        self._ties = ties
        self._seen = np.zeros(n_bits + 1, np.int64)
        self._enough = False  # whether k rows have been seen
        self._limit = n_bits  # the largest distance in bits that may still be among the k nearest

    def __call__(self, distances: np.ndarray) -> np.ndarray:
        # once k rows are seen, only nearer ones are gathered and counted
        chosen = np.flatnonzero(distances <= self._limit) if self._enough else None
        counted = distances if chosen is None else distances[chosen]
        self._seen += np.bincount(counted, minlength=len(self._seen))
        kth = int(kth_distance(self._seen, self._k))
        if chosen is None:
            chosen = np.flatnonzero(distances <= kth)
        self._enough = kth < len(self._seen)
        if self._enough and self._ties:
            self._limit = kth
        elif self._enough:
            # a later row at the k-th distance loses to the k before it
            self._limit = kth - 1
            surplus = np.flatnonzero(distances[chosen] == kth)[self._k :]
            chosen = np.delete(chosen, surplus) if len(surplus) else chosen
        return chosen
