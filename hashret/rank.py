"""Order a shortlist: by Hamming distance, then by the asymmetric score, then by id; fuse orders.

The score is asymmetric because the query keeps its real-valued confidence for each bit; only the
stored codes are binary. Sources: Gordo, Perronnin, Gong, Lazebnik, "Asymmetric distances for binary
embeddings", TPAMI 2014, section 3; the look-up by byte is that of product quantisation (Jégou,
Douze, Schmid, TPAMI 2011, section III).
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

from hashret.codes import Codes
from hashret.sparse import Features, SparseRows, by_layout, require_dense, require_sparse

# Steps of a confidence between 0 and 1. Confidences are rounded to these steps so that their sums
# are exact in float64: then a score does not depend on the order of summation, and so not on the
# other queries of a batch.
_STEPS = float(1 << 24)
_PAIRS = 1 << 16  # codes; from so many on, two bytes are looked up at once
_FEW = 1024  # codes a query up to which no tables are made for it
_TOGETHER = 32  # codes a query up to which those of several queries are scored at once
_TILE_ROWS = 64  # rows of features compared at a time: they stay in the cache
_GROUPS = 4  # for each of the k highest, in which scores are divided; fewer leave more to sort
_TILE = 1 << 13  # codes scored at a time: their columns stay in the cache
_TILE_PAIRS = 1 << 8  # codes, each scored with a query of its own: 64-bit numbers for each bit
# a standard deviation of scores or similarities, which are of the size of 1, that is rounding
_NO_SPREAD = 1e-9
BY_WORDS = 0.5  # what words count in a fused score; codes count the rest (ADR 28)


def signed_confidences(confidences: np.ndarray) -> np.ndarray:
    """The confidences about 0, in steps: positive for a 1, negative for a 0; whole float64.

    `confidences` (n_bits,) and the result have the same shape. If a code has the less likely value
    of a bit, twice the absolute value is lost from the sum in `expected_agreement`, exactly.
    """
    return np.rint((np.asarray(confidences, np.float64) - 0.5) * _STEPS)


def expected_agreement(confidences: np.ndarray, codes: Codes) -> np.ndarray:
    """The share of bits in which each code is expected to agree with the query, (n,) float64.

    `confidences` (n_bits,) are the query's confidences that its bits are 1; 0.5 is undecided. If
    all are certain (0.0 or 1.0), the result is ``(n_bits - distance) / n_bits``. Confidences below
    0 or above 1 are allowed, and give a bit more weight than others.
    """
    n_bits = codes.n_bits
    if len(codes) <= _FEW:
        steps = signed_confidences(confidences)
        return _as_shares(2.0 * (codes.bits @ steps) - steps.sum(), n_bits)
    signed = signed_confidences(confidences).reshape(-1, 8)
    bits = np.unpackbits(np.arange(256, dtype=np.uint8)[:, None], axis=1, bitorder="little")
    by_byte = signed @ (2.0 * bits.T - 1.0)  # (n_bytes, 256): what each value adds to the sum
    tables, columns = by_byte, codes.packed
    if len(codes) >= _PAIRS and columns.shape[1] % 2 == 0:
        # one look-up for two bytes: half as many look-ups, in tables that take longer to make
        tables = (by_byte[1::2, :, None] + by_byte[::2, None, :]).reshape(-1, 1 << 16)
        columns = columns.view("<u2")
    total = np.zeros(len(codes))
    for start in range(0, len(codes), _TILE):
        part, tile = total[start : start + _TILE], columns[start : start + _TILE]
        for position, sums in enumerate(tables):
            part += sums[tile[:, position]]
    return _as_shares(total, n_bits)


def _as_shares(total: np.ndarray, n_bits: int) -> np.ndarray:
    """Sums of steps, positive where a code agrees, as shares of the bits."""
    return (0.5 * n_bits * _STEPS + total) / (_STEPS * n_bits)


def agreements(confidences: np.ndarray, codes: Codes, queries: np.ndarray) -> np.ndarray:
    """The `expected_agreement` of each code with its query, (n,) float64.

    `queries` (n,), in ascending order, says which row of `confidences` (n_queries, n_bits) each
    code is compared with.
    """
    if len(confidences) == 1:
        return expected_agreement(confidences[0], codes)
    if len(codes) > _TOGETHER * len(confidences):
        limits = np.searchsorted(queries, np.arange(len(confidences) + 1))
        scores = np.empty(len(codes))
        for query, confidence in enumerate(confidences):
            part = slice(limits[query], limits[query + 1])
            scores[part] = expected_agreement(confidence, codes[part])
        return scores
    signed = signed_confidences(confidences)
    total = np.empty(len(codes))
    for start in range(0, len(codes), _TILE_PAIRS):
        part = slice(start, start + _TILE_PAIRS)
        signs = 2.0 * codes[part].bits - 1.0
        np.einsum("ij,ij->i", signs, signed[queries[part]], out=total[part])
    return _as_shares(total, codes.n_bits)


def similarities(query: Features, features: Features) -> np.ndarray:
    """The similarity of each row of features to the one row `query`, (n,) float64.

    For sparse rows it is the inner product, which is the cosine, because they have unit length. For
    dense rows it is minus the Euclidean distance. It does not depend on the other rows.
    """

    def inner_products(rows: SparseRows) -> np.ndarray:
        dense_query = require_sparse(query, "sparse items").to_dense()[0].astype(np.float64)
        owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)
        terms = dense_query[rows.indices] * rows.values
        return np.bincount(owner, weights=terms, minlength=len(rows))

    def minus_distances(rows: np.ndarray) -> np.ndarray:
        dense_query = require_dense(query, "dense items")
        squares = np.empty(len(rows))
        for start in range(0, len(rows), _TILE_ROWS):
            tile = slice(start, start + _TILE_ROWS)
            apart = rows[tile] - dense_query  # in float32: features are no more precise
            squares[tile] = np.einsum("ij,ij->i", apart, apart)
        return -np.sqrt(squares)

    return by_layout(features, inner_products, minus_distances)


def highest(scores: np.ndarray, k: int) -> np.ndarray:
    """The positions of the k highest scores and of all that equal the k-th, ascending."""
    near, n_groups = np.arange(len(scores)), _GROUPS * k
    if len(scores) >= _GROUPS * n_groups:
        # the highest of each group: k of them are no higher than the k highest scores, and few
        # scores are as high as these
        whole = len(scores) - len(scores) % n_groups
        highest_of = scores[:whole].reshape(-1, n_groups).max(axis=0)
        near = np.flatnonzero(scores >= np.partition(highest_of, n_groups - k)[n_groups - k])
        scores = scores[near]
    if len(scores) <= k:
        return near
    kth = np.partition(scores, len(scores) - k)[len(scores) - k]
    return near[scores >= kth]


def owners(limits: np.ndarray) -> np.ndarray:
    """The number of the slice that each value stands in, (n,) int64; see `sorted_within`."""
    if len(limits) == 2:  # of a single query: half of the time of an answer's arrays is calls
        return np.zeros(limits[1] - limits[0], np.int64)
    return np.repeat(np.arange(len(limits) - 1), limits[1:] - limits[:-1])


def sorted_within(limits: np.ndarray, keys: tuple[np.ndarray, ...]) -> np.ndarray:
    """The places of all values, slice by slice, each slice ordered by `keys`, ascending: (n,).

    Slice i is ``limits[i]`` to ``limits[i + 1]`` of each of the keys, the first of which counts
    most; what is equal in all of them stays in its order.
    """
    if len(limits) == 2:  # a single query: nothing to sort by
        return np.lexsort(keys[::-1])
    return np.lexsort((*reversed(keys), owners(limits)))


def first_within(
    limits: np.ndarray, places: np.ndarray, count: int | None
) -> tuple[np.ndarray, np.ndarray]:
    """The first `count` of each slice of `places`, or all for None, and the limits of these."""
    lengths = limits[1:] - limits[:-1]
    if count is None or not len(lengths) or int(lengths.max()) <= count:
        return limits - limits[0], places
    kept = np.arange(len(places)) - np.repeat(limits[:-1], lengths) < count
    return np.append(0, np.cumsum(np.minimum(lengths, count))), places[kept]


def fused(
    words: np.ndarray, agreements: np.ndarray, coded: np.ndarray, limits: np.ndarray
) -> np.ndarray:
    """How well texts fit words and agree with a code, joined: (n,) float64 in [0, 1], best highest.

    Each is put on a scale from 0 to 1 over the candidates of the query, and the fused score is
    their mean. Source: Bruch, Gai, Ingber, "An analysis of fusion functions for hybrid retrieval",
    TOIS 2023: a convex combination of scores is better than one of ranks, which can't tell a text
    that fits far better from one that fits a little better. ADR 28 has our measurements.

    The candidates of query i have the slice ``limits[i]`` to ``limits[i + 1]`` of the (n,) arrays:
    `words` are BM25 scores, of which 0 stays 0; `agreements` count where `coded`, and the least of
    a query's is 0, as is that of a candidate without a code.
    """
    sizes = limits[1:] - limits[:-1]
    starts, sizes = limits[:-1][sizes > 0], sizes[sizes > 0]
    if not len(starts):
        return np.zeros(len(words))

    def scaled(values: np.ndarray, least: np.ndarray) -> np.ndarray:
        spread = np.maximum.reduceat(values, starts) - least
        spread[spread <= 0.0] = 1.0  # all are equal, and tell nothing
        return np.asarray((values - np.repeat(least, sizes)) / np.repeat(spread, sizes))

    least = np.minimum.reduceat(np.where(coded, agreements, np.inf), starts)
    least[np.isinf(least)] = 0.0  # no candidate of the query has a code
    agreements = np.where(coded, agreements, np.repeat(least, sizes))
    by_words, by_codes = scaled(words, np.zeros(len(starts))), scaled(agreements, least)
    return BY_WORDS * by_words + (1.0 - BY_WORDS) * by_codes


def summed_deviations(limits: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """The sum of two measures of each item, each in its standard deviations, (n,) float64.

    Deviations are those within a slice, ``limits[i]`` to ``limits[i + 1]``: above the mean, and 0
    where all are equal.
    """
    sums = np.empty(len(first))
    for start, stop in pairwise(limits.tolist()):
        if stop > start:
            part = slice(start, stop)
            sums[part] = _in_deviations(first[part]) + _in_deviations(second[part])
    return sums


def _in_deviations(values: np.ndarray) -> np.ndarray:
    centred = values - values.mean()
    deviation = float(centred.std())
    return centred / deviation if deviation > _NO_SPREAD else np.zeros(len(values))
