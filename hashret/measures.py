"""How good a ranking is: retrieval measures that are fair to ties.

NumPy only and no input or output. Many items have the same Hamming distance, so a measure of one
arbitrary order says as much about the sorting as about the codes. Every ranking measure here is
therefore averaged, exactly, over every order that the ties could take, after McSherry and Najork,
"Computing information retrieval performance measures efficiently in the presence of tied scores",
ECIR 2008, section 3. Statistics of codes alone (`code_statistics`) are at the end of this file.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np

from hashret.codes import Codes, hamming, require_same_bits

_TILE_PAIRS = 1 << 22  # query-item pairs compared at a time: some 100 MB of temporaries


@dataclass(frozen=True, slots=True)
class TiedRanking:
    """The number of items, and of relevant items, that each query finds at each distance.

    Column g of the three (n_queries, n_groups) arrays is the g-th group of equal distance,
    nearest first: `distances`, `sizes` and `relevant` (int64, at most `sizes`). A group may be
    empty. This is all that a tie-aware measure needs of a ranking. Every measure returns
    (n_queries,) float64; where it is undefined (recall and average precision of a query without
    any relevant item) it is NaN, so average with `numpy.nanmean`. `k` must be 1 or more.
    """

    distances: np.ndarray
    sizes: np.ndarray
    relevant: np.ndarray

    @classmethod
    def from_distances(cls, distances: np.ndarray, relevant: np.ndarray) -> TiedRanking:
        """The ranking by any distances, smaller being nearer; both arrays are (n_queries, n).

        `relevant` is bool. Only equal distances tie: round floats first if nearly equal ones should
        tie too. Raises ValueError for NaN, or for shapes that differ.
        """
        distances, relevant = np.asarray(distances), np.asarray(relevant, bool)
        if distances.ndim != 2 or distances.shape != relevant.shape:
            raise ValueError(
                "relevant: expected the (n_queries, n) shape of distances, got "
                f"{relevant.shape} beside {distances.shape}; pass one flag a distance"
            )
        if np.isnan(distances).any():
            raise ValueError("distances: expected numbers, got NaN; score what cannot be ranked")
        order = np.argsort(distances, axis=1)
        ranked = np.take_along_axis(distances, order, axis=1)
        group = np.zeros(distances.shape, np.int64)
        np.cumsum(ranked[:, 1:] != ranked[:, :-1], axis=1, out=group[:, 1:])
        n_groups = int(group.max(initial=0)) + 1
        value = np.full((len(distances), n_groups), np.inf)
        np.put_along_axis(value, group, ranked, axis=1)
        return cls(value, *_count(group, np.take_along_axis(relevant, order, axis=1), n_groups))

    @classmethod
    def from_labels(
        cls, queries: Codes, codes: Codes, query_labels: np.ndarray, labels: np.ndarray
    ) -> TiedRanking:
        """Rank all `codes` for each query by Hamming distance; relevant means the same label.

        Computed in tiles: memory does not grow with n_queries x n.
        """
        query_labels, labels = np.asarray(query_labels), np.asarray(labels)
        return cls._from_hamming(
            queries, codes, lambda tile: query_labels[tile, None] == labels[None, :]
        )

    @classmethod
    def from_truth(cls, queries: Codes, codes: Codes, truth: np.ndarray) -> TiedRanking:
        """Rank all `codes` for each query; relevant are its rows in `truth`, (n_queries, t) int.

        With the rows of a query's t nearest float vectors as truth, `recall_at` is the recall of
        its float neighbours.
        """
        truth = np.asarray(truth)

        def relevant(tile: slice) -> np.ndarray:
            flags = np.zeros((len(truth[tile]), len(codes)), bool)
            np.put_along_axis(flags, truth[tile], True, axis=1)
            return flags

        return cls._from_hamming(queries, codes, relevant)

    @classmethod
    def _from_hamming(
        cls, queries: Codes, codes: Codes, relevant: Callable[[slice], np.ndarray]
    ) -> TiedRanking:
        require_same_bits(codes, queries)
        n_groups = codes.n_bits + 1
        sizes = np.zeros((len(queries), n_groups), np.int64)
        hits = np.zeros_like(sizes)
        for tile in _tiles(len(queries), len(codes)):
            distances = hamming(queries[tile], codes)
            sizes[tile], hits[tile] = _count(distances, relevant(tile), n_groups)
        return cls(np.broadcast_to(np.arange(n_groups), sizes.shape), sizes, hits)

    def precision_at(self, k: int) -> np.ndarray:
        """The share of the first k that is relevant; places beyond the last item count as not."""
        return self._found(k) / k

    def recall_at(self, k: int) -> np.ndarray:
        """The share of all relevant items that is among the first k."""
        return _ratio(self._found(k), self.relevant.sum(axis=1), np.nan)

    def precision_within(self, radius: float) -> np.ndarray:
        """The share of the items within `radius` (inclusive) that is relevant; 0 if there are none.

        An empty ball counts as a failure, as in the literature on hashing.
        """
        inside = self.distances <= radius
        return _ratio((self.relevant * inside).sum(axis=1), (self.sizes * inside).sum(axis=1), 0.0)

    def average_precision_at(
        self, k: int | None = None, *, over: Literal["found", "possible"] = "found"
    ) -> np.ndarray:
        """Average precision of the first k (of all if None): its mean over queries is mAP@k.

        The sum over the relevant items among the first k of the precision at their place, over
        the number of such items (`over="found"`, what the literature on hashing reports as
        mAP@1000: 0 if none is found) or over min(k, all relevant items) (`over="possible"`, which
        also punishes what is missing). The two agree for k None.
        """
        if over not in ("found", "possible"):
            raise ValueError(f"over: expected 'found' or 'possible', got {over!r}; choose one")
        cut = k if k is not None else max(1, int(self.sizes.sum(axis=1).max(initial=0)))
        taken = self._taken(cut)
        before = np.cumsum(self.sizes, axis=1) - self.sizes
        hits_before = np.cumsum(self.relevant, axis=1) - self.relevant
        gain = _expected_gain(self.sizes, self.relevant, taken, before, hits_before)
        n_relevant = self.relevant.sum(axis=1)
        if over == "possible":
            return _ratio(gain.sum(axis=1), np.minimum(cut, n_relevant), np.nan)
        value = self._gain_over_found(gain, taken, before)
        return np.where(n_relevant > 0, value, np.nan)

    def _gain_over_found(
        self, gain: np.ndarray, taken: np.ndarray, before: np.ndarray
    ) -> np.ndarray:
        """The expected ratio of a ranking's gain to the number of relevant items it found.

        The number found depends on the order of ties only in the one group that k cuts.
        """
        is_cut = (taken > 0) & (taken < self.sizes)
        whole = np.where(is_cut, 0.0, gain).sum(axis=1)
        found = np.where(taken == self.sizes, self.relevant, 0).sum(axis=1)
        value = _ratio(whole, found, 0.0)
        (rows,) = np.nonzero(is_cut.any(axis=1))
        at = rows, is_cut[rows].argmax(axis=1)
        value[rows] = _expected_over_cut(
            whole[rows], found[rows], self.sizes[at], self.relevant[at], taken[at], before[at]
        )
        return value

    def _taken(self, k: int) -> np.ndarray:
        """How many of each group are among the first k, (n_queries, n_groups)."""
        if k < 1:
            raise ValueError(f"k: expected 1 or more, got {k}; choose how many items to judge")
        before = np.cumsum(self.sizes, axis=1) - self.sizes
        return np.clip(k - before, 0, self.sizes)

    def _found(self, k: int) -> np.ndarray:
        """The expected number of relevant items among the first k, (n_queries,)."""
        return _ratio(self._taken(k) * self.relevant, self.sizes, 0.0).sum(axis=1)


def _tiles(n_queries: int, n: int) -> Iterator[slice]:
    step = max(1, _TILE_PAIRS // max(1, n))
    for start in range(0, n_queries, step):
        yield slice(start, min(start + step, n_queries))


def _count(group: np.ndarray, relevant: np.ndarray, n_groups: int) -> tuple[np.ndarray, np.ndarray]:
    """How many items, and relevant items, of each row are in each group: two (rows, n_groups)."""
    cell = group + n_groups * np.arange(len(group))[:, None]
    shape = (len(group), n_groups)
    sizes = np.bincount(cell.ravel(), minlength=len(group) * n_groups).reshape(shape)
    hits = np.bincount(cell[relevant], minlength=len(group) * n_groups).reshape(shape)
    return sizes, hits


def _ratio(above: np.ndarray, below: np.ndarray, otherwise: float) -> np.ndarray:
    """`above` / `below`, elementwise, and `otherwise` where `below` is 0."""
    result = np.full(np.shape(below), otherwise)
    return np.divide(above, below, out=result, where=np.asarray(below) != 0)


def _expected_gain(
    size: np.ndarray,
    hits: np.ndarray,
    taken: np.ndarray,
    before: np.ndarray,
    hits_before: np.ndarray,
) -> np.ndarray:
    """The expected sum, over the relevant items in a group's first `taken` places, of precision.

    A group of `size` items, `hits` of them relevant, in any order, after `before` items of which
    `hits_before` were relevant. Place i of the group is relevant with probability hits / size;
    if it is, (i - 1)(hits - 1) / (size - 1) of the places above it are expected to be, so the
    precision there is (hits_before + 1 + that) / (before + i). Summed over i in closed form.
    """
    harmonic = np.zeros(int((before + taken).max(initial=0)) + 1)
    np.cumsum(1.0 / np.arange(1, len(harmonic)), out=harmonic[1:])
    inverse_places = harmonic[before + taken] - harmonic[before]  # sum of 1 / (before + i)
    above = taken - (before + 1) * inverse_places  # sum of (i - 1) / (before + i)
    share_above = _ratio(hits - 1.0, size - 1.0, 0.0)
    return _ratio(hits, size, 0.0) * ((hits_before + 1) * inverse_places + share_above * above)


def _expected_over_cut(
    whole: np.ndarray,
    found: np.ndarray,
    size: np.ndarray,
    hits: np.ndarray,
    places: np.ndarray,
    before: np.ndarray,
) -> np.ndarray:
    """Expected (gain / number found) where the cut at k leaves only `places` of a group's items.

    `whole` and `found`: gain and number of relevant items in the groups above the cut one. How
    many of the cut group's `hits` get a place is hypergeometric; given that number m, gain and
    number found are as for a group of `places` items, m of them relevant.
    """
    log_factorial = np.zeros(int(size.max(initial=0)) + 1)
    np.cumsum(np.log(np.arange(1, len(log_factorial))), out=log_factorial[1:])

    def log_choose(n: np.ndarray, m: np.ndarray) -> np.ndarray:
        return log_factorial[n] - log_factorial[m] - log_factorial[n - m]

    total = np.zeros(len(whole))
    for m in range(int(np.minimum(hits, places).max(initial=0)) + 1):
        (at,) = np.nonzero((m <= hits) & (m <= places) & (places - m <= size - hits))
        s, h, p = size[at], hits[at], places[at]
        chosen = np.full(len(at), m)
        log_odds = log_choose(h, chosen) + log_choose(s - h, p - chosen) - log_choose(s, p)
        gain = whole[at] + _expected_gain(p, chosen, p, before[at], found[at])
        total[at] += np.exp(log_odds) * _ratio(gain, found[at] + m, 0.0)
    return total


def recall_of_truth(found: np.ndarray, truth: np.ndarray) -> np.ndarray:
    """The share of each query's true rows that was found, (n_queries,) float64.

    `found` (n_queries, k) and `truth` (n_queries, t) hold row numbers, each row once; in `found`
    -1 stands for nothing.
    """
    found, truth = np.asarray(found), np.asarray(truth)
    return (found[:, :, None] == truth[:, None, :]).any(axis=1).mean(axis=1)


_TILE_ROWS = 1 << 16  # codes unpacked at a time; below 2**24, so that float32 counts are exact


def bit_balance(codes: Codes) -> np.ndarray:
    """The share of ones of each bit, (n_bits,) float64: 0.5 is balanced, 0 or 1 a dead bit."""
    ones = np.zeros(codes.n_bits, np.int64)
    for start in range(0, len(codes), _TILE_ROWS):
        ones += codes[start : start + _TILE_ROWS].bits.sum(axis=0)
    return ones / max(1, len(codes))


def bit_correlation(codes: Codes) -> np.ndarray:
    """Pearson's correlation of every pair of bits, (n_bits, n_bits) float64, 1 on the diagonal.

    A dead bit has correlation 0 with every other one: `bit_balance` is what shows it.
    """
    both = np.zeros((codes.n_bits, codes.n_bits))
    for start in range(0, len(codes), _TILE_ROWS):
        bits = codes[start : start + _TILE_ROWS].bits.astype(np.float32)
        both += bits.T @ bits
    share = np.diag(both) / max(1, len(codes))
    covariance = both / max(1, len(codes)) - np.outer(share, share)
    deviation = np.sqrt(share * (1 - share))
    scale = np.outer(deviation, deviation)
    correlation = np.divide(covariance, scale, out=np.zeros_like(scale), where=scale > 0)
    np.fill_diagonal(correlation, 1.0)
    return np.clip(correlation, -1.0, 1.0)


def bucket_sizes(codes: Codes) -> np.ndarray:
    """How many items share each distinct code, largest first, (n_distinct,) int64."""
    if not len(codes):
        return np.empty(0, np.int64)
    return np.sort(np.unique(codes.packed, axis=0, return_counts=True)[1])[::-1]


@dataclass(frozen=True, slots=True)
class CodeStatistics:
    """What a set of codes looks like: how evenly the bits and the buckets are used."""

    n_items: int
    n_distinct: int
    largest_bucket: int
    """Items in the fullest bucket."""
    balance_min: float
    balance_mean: float
    balance_max: float
    """Share of ones over the bits: the emptiest, the mean and the fullest bit."""
    correlation_mean: float
    correlation_max: float
    """Absolute correlation over the pairs of different bits."""


def code_statistics(codes: Codes) -> CodeStatistics:
    """Summarise `codes` (at least one)."""
    if not len(codes):
        raise ValueError("codes: expected at least one, got none; encode something first")
    sizes = bucket_sizes(codes)
    balance = bit_balance(codes)
    pairs = np.abs(bit_correlation(codes)[np.triu_indices(codes.n_bits, 1)])
    return CodeStatistics(
        n_items=len(codes),
        n_distinct=len(sizes),
        largest_bucket=int(sizes[0]),
        balance_min=float(balance.min()),
        balance_mean=float(balance.mean()),
        balance_max=float(balance.max()),
        correlation_mean=float(pairs.mean()),
        correlation_max=float(pairs.max()),
    )
