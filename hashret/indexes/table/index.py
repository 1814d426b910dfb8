"""The hash table: the bucket of a code, and a Hamming ball around it by flipping bits.

Layout, at most 22 bytes an item: the distinct hashed codes, each with its row beside it or, where
several items share the code, with the place and length of a run of rows (`SortedKeys`). The hash
is linear over GF(2), so that the probes of a ball are xors of one key with precomputed numbers.
Probing a ball: Salakhutdinov and Hinton, "Semantic hashing", IJAR 2009, section 4.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import ClassVar, Self

import numpy as np

from hashret import kernels
from hashret.codes import Codes, Neighbors, Work, ball_size, flip_masks, require_same_bits
from hashret.indexes.base import certified, check_search, check_within
from hashret.indexes.costs import Call, ExactIndex, Seen, Size, line
from hashret.indexes.gather import Pairs, expand
from hashret.indexes.linear_hash import LinearHash, flip_keys
from hashret.indexes.scan import LazyScan
from hashret.indexes.table import layout
from hashret.indexes.table.layout import SortedKeys
from hashret.kernels.packing import HALF, LOW

_PROBES = 1 << 16  # probes made at once: their arrays fit the second-level cache
_PROBE_COST = 10  # a probe takes as long as comparing about so many codes
_AT = (1 << 36) - 1  # mask of a run's position in the kernel's answer
_LEFT = -1  # the kernel's answer for a run that it leaves to plain Python
_NO_ROWS = np.empty(0, np.uint32)
_ONE_LOOK_UP = Work("table", 1, 1)  # the work of one look-up, if the key is the whole code
_BUILD_NS = 75.0  # ns per code


@dataclass(frozen=True, slots=True)
class TableCosts:
    """Times in ns: of a call, of each of its queries, and of each probe, one look-up."""

    call: float
    query: float
    probe: float


class TableIndex(ExactIndex[TableCosts]):
    """A hash table over whole codes, built in about 0.1 s a million.

    `within` probes every code in the ball if that takes less time than comparing every stored code
    (a probe counts as `probe_cost` comparisons), and compares them all otherwise. `search` widens
    the ball bit by bit under the same rule. Codes of up to 64 bits are found by their key alone;
    longer ones are folded into a key, and the whole code is compared.
    """

    name: ClassVar[str] = "table"
    NUMPY: ClassVar[TableCosts] = TableCosts(call=15e3, query=60.0, probe=12.0)
    COMPILED: ClassVar[TableCosts] = TableCosts(call=5e3, query=45.0, probe=8.0)

    def __init__(
        self,
        codes: Codes,
        *,
        probe_cost: float = _PROBE_COST,
        parts: tuple[SortedKeys, np.ndarray] | None = None,
    ):
        """Build the table, or take over its `parts`, as `from_tensors` does."""
        if len(codes) >= 1 << 32:
            raise ValueError(
                f"codes: expected fewer than 2**32, got {len(codes)}; index them in parts"
            )
        super().__init__(codes)
        self._probe_cost = probe_cost
        self._hash = LinearHash(codes.n_bits)
        self._linear = LazyScan(codes)
        self._keys, self._rows = parts or layout.built(codes, self._hash)
        # for kernels, which read whole codes only if keys may collide
        self._words = codes.words if codes.n_bits > 64 else np.empty((0, 1), np.uint64)
        self._arrays = (self._words, *self._hash.constants, *self._keys.arrays, self._rows)
        shifts, mask = self._hash.constants
        blocks, entries, cell_shift = self._keys.arrays
        self._halves = entries.view(np.uint32)  # the row of an entry is the third of its four
        pointed_at = (blocks, entries, self._rows, codes.packed)
        addresses = [array.ctypes.data for array in pointed_at]
        size = codes.n_bits // 8
        self._single = np.array([*addresses, cell_shift, mask, *shifts, size], np.uint64)
        self._single_at = self._single.ctypes.data
        # kernels are never unloaded; asking for them each time would take a tenth of a look-up
        self._kernel: Callable[[bytes, int], int] | None = None

    @classmethod
    def from_tensors(cls, codes: Codes, tensors: Mapping[str, np.ndarray]) -> Self:
        """The table of these codes made of its `tensors`, which may be read-only memory maps.

        Nothing is copied. The caller answers for their being the tensors of a table of these codes;
        other numbers would give other answers, though never rows that are not there. Raises
        DamagedError for arrays of other types or lengths, and for numbers that lead beyond them.
        """
        return cls(codes, parts=layout.taken(codes, LinearHash(codes.n_bits), tensors))

    def tensors(self) -> dict[str, np.ndarray]:
        """The arrays of the table: ``blocks`` and ``entries`` uint64, ``rows`` uint32."""
        blocks, entries, _ = self._keys.arrays
        return {"blocks": blocks, "entries": entries, "rows": self._rows}

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves."""
        held = self._keys.n_bytes + self._rows.nbytes
        if not np.may_share_memory(self._words, self._codes.packed):
            held += self._words.nbytes  # padded
        return held + self._linear.n_bytes

    def bucket(self, code: bytes) -> np.ndarray:
        """The rows with exactly this code (n_bits // 8 bytes), ascending, as uint32.

        The array may be a view of the table's own memory and must not be written to. This is the
        fast way for a single code: one kernel or plain Python, because one call of NumPy takes
        longer than the look-up. Raises ValueError for a code of another length.
        """
        kernel = self._kernel
        if kernel is None and (compiled := kernels.loaded()) is not None:
            kernel = self._kernel = compiled.table.single
        if kernel is not None and type(code) is bytes:
            found = kernel(code, self._single_at)
            if not found:
                return _NO_ROWS
            length, at = found >> 36, found & _AT
            if length == 1:
                return self._halves[at : at + 1]
            if length != _LEFT:
                return self._rows[at : at + length]
        if len(code) != self.n_bits // 8:
            raise ValueError(
                f"code: expected {self.n_bits // 8} bytes, got {len(code)}; "
                "encode queries with the model that encoded the collection"
            )
        place = self._keys.place(self._hash.key(int.from_bytes(code, "little")))
        if place < 0:
            return _NO_ROWS
        length, at = divmod(self._keys.word(place), 1 << 32)
        rows = self._rows[at : at + length]
        if length == 1:
            rows = self._halves[4 * place + 2 : 4 * place + 3]
        if self.n_bits > 64:
            same = self._codes.packed[rows] == np.frombuffer(code, np.uint8)
            rows = rows[same.all(axis=1)]
        return rows

    @classmethod
    def expected(cls, call: Call, size: Size, costs: TableCosts, seen: Seen) -> float | None:
        """The ns of probing a ball; None for the nearest, and where comparing is surely better."""
        ball = ball_size(size.n_bits, call.radius)
        if call.k is not None or _PROBE_COST * ball > size.n:
            return None
        return costs.call + call.n_queries * (costs.query + ball * costs.probe)

    @classmethod
    def to_build(cls, size: Size, costs: TableCosts) -> float:
        """The ns that building takes."""
        return _BUILD_NS * size.n

    @classmethod
    def calibrate(
        cls, codes: Codes, queries: Codes, known: TableCosts, slower: float
    ) -> TableCosts:
        """Its costs as measured on these codes."""
        index, ball = cls(codes), ball_size(64, 2)
        call, query = line(lambda n: index.within(queries[:n], 0), len(queries))
        many = 4 * (len(index) // (_PROBE_COST * ball) > 0)  # else comparing would be chosen
        probe = line(lambda n: index.within(queries[:n], 2), many)[1] / ball if many else query
        return TableCosts(call, query - probe, probe)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        pairs = Pairs(self.name, 1)
        words = queries.words
        active = np.arange(len(queries))
        missing = np.full(len(queries), k)
        flips = 0
        while len(active) and k < len(self) and self._probing_pays(flips):
            found, rows, distances = self._probe(words[active], flips, flips, pairs)
            pairs.add(active[found], rows, distances)
            missing[active] -= np.bincount(found, minlength=len(active))
            active = active[missing[active] > 0]
            flips += 1
        if len(active):
            caps = np.full(len(queries), self.n_bits)
            caps[active] = -1  # drops what probing found: the scan finds it again
            pairs.keep_within(caps)
            pairs.add_answers(self._linear().search(queries[active], k, ties=ties), active)
        answer = pairs.neighbors(len(queries), self.n_bits).first(k, ties=ties)
        return certified(answer, len(self), self.n_bits)

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        if type(radius) is int and radius == 0 and len(queries.packed) == 1:
            return self.look_up(queries)
        radii = check_within(self._codes, queries, radius)
        if not len(self) or not len(queries):
            return Pairs(self.name, 1).neighbors(len(queries), radii)
        if not radii.any():
            return self._buckets(queries)
        if self._probing_pays(int(radii.max())):
            compiled = kernels.loaded()
            if compiled is not None:
                return self._balls(compiled, queries, 0, radii)
        pairs = Pairs(self.name, 1)
        words = queries.words
        for each in np.unique(radii):
            chosen = np.flatnonzero(radii == each)
            if self._probing_pays(int(each)):
                found, rows, distances = self._probe(words[chosen], 0, int(each), pairs)
                pairs.add(chosen[found], rows, distances)
            else:
                pairs.add_answers(self._linear().within(queries[chosen], int(each)), chosen)
        return pairs.neighbors(len(queries), radii)

    def look_up(self, queries: Codes) -> Neighbors:
        """`within` radius 0 for a single code, (1, n_bits // 8), with half as many NumPy calls.

        Raises ValueError for a code of another length.
        """
        require_same_bits(self._codes, queries)
        rows = self.bucket(queries.packed.tobytes()).astype(np.int64)
        n = len(rows)
        distances, radius = np.zeros(n, np.int32), np.zeros(1, np.int32)
        work = _ONE_LOOK_UP if self.n_bits <= 64 else Work(self.name, 1, 1, n)
        return Neighbors(np.array([0, n]), rows, distances, radius, work)

    def _probing_pays(self, radius: int) -> bool:
        return ball_size(self.n_bits, radius) * self._probe_cost <= len(self)

    def _buckets(self, queries: Codes) -> Neighbors:
        """`within` radius 0: each query finds at most one run, so nothing needs to be sorted."""
        n_queries = len(queries)
        compiled = kernels.loaded()
        if compiled is not None:
            limits, rows = compiled.table.buckets(queries.words, *self._arrays)
            return self._exact(limits, rows)
        which, found = self._keys.find(self._hash(queries.words))
        runs = np.zeros(n_queries, np.uint64)
        runs[which] = found
        rows, lengths = self._rows_of(runs)
        if self.n_bits > 64:
            owner = np.repeat(np.arange(n_queries), lengths)
            same = (self._codes.packed[rows] == queries.packed[owner]).all(axis=1)
            rows, lengths = rows[same], np.bincount(owner[same], minlength=n_queries)
        limits = np.zeros(n_queries + 1, np.int64)
        np.cumsum(lengths, out=limits[1:])
        return self._exact(limits, rows)

    def _rows_of(self, runs: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """The rows of all runs in a row, and the length of each run, both int64.

        Each run is the uint64 word beside its key.
        """
        lengths = (runs >> HALF).view(np.int64)
        rows = expand((runs & LOW).view(np.int64), lengths)  # of a run of one its row itself
        shared = np.repeat(lengths > 1, lengths)
        rows[shared] = self._rows[rows[shared]]
        return rows, lengths

    def _exact(self, limits: np.ndarray, rows: np.ndarray) -> Neighbors:
        n_queries = len(limits) - 1
        return Neighbors(
            limits,
            rows,
            np.zeros(len(rows), np.int32),
            np.zeros(n_queries, np.int32),
            Work(self.name, 1, n_queries, len(rows) if self.n_bits > 64 else 0),
        )

    def _balls(
        self, compiled: kernels.Kernels, queries: Codes, first: int, radii: np.ndarray
    ) -> Neighbors:
        """All rows at `first` to `radii` bits from each query."""
        keys, flips = _sphere_keys(self.n_bits, 0, int(radii.max()))
        edges = np.searchsorted(flips, np.arange(int(radii.max()) + 2))
        limits, rows, distances, probed, compared = compiled.table.balls(
            queries.words,
            first,
            np.ascontiguousarray(radii),
            *self._arrays,
            keys,
            _sphere_masks(self.n_bits, 0, int(radii.max())),
            edges,
        )
        work = Work(self.name, 1, probed, compared)
        return Neighbors(limits, rows, distances, radii.astype(np.int32), work)

    def _probe(
        self, words: np.ndarray, first: int, last: int, work: Pairs
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """(query, row, distance) of all rows at `first` to `last` bits from each query.

        The probes and comparisons are added to the counters of `work`.
        """
        compiled = kernels.loaded()
        if compiled is not None:
            queries = Codes(words.view(np.uint8)[:, : self.n_bits // 8])
            found = self._balls(compiled, queries, first, np.full(len(words), last))
            work.probed += found.work.probed
            work.compared += found.work.compared
            query = np.repeat(np.arange(len(words)), np.diff(found.limits))
            return query, found.rows, found.distances
        keys, distances = _sphere_keys(self.n_bits, first, last)
        hashed = self._hash(words)
        block = max(1, _PROBES // len(keys))
        pieces = []
        for start in range(0, len(words), block):
            probes = (hashed[start : start + block, None] ^ keys).ravel()
            which, runs = self._keys.find(probes)
            rows, lengths = self._rows_of(runs)
            query, mask = np.divmod(np.repeat(which, lengths), len(keys))
            query += start
            work.probed += len(probes)
            if self.n_bits > 64:
                work.compared += len(rows)
                flipped = words[query] ^ _sphere_masks(self.n_bits, first, last)[mask]
                same = (Codes(self._codes.packed[rows]).words == flipped).all(axis=1)
                query, rows, mask = query[same], rows[same], mask[same]
            pieces.append((query, rows, distances[mask]))
        query, rows, near = (np.concatenate(column) for column in zip(*pieces, strict=True))
        return query, rows, near


@lru_cache(maxsize=32)
def _sphere_keys(n_bits: int, first: int, last: int) -> tuple[np.ndarray, np.ndarray]:
    """Numbers to xor to a key to flip `first` to `last` bits, and how many each flips (uint16)."""
    keys = [flip_keys(n_bits, flips) for flips in range(first, last + 1)]
    flips = np.arange(first, last + 1, dtype=np.uint16)
    return np.concatenate(keys), np.repeat(flips, [len(part) for part in keys])


@lru_cache(maxsize=32)
def _sphere_masks(n_bits: int, first: int, last: int) -> np.ndarray:
    return np.concatenate([flip_masks(n_bits, flips) for flips in range(first, last + 1)])
