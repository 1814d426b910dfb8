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
from typing import ClassVar

import numpy as np

from hashret.codes import Codes, Neighbors, flip_masks
from hashret.indexes import kernels
from hashret.indexes.base import (
    BOTH,
    Index,
    OverCodes,
    certified,
    check_search,
    check_within,
    path_of,
)
from hashret.indexes.distinct import DistinctCodes
from hashret.indexes.gather import PROBES, Pairs, interleaved, slabs
from hashret.indexes.multi_index.numpy_search import Progress
from hashret.indexes.multi_index.substrings import (
    Flips,
    SubstringTable,
    cut,
    flips_of,
    most_affordable,
    slot_bits,
)
from hashret.indexes.scan import ScanIndex

_QUERIES = 256  # queries that advance together
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
        #: by which way the last answer came
        self.path = "multi-index"
        #: queries given up so far, and the probes and candidates (some counting less) of all
        self.given_up, self.work = 0, 0
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
            return self._rest().search(queries, k, ties=ties)
        caps = np.full(len(queries), self.n_bits)
        found = self._answer(
            queries, caps, k, ties, lambda rest: self._rest().search(queries[rest], k, ties=ties)
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
            lambda rest: self._rest().within(queries[rest], radii[rest]),
        )

    def _own_scan(self) -> Index:
        if self._scan is None:
            self._scan = ScanIndex(self._codes)
        return self._scan

    def _rest(self) -> Index:
        """What answers the queries that are given up."""
        linear = self._linear()
        self.path = f"multi-index + {path_of(linear)[0]}"
        return linear

    @property
    def n_tables(self) -> int:
        """The number of tables."""
        return len(self._tables)

    def _answer(
        self,
        queries: Codes,
        caps: np.ndarray,
        k: int | None,
        ties: bool,
        answer_rest: Callable[[np.ndarray], Neighbors],
    ) -> Neighbors:
        """All rows within `caps`, which shrink to the k-th distances if k is given."""
        self.path = "multi-index"
        compiled = kernels.loaded()
        if compiled is not None and len(self):
            return self._answer_compiled(compiled, queries, caps, k, ties, answer_rest)
        pairs = Pairs()
        words = queries.words
        rest = []
        for start in range(0, len(queries), _QUERIES):
            block = slice(start, start + _QUERIES)
            progress = Progress(words[block], caps[block], k, start, pairs)
            rest.append(start + self._widen(progress))
        unanswered = np.concatenate([np.empty(0, np.int64), *rest])
        radius = caps.copy()
        self.given_up += len(unanswered)
        self.work += pairs.probed + pairs.compared
        caps[unanswered] = -1
        pairs.keep_within(caps)
        if len(unanswered):
            pairs.add_answers(answer_rest(unanswered), unanswered)
        return pairs.neighbors(len(queries), radius)

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
        lengths, rows, distances, (probed, compared, work) = compiled.multi_index.search(
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
        self.work += int(work)
        radius = caps.astype(np.int32)
        counters = int(probed), int(compared)
        rest = np.flatnonzero(lengths < 0)
        if not len(rest):
            return Neighbors(_limits(lengths), rows, distances, radius, *counters)
        self.given_up += len(rest)
        answered = np.flatnonzero(lengths >= 0)
        limits = _limits(lengths[answered])
        found = Neighbors(limits, rows, distances, radius[answered], *counters)
        return interleaved([(answered, found), (rest, answer_rest(rest))])

    def _widen(self, progress: Progress) -> np.ndarray:
        """Take step after step until all is known; return the queries that became too dear."""
        hashed = [table.hashed(progress.words) for table in self._tables]
        active = np.arange(len(progress.words))
        spent = np.zeros(len(active), np.int64)
        too_dear = []
        step = 0
        while len(active):
            flips, turn = divmod(step, len(self._tables))
            table = self._tables[turn]
            probes = table.n_probes(flips)
            affordable = spent[active] + probes * (1 + table.occupancy) <= self._budget
            too_dear.append(active[~affordable])
            active = active[affordable]
            # blocks, since a late step makes thousands of probes a query
            size = max(1, PROBES // max(1, probes))
            for start in range(0, len(active) if probes else 0, size):
                part = active[start : start + size]
                slots = table.slots(hashed[turn][part], flips)
                low = table.offsets.take(slots)
                lengths = table.offsets.take(slots + 1) - low
                spent[part] += probes + lengths.sum(axis=1, dtype=np.int64)
                lengths[spent[part] > self._budget] = 0
                progress.pairs.probed += slots.size
                masks = flip_masks(table.part.length, flips)[:, 0]
                for probe, places in slabs(low.ravel(), lengths.ravel()):
                    query, mask = np.divmod(probe, probes)
                    self._compare(progress, step, table, part[query], places, masks[mask])
            over = spent[active] > self._budget
            too_dear.append(active[over])
            active = active[~over]
            step += 1
            # everything at less than `step` is known now
            active = active[progress.caps[active] >= step]
        return np.concatenate(too_dear)

    def _compare(
        self,
        progress: Progress,
        step: int,
        table: SubstringTable,
        queries: np.ndarray,
        places: np.ndarray,
        masks: np.ndarray,
    ) -> None:
        """Keep of the candidates at `places` those near enough that this probe finds first.

        `queries` (m,) are the candidates' queries, `masks` (m,) the bits that the probe flipped.
        """
        stored = table.places
        if table.words is not None:
            xor = table.words.take(places, axis=0)
        else:
            xor = self._words.take(stored.take(places), axis=0)
        xor ^= progress.words.take(queries, axis=0)
        ones = np.bitwise_count(xor)
        distances = ones[:, 0] if ones.shape[1] == 1 else ones.sum(axis=1, dtype=np.uint16)
        progress.pairs.compared += len(places)
        near = np.flatnonzero(distances <= progress.caps.take(queries))
        if not len(near):
            return
        xor = xor[near]
        # a slot mixes values: only the probe of the code's own value counts
        first = table.part.of(xor) == masks[near]
        for turn, other in enumerate(self._tables):
            if first.any():
                flips = np.bitwise_count(other.part.of(xor)).astype(np.int64)
                first &= flips * len(self._tables) + turn >= step
        near = near[first]
        found = stored[places[near]]
        if table.words is None:
            found = self._references[found]
        which, rows = self._runs.rows_of(found)
        near = near[which]
        progress.add(queries[near], rows, distances[near])


def _limits(lengths: np.ndarray) -> np.ndarray:
    limits = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=limits[1:])
    return limits
