"""Multi-index hashing in NumPy: the queries of a block go through the steps together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hashret.codes import flip_masks
from hashret.indexes.distinct import Runs
from hashret.indexes.gather import PROBES, Pairs, kth_distance, slabs
from hashret.indexes.multi_index.substrings import SubstringTable

_QUERIES = 256  # queries that advance together


class Progress:
    """The pairs that a block of queries has found, and the distance up to which others matter."""

    def __init__(
        self, words: np.ndarray, caps: np.ndarray, k: int | None, start: int, pairs: Pairs
    ):
        self.words = words
        self.caps = caps  # a view of the caller's array, which is to see it shrink
        self.pairs = pairs
        self._start = start
        self._k = k
        n_bits = 64 * words.shape[1]
        self._seen = np.zeros((len(words), n_bits + 1), np.int64) if k is not None else None

    def add(self, queries: np.ndarray, rows: np.ndarray, distances: np.ndarray) -> None:
        """Add new pairs, and lower the caps to the k-th distances."""
        self.pairs.add(queries + self._start, rows, distances)
        if self._seen is None or self._k is None:
            return
        width = self._seen.shape[1]
        bins = queries * width + distances
        self._seen += np.bincount(bins, minlength=self._seen.size).reshape(self._seen.shape)
        # where there are fewer than k it is beyond every cap
        np.minimum(self.caps, kth_distance(self._seen, self._k), out=self.caps)


class Tables(NamedTuple):
    """The tables of a `MultiIndex`, with the distinct codes that they hold and whose rows these
    are, as words (n, n_words) uint64 and as `DistinctCodes` has them."""

    tables: list[SubstringTable]
    words: np.ndarray
    references: np.ndarray
    runs: Runs

    def search(
        self, words: np.ndarray, caps: np.ndarray, k: int | None, budget: int, pairs: Pairs
    ) -> np.ndarray:
        """Add to `pairs` all rows within `caps`; return the queries given up, (m,) int64.

        `words` (n_queries, n_words) uint64; `caps` (n_queries,) shrink to the k-th distances if k
        is given. A query is given up when its probes and candidates exceed `budget`; what was
        found for it stays in `pairs`.
        """
        given_up = [np.empty(0, np.int64)]
        for start in range(0, len(words), _QUERIES):
            block = slice(start, start + _QUERIES)
            progress = Progress(words[block], caps[block], k, start, pairs)
            given_up.append(start + self._widen(progress, budget))
        return np.concatenate(given_up)

    def _widen(self, progress: Progress, budget: int) -> np.ndarray:
        """Take steps until every answer is complete; return the queries that exceed the budget."""
        tables = self.tables
        hashed = [table.hashed(progress.words) for table in tables]
        active = np.arange(len(progress.words))
        spent = np.zeros(len(active), np.int64)
        too_dear = []
        step = 0
        while len(active):
            flips, turn = divmod(step, len(tables))
            table = tables[turn]
            probes = table.n_probes(flips)
            affordable = spent[active] + probes * (1 + table.occupancy) <= budget
            too_dear.append(active[~affordable])
            active = active[affordable]
            # in blocks, because a late step makes thousands of probes a query
            size = max(1, PROBES // max(1, probes))
            for start in range(0, len(active) if probes else 0, size):
                part = active[start : start + size]
                slots = table.slots(hashed[turn][part], flips)
                low = table.offsets.take(slots)
                lengths = table.offsets.take(slots + 1) - low
                spent[part] += probes + lengths.sum(axis=1, dtype=np.int64)
                lengths[spent[part] > budget] = 0
                progress.pairs.probed += slots.size
                masks = flip_masks(table.part.length, flips)[:, 0]
                for probe, places in slabs(low.ravel(), lengths.ravel()):
                    query, mask = np.divmod(probe, probes)
                    self._compare(progress, step, table, part[query], places, masks[mask])
            over = spent[active] > budget
            too_dear.append(active[over])
            active = active[~over]
            step += 1
            # everything nearer than `step` is known now
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
            xor = self.words.take(stored.take(places), axis=0)
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
        for turn, other in enumerate(self.tables):
            if first.any():
                flips = np.bitwise_count(other.part.of(xor)).astype(np.int64)
                first &= flips * len(self.tables) + turn >= step
        near = near[first]
        found = stored[places[near]]
        if table.words is None:
            found = self.references[found]
        which, rows = self.runs.rows_of(found)
        near = near[which]
        progress.add(queries[near], rows, distances[near])
