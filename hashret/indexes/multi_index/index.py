"""Exact k-NN and range search by multi-index hashing, with a certified stop.

Codes are cut into m disjoint substrings with a table each. Step t = m * f + j probes table j at
exactly f flipped bits; by the pigeonhole principle a code at distance d differs in some
substring j by so few bits that a step up to d finds it. So after step t every code within
distance t is known, and a search stops when its k-th distance is at most t. Source: Norouzi,
Punjani, Fleet, "Fast exact search in Hamming space with multi-index hashing", TPAMI 2014,
sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import ClassVar

import numpy as np

from hashret.codes import Codes, Neighbors, Work
from hashret.indexes import kernels
from hashret.indexes.base import BOTH, Index, OverCodes, certified, check_search, check_within
from hashret.indexes.distinct import DistinctCodes
from hashret.indexes.gather import Pairs, interleaved
from hashret.indexes.multi_index.numpy_search import Tables
from hashret.indexes.multi_index.substrings import (
    Flips,
    SubstringTable,
    cut,
    flips_of,
    most_affordable,
    slot_bits,
)
from hashret.indexes.scan import ScanIndex

_INLINED_WORDS = 1  # a copy of longer codes in each table would save a tenth of the time only
# What a kernel counts a candidate for, where a probe and its slot's first candidate count one each:
# inlined candidates follow one another in memory, others are at least asked for in time.
_INLINED_CANDIDATE, _CANDIDATE = 0.06, 0.3


def candidate_cost(n_bits: int, *, with_kernels: bool) -> float:
    """What a further candidate of a slot counts, where a probe and the first count one each."""
    if not with_kernels:
        return 1.0
    return _INLINED_CANDIDATE if n_bits <= 64 * _INLINED_WORDS else _CANDIDATE


class MultiIndex(OverCodes):
    """Substring tables over the distinct codes; built in about 0.2 s a million of 64 bits.

    A query whose probes and candidates would exceed `budget` (default n // 60, a small part of
    the time of comparing every code) is answered by `linear`, by default a scan: on uniformly
    random codes, for very large k or for a wide radius multi-index hashing cannot win.
    """

    exact: ClassVar[bool] = True
    supports: ClassVar[frozenset[str]] = BOTH
    name: ClassVar[str] = "multi-index"

    def __init__(
        self,
        codes: Codes,
        *,
        budget: int | None = None,
        linear: Callable[[], Index] | None = None,
    ):
        super().__init__(codes)
        distinct = DistinctCodes.of(codes)
        self._words, self._references = distinct.codes.words, distinct.references
        self._runs = distinct.runs
        self._budget = len(codes) // 60 if budget is None else budget
        self._scan: ScanIndex | None = None
        self._linear = linear or self._own_scan
        self._parts = cut(codes.n_bits, len(self._words))
        self._flips: dict[int, Flips] = {}
        self._most_flips = most_affordable(self._parts, self._budget)
        self._tables = self._filled()
        layout = [(table.part.start, table.part.length, table.shift) for table in self._tables]
        self._layout = np.array(layout).astype(np.int64)
        self._shifts = np.array([table.hash.constants[0] for table in self._tables])

    def _filled(self) -> list[SubstringTable]:
        """A table for each part, all in one array of each sort, as kernels want them."""
        parts, n = self._parts, len(self._words)
        n_slots = [1 << slot_bits(part.length, n) for part in parts]
        inline = self._words.shape[1] <= _INLINED_WORDS
        self._bases = np.cumsum([0] + [slots + 1 for slots in n_slots], dtype=np.int64)
        self._offsets = np.empty(self._bases[-1], np.uint32)
        self._stored = np.empty((len(parts), n), np.uint32)
        self._inlined = np.empty((len(parts), n if inline else 0), np.uint64)
        tables = [
            SubstringTable(
                self._words,
                part,
                offsets=self._offsets[self._bases[turn] : self._bases[turn + 1]],
                places=self._stored[turn],
                inlined=self._inlined[turn] if inline else None,
            )
            for turn, part in enumerate(parts)
        ]
        if inline:  # nobody needs to know the place of a code that is here itself
            for turn in range(len(parts)):
                self._stored[turn] = self._references[self._stored[turn]]
            self._references = self._references[:0]
        return tables

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves."""
        copied = not np.may_share_memory(self._words, self._codes.packed)
        return (
            sum(array.nbytes for array in (self._offsets, self._stored, self._inlined))
            + self._references.nbytes
            + self._runs.n_bytes
            + (self._words.nbytes if copied else 0)
            + (self._scan.n_bytes if self._scan else 0)
        )

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        if k >= len(self):  # every row is asked for; this includes an empty index
            found = self._linear().search(queries, k, ties=ties)
            return replace(found, work=self._work().joined([found.work]))
        caps = np.full(len(queries), self.n_bits)
        found = self._answer(
            queries, caps, k, ties, lambda rest: self._linear().search(queries[rest], k, ties=ties)
        )
        if kernels.loaded() is None:
            found = found.first(k, ties=ties)
        return certified(found, len(self), self.n_bits)

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        radii = check_within(self._codes, queries, radius)
        return self._answer(
            queries,
            radii.copy(),
            None,
            True,
            lambda rest: self._linear().within(queries[rest], radii[rest]),
        )

    def _own_scan(self) -> Index:
        if self._scan is None:
            self._scan = ScanIndex(self._codes)
        return self._scan

    @property
    def n_tables(self) -> int:
        """The number of tables."""
        return len(self._tables)

    def _work(
        self, probed: int = 0, compared: int = 0, given_up: int = 0, effort: float = 0.0
    ) -> Work:
        """So much work in all tables."""
        return Work(self.name, len(self._tables), probed, compared, given_up, effort)

    def _answer(
        self,
        queries: Codes,
        caps: np.ndarray,
        k: int | None,
        ties: bool,
        answer_rest: Callable[[np.ndarray], Neighbors],
    ) -> Neighbors:
        """All rows within `caps`, which shrink to the k-th distances if k is given."""
        compiled = kernels.loaded()
        if compiled is not None and len(self):
            return self._answer_compiled(compiled, queries, caps, k, ties, answer_rest)
        pairs = Pairs(self.name, self.n_tables)
        tables = Tables(self._tables, self._words, self._references, self._runs)
        unanswered = tables.search(queries.words, caps, k, self._budget, pairs)
        radius = caps.copy()
        effort = pairs.probed + pairs.compared
        caps[unanswered] = -1
        pairs.keep_within(caps)
        if len(unanswered):
            pairs.add_answers(answer_rest(unanswered), unanswered)
        found = pairs.neighbors(len(queries), radius)
        work = found.work._replace(given_up=len(unanswered), effort=effort)
        return replace(found, work=work)

    def _answer_compiled(
        self,
        compiled: kernels.Kernels,
        queries: Codes,
        caps: np.ndarray,
        k: int | None,
        ties: bool,
        answer_rest: Callable[[np.ndarray], Neighbors],
    ) -> Neighbors:
        widest = int(caps.max(initial=0)) // len(self._parts)
        most_flips = min(widest, self._most_flips)
        if most_flips not in self._flips:
            self._flips[most_flips] = flips_of(self._parts, most_flips)
        candidate = candidate_cost(self.n_bits, with_kernels=True)
        lengths, rows, distances, (probed, compared, effort) = compiled.multi_index.search(
            queries.words,
            caps,
            k or 0,
            ties,
            self._budget,
            candidate,
            self.n_bits,
            self._words,
            self._layout,
            self._shifts,
            self._offsets,
            self._bases,
            self._stored,
            self._inlined,
            *self._flips[most_flips],
            self._references,
            *self._runs.arrays,
        )
        radius = caps.astype(np.int32)
        rest = np.flatnonzero(lengths < 0)
        work = self._work(int(probed), int(compared), len(rest), int(effort))
        if not len(rest):
            return Neighbors(_limits(lengths), rows, distances, radius, work)
        answered = np.flatnonzero(lengths >= 0)
        limits = _limits(lengths[answered])
        found = Neighbors(limits, rows, distances, radius[answered], work)
        return interleaved([(answered, found), (rest, answer_rest(rest))])


def _limits(lengths: np.ndarray) -> np.ndarray:
    limits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=limits[1:])
    return limits
