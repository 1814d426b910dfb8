"""Exact k-NN and range search by the triangle inequality: clusters of rings around centres.

Each item x belongs to the nearest centre c; the items of a cluster at one distance d(x, c) form a
ring. By the triangle inequality, all items within r of a query q lie in a band of each cluster, the
rings d(q, c) - r to d(q, c) + r, and only these are compared. Bands are small if codes are
clustered, as those of a trained model are, and they grow slowly with r, whereas the number of
probes of a hash table grows as fast as the ball. With uniformly random codes nearly all are
compared, and out of order, so that a scan is faster.

Sources: Burkhard and Keller, "Some approaches to best-match file searching", CACM 1973 (rings of
whole-numbered distances); Fukunaga and Narendra, "A branch and bound algorithm for computing
k-nearest neighbors", IEEE Transactions on Computers 1975; Chávez and Navarro, "A compact space
decomposition for effective metric indexing", Pattern Recognition Letters 2005.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import isqrt
from typing import ClassVar

import numpy as np

from hashret import kernels
from hashret.codes import Codes, Neighbors, Work, hamming, merge
from hashret.indexes.base import certified, check_search, check_within
from hashret.indexes.costs import Call, ExactIndex, Seen, Size
from hashret.indexes.distinct import FIND_NS, DistinctCodes
from hashret.indexes.gather import Pairs, kth_distance, slabs, with_ties

_SAMPLE = 32  # codes per centre in the sample that improves the centres
_SEED = 0  # of the choice of centres, so that the same codes have the same index
_TILE = 1 << 17  # distances to centres computed at once: their operands stay in the cache
_PADDING = 16  # codes after the last one, because kernels read so many at once
_FIRST_ROWS = 4  # times k: rows of the nearest clusters that NumPy compares first, for a low limit
_BLOCK = 256  # queries that kernels search at once, which read each cluster once for all of them
_BLOCK_CODES = 1 << 22  # codes that the queries of a block may find in one cluster, for memory
_CENTRE = 3  # codes that can be compared in the time that one centre takes
_BUILD_NS = 100.0  # ns per code, besides finding distinct codes and comparing them with centres


@dataclass(frozen=True, slots=True)
class ClusterCosts:
    """The times of the steps of a search and of building, in ns."""

    call: float
    """Of a call, whatever it searches."""
    cluster: float
    """Of each cluster, once for all queries of a call."""
    query: float
    """Of each query."""
    word: float
    """Of each word of 64 bits that is compared with a query."""
    pair: float
    """Of each pair of a centre and a word of a code, in building."""


class ClusterIndex(ExactIndex[ClusterCosts]):
    """Codes sorted by cluster, distance to its centre, and row.

    The index holds a copy of the codes, and 4 bytes more for each. In an answer, `probed` counts
    the bands that were searched, at most one for a query and a cluster; `compared` counts the codes
    in these bands and the centres.
    """

    name: ClassVar[str] = "clusters"
    NUMPY: ClassVar[ClusterCosts] = ClusterCosts(
        call=30e3, cluster=10.0, query=90e3, word=9.0, pair=2.2
    )
    COMPILED: ClassVar[ClusterCosts] = ClusterCosts(
        call=10e3, cluster=40.0, query=500.0, word=0.5, pair=0.6
    )

    def __init__(self, codes: Codes, *, at_most: int | None = None):
        """Build with at most `at_most` centres; by default `n_centres` chooses their number."""
        super().__init__(codes)
        distinct = DistinctCodes.of(codes)
        n, words = len(distinct), distinct.codes.words
        self._centres = choose_centres(codes, n_centres(len(codes)) if at_most is None else at_most)
        m, width = len(self._centres), codes.n_bits + 1
        clusters, distances = assigned(distinct.codes, self._centres)
        # numbers of 16 bits sort several times faster
        order = np.argsort(distances, kind="stable")
        narrow = clusters.astype(np.min_scalar_type(m))
        order = order[np.argsort(narrow[order], kind="stable")]
        self._references = distinct.references[order]
        self._runs = distinct.runs
        self._columns = np.zeros((words.shape[1], n + _PADDING), np.uint64)
        self._columns[:, :n] = words[order].T
        #: (m * width + 1,) first position of ring d of cluster c, at c * (n_bits + 1) + d
        self._rings = np.zeros(m * width + 1, np.uint32)
        ring = clusters.astype(np.int64) * width + distances
        np.cumsum(np.bincount(ring, minlength=m * width), out=self._rings[1:])
        #: (m,) number of distinct codes in each cluster
        self._sizes = np.bincount(clusters, minlength=m)
        #: (m,) distance of each cluster's farthest code, its last one, from the centre
        self._reach = np.zeros(m, np.int64)
        self._reach[clusters[order]] = distances[order]
        self._centre_columns = np.ascontiguousarray(self._centres.words.T)

    @property
    def n_bytes(self) -> int:
        """Bytes of memory held beyond the codes themselves."""
        arrays = (
            self._references,
            self._columns,
            self._rings,
            self._sizes,
            self._reach,
            self._centre_columns,
        )
        others = self._centres.packed.nbytes + self._runs.n_bytes
        return others + sum(array.nbytes for array in arrays)

    @classmethod
    def expected(cls, call: Call, size: Size, costs: ClusterCosts, seen: Seen) -> float | None:
        """The ns of comparing the centres and the codes in the bands; None if these are not known.

        Clusters can win even if nearly all codes are in the bands: they compare column by column,
        which is faster than a scan if codes are long.
        """
        if seen.share is None:
            return None
        centres, code = n_centres(size.n), costs.word * size.code_words
        each = costs.query + code * (seen.share * size.n + _CENTRE * centres)
        return costs.call + costs.cluster * centres + call.n_queries * each

    @classmethod
    def to_build(cls, size: Size, costs: ClusterCosts) -> float:
        """The ns that building takes."""
        return (FIND_NS + _BUILD_NS) * size.n + costs.pair * size.words * n_centres(size.n)

    @classmethod
    def calibrate(
        cls, codes: Codes, queries: Codes, known: ClusterCosts, slower: float
    ) -> ClusterCosts:
        """The known costs, scaled as those of a scan: random codes have no clusters to measure."""
        each = {
            name: slower * getattr(known, name) for name in ("cluster", "query", "word", "pair")
        }
        return replace(known, **each)

    def search(self, queries: Codes, k: int, *, ties: bool = False) -> Neighbors:
        """The k nearest rows of each query; see `Index.search`."""
        k = check_search(self._codes, queries, k)
        compiled = kernels.loaded()
        if compiled is not None and len(self):
            return self._nearest_compiled(compiled, queries, k, ties)
        pairs = Pairs(self.name)
        for query in range(len(queries)):
            self._nearest(queries[query : query + 1], k, query, pairs)
        found = pairs.neighbors(len(queries), self.n_bits)
        return certified(found.first(k, ties=ties), len(self), self.n_bits)

    def within(self, queries: Codes, radius: int | np.ndarray) -> Neighbors:
        """All rows within the radius of each query; see `Index.within`."""
        radii = check_within(self._codes, queries, radius)
        compiled = kernels.loaded()
        if compiled is not None:
            return self._within_compiled(compiled, queries, np.ascontiguousarray(radii))
        pairs = Pairs(self.name)
        everywhere = np.arange(len(self._centres))
        for query, limit in enumerate(radii):
            away = hamming(queries[query : query + 1], self._centres)[0].astype(np.int64)
            pairs.compared += len(away)
            self._gather(queries.words[query], away, everywhere, int(limit), query, pairs)
        return pairs.neighbors(len(queries), radii.astype(np.int32))

    def share(self, queries: Codes, radius: int) -> float:
        """The mean share of the codes that queries of one radius would have to compare."""
        away = hamming(queries, self._centres).astype(np.int64)
        _, lengths = self._bands(away, np.arange(len(self._centres)), radius)
        return float(lengths.sum() / max(1, len(queries) * len(self)))

    def _bands(
        self, away: np.ndarray, clusters: np.ndarray, limit: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """The first position and the length of each cluster's band, (..., n_clusters) each."""
        first = clusters * (self.n_bits + 1)
        low = self._rings[first + np.maximum(0, away - limit)].astype(np.int64)
        high = self._rings[first + np.minimum(self.n_bits, away + limit) + 1].astype(np.int64)
        return low, high - low

    def _within_compiled(
        self, compiled: kernels.Kernels, queries: Codes, radii: np.ndarray
    ) -> Neighbors:
        block = max(1, min(_BLOCK, _BLOCK_CODES // max(1, int(self._sizes.max(initial=0)))))
        parts = []
        for start in range(0, max(1, len(queries)), block):
            batch = queries[start : start + block]
            batch_radii = radii[start : start + block]
            limits, rows, distances, (probed, compared) = compiled.clusters.within(
                self._centre_columns, batch.words, batch_radii, self.n_bits, *self._arrays
            )
            work = self._work(len(batch), probed, compared)
            parts.append(Neighbors(limits, rows, distances, batch_radii.astype(np.int32), work))
        return parts[0] if len(parts) == 1 else merge(parts)

    def _nearest_compiled(
        self, compiled: kernels.Kernels, queries: Codes, k: int, ties: bool
    ) -> Neighbors:
        n = len(self)
        max_hits = with_ties(k, n) if ties else k
        (limits, rows, distances, radius, cut), (probed, compared) = compiled.clusters.nearest(
            self._centre_columns, queries.words, k, max_hits, self.n_bits, *self._arrays, n
        )
        work = self._work(len(queries), probed, compared)
        if not cut:
            return Neighbors(limits, rows, distances, radius, work)
        found = self.within(queries, radius.astype(np.int64))
        return certified(replace(found, work=found.work.joined([work])), n, self.n_bits)

    def _work(self, n_queries: int, probed: int, compared: int) -> Work:
        """The work of the kernels plus that of comparing the queries with the centres."""
        return Work(self.name, 0, int(probed), int(compared) + n_queries * len(self._centres))

    @property
    def _arrays(self) -> tuple[np.ndarray, ...]:
        """The arrays in the order in which kernels take them."""
        index = self._columns, self._references, self._rings, self._reach
        return *index, *self._runs.arrays

    def _nearest(self, query: Codes, k: int, number: int, pairs: Pairs) -> None:
        """Add the rows that may be among the k nearest of a query.

        Whole clusters are compared first; they bound the bands of the others.
        """
        away = hamming(query, self._centres)[0].astype(np.int64)
        pairs.compared += len(away)
        order = np.argsort(away, kind="stable")
        enough = min(_FIRST_ROWS * k, len(self))
        n_first = int(np.searchsorted(np.cumsum(self._sizes[order]), enough)) + 1
        words = query.words[0]
        near = self._gather(words, away, order[:n_first], self.n_bits, number, pairs, k)
        self._gather(words, away, order[n_first:], near, number, pairs)

    def _gather(
        self,
        words: np.ndarray,
        away: np.ndarray,
        clusters: np.ndarray,
        limit: int,
        number: int,
        pairs: Pairs,
        k: int | None = None,
    ) -> int:
        """Add the rows within a limit, from the bands of some clusters, to `pairs`.

        With k, only the k nearest of them and those that tie with the k-th. Returns the limit, or
        with k the distance of the k-th if that is less.
        """
        low, lengths = self._bands(away[clusters], clusters, limit)
        pairs.probed += int((lengths > 0).sum())
        seen = np.zeros(self.n_bits + 1, np.int64)
        for _, places in slabs(low, lengths):
            near = np.zeros(len(places), np.uint16)
            references = self._references[places]
            for column, word in zip(self._columns, words, strict=True):
                near += np.bitwise_count(column[places] ^ word)
            pairs.compared += len(places)
            if k is not None:
                # floats, because bincount's weights are; they hold such counts exactly
                counts = np.bincount(near, self._runs.lengths(references), len(seen))
                seen += counts.astype(np.int64)
                limit = min(limit, int(kth_distance(seen, k)))
            chosen = np.flatnonzero(near <= limit)
            which, rows = self._runs.rows_of(references[chosen])
            pairs.add(np.full(len(rows), number), rows, near[chosen][which])
        return limit


def n_centres(n_codes: int) -> int:
    """The number of centres to use for so many codes.

    With more centres there are fewer codes to compare, but in more and shorter bands.
    """
    return isqrt(n_codes) // 2


def choose_centres(codes: Codes, at_most: int) -> Codes:
    """At most `at_most` distinct codes, but at least one if there is any, as centres of clusters.

    One round of k-means in Hamming space, on a sample: random codes first, then for each of them
    the majority, bit by bit, of the codes that are nearest to it.
    """
    n = len(codes)
    wanted = min(n, max(1, at_most))
    rng = np.random.default_rng(_SEED)
    sample = codes[np.sort(rng.choice(n, min(n, _SAMPLE * wanted), replace=False))]
    taken = sample[np.sort(rng.choice(len(sample), wanted, replace=False))]
    clusters, _ = assigned(sample, taken)
    order = np.argsort(clusters, kind="stable")
    _, starts, lengths = np.unique(clusters[order], return_index=True, return_counts=True)
    if not len(starts):
        return taken
    ones = np.add.reduceat(sample[order].bits, starts, axis=0, dtype=np.int32)
    majority = Codes.pack(2 * ones > lengths[:, None])
    return Codes(np.unique(majority.packed, axis=0))


def assigned(codes: Codes, centres: Codes) -> tuple[np.ndarray, np.ndarray]:
    """The nearest centre of each code, (n,) uint32, and its distance in bits, (n,) uint16.

    Of several nearest centres the first one counts.
    """
    compiled = kernels.loaded()
    if compiled is not None and len(codes):
        columns = np.ascontiguousarray(centres.words.T)
        found: tuple[np.ndarray, np.ndarray] = compiled.clusters.assign(codes.words, columns)
        return found
    clusters, distances = np.empty(len(codes), np.uint32), np.empty(len(codes), np.uint16)
    block = max(1, _TILE // max(1, len(centres)))
    for start in range(0, len(codes), block):
        some = slice(start, start + block)
        near = hamming(codes[some], centres)
        clusters[some] = near.argmin(axis=1)
        distances[some] = near.min(axis=1)
    return clusters, distances
