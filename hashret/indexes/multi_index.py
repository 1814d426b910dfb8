"""Exact k-NN and range search by multi-index hashing, with a certified stop.

Codes are cut into m disjoint substrings with a table each. Step t = m * f + j probes table j at
exactly f flipped bits; by the pigeonhole principle a code at distance d differs in some
substring j by so few bits that a step up to d finds it. So after step t every code within
distance t is known, and a search stops when its k-th distance is at most t. Source: Norouzi,
Punjani, Fleet, "Fast exact search in Hamming space with multi-index hashing", TPAMI 2014,
sections 3.1 and 3.2.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import pairwise
from typing import ClassVar, Self

import numpy as np

from hashret.codes import Codes, Neighbors, flip_masks
from hashret.indexes.base import BOTH, Index, certified, check_search, check_within
from hashret.indexes.pairs import Pairs, expand
from hashret.indexes.scan import ScanIndex
from hashret.indexes.substrings import SubstringTable, cut

_QUERIES = 256  # queries that advance together
_PROBES = 1 << 17  # probes made, and candidates compared, at once
_INLINED_WORDS = 1  # a copy of longer codes in each table would save a tenth of the time only


class MultiIndex:
    """Substring tables over the codes.

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
        if len(codes) >= 1 << 32:
            raise ValueError(
                f"codes: expected fewer than 2**32, got {len(codes)}; index them in parts"
            )
        self._codes = codes
        self._words = codes.words
        self._budget = len(codes) // 60 if budget is None else budget
        self._scan: ScanIndex | None = None
        self._linear = linear or self._own_scan
        inline = self._words.shape[1] <= _INLINED_WORDS
        self._tables = [
            SubstringTable(self._words, part, inline=inline)
            for part in cut(codes.n_bits, len(codes))
        ]

    @classmethod
    def build(cls, codes: Codes) -> Self:
        """The tables of these codes; about 0.1 s a million of 64 bits."""
        return cls(codes)

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self._codes.n_bits

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves."""
        padded = not np.may_share_memory(self._words, self._codes.packed)
        return (
            sum(table.n_bytes for table in self._tables)
            + (self._words.nbytes if padded else 0)
            + (self._scan.n_bytes if self._scan else 0)
        )

    def __len__(self) -> int:
        return len(self._codes)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        if k >= len(self):  # every row is asked for; this includes an empty index
            return self._linear().search(queries, k, ties=ties)
        caps = np.full(len(queries), self.n_bits)
        found = self._answer(
            queries, caps, k, lambda rest: self._linear().search(queries[rest], k, ties=ties)
        )
        return certified(found.first(k, ties=ties), len(self), self.n_bits)

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        radii = check_within(self._codes, queries, radius)
        return self._answer(
            queries,
            radii.copy(),
            None,
            lambda rest: self._linear().within(queries[rest], radii[rest]),
        )

    def _own_scan(self) -> Index:
        if self._scan is None:
            self._scan = ScanIndex(self._codes)
        return self._scan

    def _answer(
        self,
        queries: Codes,
        caps: np.ndarray,
        k: int | None,
        answer_rest: Callable[[np.ndarray], Neighbors],
    ) -> Neighbors:
        """All rows within `caps`, which shrink to the k-th distances if k is given."""
        pairs = Pairs()
        words = queries.words
        rest = []
        for start in range(0, len(queries), _QUERIES):
            block = slice(start, start + _QUERIES)
            progress = _Progress(words[block], caps[block], k, start, pairs)
            rest.append(start + self._widen(progress))
        unanswered = np.concatenate([np.empty(0, np.int64), *rest])
        radius = caps.copy()
        caps[unanswered] = -1
        pairs.keep_within(caps)
        if len(unanswered):
            pairs.add_answers(answer_rest(unanswered), unanswered)
        return pairs.neighbors(len(queries), radius)

    def _widen(self, progress: _Progress) -> np.ndarray:
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
            size = max(1, _PROBES // max(1, probes))
            for start in range(0, len(active) if probes else 0, size):
                part = active[start : start + size]
                slots = table.slots(hashed[turn][part], flips)
                low = table.offsets.take(slots)
                lengths = table.offsets.take(slots + 1) - low
                spent[part] += probes + lengths.sum(axis=1, dtype=np.int64)
                lengths[spent[part] > self._budget] = 0
                progress.pairs.probed += slots.size
                masks = flip_masks(table.part.length, flips)[:, 0]
                for probe, places in _slabs(low.ravel(), lengths.ravel()):
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
        progress: _Progress,
        step: int,
        table: SubstringTable,
        queries: np.ndarray,
        places: np.ndarray,
        masks: np.ndarray,
    ) -> None:
        """Keep of the candidates at `places` those near enough that this probe finds first.

        `queries` (m,) are the candidates' queries, `masks` (m,) the bits that the probe flipped.
        """
        rows = table.rows
        if table.words is not None:
            xor = table.words.take(places, axis=0)
        else:
            xor = self._words.take(rows.take(places), axis=0)
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
        progress.add(queries[near], rows[places[near]], distances[near])


class _Progress:
    """What a block of queries has found, and how near the rest must be to matter."""

    def __init__(
        self, words: np.ndarray, caps: np.ndarray, k: int | None, start: int, pairs: Pairs
    ):
        self.words = words
        self.caps = caps  # a part of the caller's array, which sees it shrink
        self.pairs = pairs
        self._start = start
        self._k = k
        n_bits = 64 * words.shape[1]
        self._seen = np.zeros((len(words), n_bits + 1), np.int64) if k is not None else None

    def add(self, queries: np.ndarray, rows: np.ndarray, distances: np.ndarray) -> None:
        """Add new pairs and draw the caps in to the k-th distances."""
        self.pairs.add(queries + self._start, rows, distances)
        if self._seen is None:
            return
        width = self._seen.shape[1]
        bins = queries * width + distances
        self._seen += np.bincount(bins, minlength=self._seen.size).reshape(self._seen.shape)
        reached = np.cumsum(self._seen, axis=1) >= self._k
        enough = np.flatnonzero(reached[:, -1])
        self.caps[enough] = reached[enough].argmax(axis=1)


def _slabs(starts: np.ndarray, lengths: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Which range each position comes from, and the positions, some 100,000 at a time."""
    filled = np.flatnonzero(lengths)
    ends = np.cumsum(lengths[filled], dtype=np.int64)
    n_slabs = int(ends[-1]) // _PROBES + 1 if len(ends) else 0
    edges = np.searchsorted(ends, np.arange(n_slabs + 1) * _PROBES)
    edges[-1:] = len(filled)
    for start, end in pairwise(edges):
        ranges = filled[start:end]
        if len(ranges):
            yield np.repeat(ranges, lengths[ranges]), expand(starts[ranges], lengths[ranges])
