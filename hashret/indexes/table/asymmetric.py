"""Find the rows of highest score, by comparing every code or by probing the likeliest buckets.

The score is `hashret.rank.expected_agreement`, of a query's confidences with stored bits.
"""

from __future__ import annotations

import numpy as np

from hashret import rank
from hashret.codes import Codes, Neighbors, Work, hamming, merge
from hashret.indexes.table.index import TableIndex
from hashret.indexes.table.multiprobe import probe_by_confidence


def compare_all(codes: Codes, queries: Codes, confidences: np.ndarray, k: int) -> Neighbors:
    """For each query the k rows of highest score, and all that tie with the k-th, in order of rows.

    `confidences` (n_queries, n_bits). Every code is compared. The complete radius is -1, because
    the search is not by distance.
    """
    parts = []
    for query, confidence in enumerate(confidences):
        rows = rank.highest(rank.expected_agreement(confidence, codes), k)
        work = Work("by score", compared=len(codes))
        parts.append(_answer(codes, queries[query : query + 1], rows, False, work))
    return _merged(parts)


def probe(
    table: TableIndex,
    codes: Codes,
    queries: Codes,
    confidences: np.ndarray,
    k: int,
    budget: int,
) -> Neighbors:
    """For each query the rows of at most `budget` buckets, opened in the order of their score.

    `table` is over `codes`; `confidences` (n_queries, n_bits). A complete radius of 0 means that
    the k best by score are among the rows, -1 that the budget ran out before this was certain.
    """
    parts = []
    for query, confidence in enumerate(confidences):
        signed = rank.signed_confidences(confidence)
        likeliest = Codes.pack(signed[None] > 0).packed[0]
        certainties = np.abs(signed).astype(np.int64)
        found = probe_by_confidence(table, likeliest, certainties, min(k, len(codes)), budget)
        rows = found.rows.astype(np.int64)
        work = Work("by confidence", 1, found.n_probes)
        parts.append(_answer(codes, queries[query : query + 1], rows, found.complete, work))
    return _merged(parts)


def _answer(codes: Codes, query: Codes, rows: np.ndarray, complete: bool, work: Work) -> Neighbors:
    distances = hamming(query, codes[rows])[0]
    radius = np.array([0 if complete else -1], np.int32)
    return Neighbors(np.array([0, len(rows)]), rows, distances, radius, work)


def _merged(parts: list[Neighbors]) -> Neighbors:
    none = np.empty(0, np.int32)
    of_no_query = Neighbors(np.zeros(1, np.int64), none, none, none)
    return merge([of_no_query, *parts])
