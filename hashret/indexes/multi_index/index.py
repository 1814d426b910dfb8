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
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from hashret import kernels
from hashret.codes import Codes, Neighbors, Work
from hashret.indexes.base import Index, certified, check_search, check_within
from hashret.indexes.costs import Call, ExactIndex, Experience, Seen, Size, line
from hashret.indexes.distinct import FIND_NS, DistinctCodes
from hashret.indexes.gather import Pairs, interleaved
from hashret.indexes.multi_index.numpy_search import Tables
from hashret.indexes.multi_index.substrings import (
    Flips,
    SubstringTable,
    cut,
    flips_of,
    most_affordable,
    slot_bits,
    work_within,
)
from hashret.indexes.scan import LazyScan

# Words in the longest code of which each table holds a copy: with longer ones that would save only
# a tenth of the time.
_INLINED_WORDS = 1
# The cost of a further candidate of a slot for a kernel, in units of a probe (and of the slot's
# first candidate): inlined candidates follow one another in memory, others are prefetched.
_INLINED_CANDIDATE, _CANDIDATE = 0.06, 0.3


def candidate_cost(n_bits: int, *, with_kernels: bool) -> float:
    """The cost of a further candidate of a slot, in units of a probe or of the first candidate."""
    if not with_kernels:
        return 1.0
    return _INLINED_CANDIDATE if n_bits <= 64 * _INLINED_WORDS else _CANDIDATE


_BUILD_NS = 35.0  # ns per code and table, besides finding the distinct codes
_STEPS = 10  # typical number of steps of a search for the k nearest in NumPy
_SHARE = 60  # without experience, a query may take 1/60 of the work of comparing all codes
# Expected before the first search for the nearest: the share of queries given up, effort per code.
_GIVEN_UP, _EFFORT = 0.05, 1 / 600


@dataclass(frozen=True, slots=True)
class MultiCosts:
    """Times in ns: of a call, of a step of all its queries, of a query, of a probe or candidate."""

    call: float
    step: float
    query: float
    work: float


class MultiIndex(ExactIndex[MultiCosts]):
    """Substring tables over the distinct codes, built in about 0.2 s a million of 64 bits.

    A query whose probes and candidates would exceed `budget` (default n // 60, a small part of the
    time of comparing every code) is answered by `linear`, by default a scan. This happens with
    uniformly random codes, a very large k or a wide radius, where multi-index hashing is slower.
    """

    name: ClassVar[str] = "multi-index"
    NUMPY: ClassVar[MultiCosts] = MultiCosts(call=100e3, step=60e3, query=2e3, work=22.0)
    COMPILED: ClassVar[MultiCosts] = MultiCosts(call=25e3, step=0.0, query=1e3, work=10.0)

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
        self._own_scan = LazyScan(codes)
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
        if inline:  # the code itself is stored here, so its place is not needed
            for turn in range(len(parts)):
                self._stored[turn] = self._references[self._stored[turn]]
            self._references = np.empty(0, np.uint32)
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
            + self._own_scan.n_bytes
        )

    @classmethod
    def expected(cls, call: Call, size: Size, costs: MultiCosts, seen: Seen) -> float | None:
        """The ns of all steps, plus `seen.linear` for each query expected to be given up."""
        experience = seen.experience
        if call.k is None and _SHARE * experience.effort > size.n and not experience.known:
            return None
        steps = call.radius + 1 if call.k is None else _STEPS
        each = costs.query + costs.work * experience.effort + experience.given_up * seen.linear
        return costs.call + costs.step * steps + call.n_queries * each

    @classmethod
    def to_build(cls, size: Size, costs: MultiCosts) -> float:
        """The ns that building takes."""
        return (FIND_NS + _BUILD_NS * len(cut(size.n_bits, size.n))) * size.n

    @classmethod
    def unseen(cls, call: Call, size: Size, *, compiled: bool) -> Experience:
        """For a radius the work on uniformly random codes; for the nearest a fixed guess."""
        if call.k is not None:
            return Experience(_GIVEN_UP, size.n * _EFFORT)
        each = candidate_cost(size.n_bits, with_kernels=compiled)
        return Experience(0.0, work_within(cut(size.n_bits, size.n), size.n, call.radius, each))

    @classmethod
    def calibrate(
        cls, codes: Codes, queries: Codes, known: MultiCosts, slower: float
    ) -> MultiCosts:
        """The costs as measured on these codes, at a small radius and at a wide one."""
        near, far, n = 1, 6, 64
        index = cls(codes, budget=len(codes))
        call, each = line(lambda n: index.within(queries[:n], near), n)
        far_call, far_each = line(lambda n: index.within(queries[:n], far), n)
        efforts = [index.within(queries[:n], radius).work.effort / n for radius in (near, far)]
        work = (far_each - each) / max(1.0, efforts[1] - efforts[0])
        step = (far_call - call) / (far - near) if known.step else 0.0
        return MultiCosts(call - (near + 1) * step, step, each - work * efforts[0], work)

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

    @property
    def n_tables(self) -> int:
        """The number of tables."""
        return len(self._tables)

    def _work(
        self, probed: int = 0, compared: int = 0, given_up: int = 0, effort: float = 0.0
    ) -> Work:
        """The work of so many probes, comparisons and units of effort in all tables."""
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
