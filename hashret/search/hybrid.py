"""Answer by words and codes: the nearest codes and the texts with the words, by a fused score.

A code says what a text is about, and knows only the words of the model's vocabulary; words say
exactly what was asked for, and miss what is said in others. An item that has no code, and a
question that has none, are found by words alone.

The code of a few words is coarse. So the codes of the five texts that fit the words best are added
to what the question thinks of its bits, before candidates are ranked by it. That is relevance
feedback (Rocchio, "Relevance feedback in information retrieval", 1971, section 14.3) whose judge is
the other ranking. docs/adr/0028 has the measurements.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from itertools import pairwise
from time import perf_counter
from typing import NamedTuple

import numpy as np

from hashret import rank
from hashret.items import Hits
from hashret.kinds import kind_of
from hashret.row_numbers import ascending
from hashret.search.groups import MORE, Groups, in_parts, n_groups
from hashret.search.hits import Ranked, Ranking, best_first, best_of_groups, scored, with_records
from hashret.search.question import Asked, Question
from hashret.search.searcher import Answered, Searcher
from hashret.snapshot import Snapshot
from hashret.words.bm25 import Scores

#: How many of the texts that fit the words best sharpen a question. On Cranfield, nDCG@10 was .381
#: with 5, .375 with 4, .377 with 6 and .362 with none (fused by ranks, with equal weights).
_SHARPENED_BY = 5
#: Queries without a code that are answered together, to bound the memory of an answer.
_TOGETHER = 256
_NOTHING = np.empty(0, np.int64)


def hybrid_hits(
    snapshot: Snapshot,
    searcher: Searcher,
    question: Question,
    asked: Asked,
    groups: Groups | None = None,
) -> list[Hits]:
    """The hits of each query, best first: by (-fused score, distance, -score, id).

    Of each of the `groups` only the best is a hit. Where candidates have too few, there are four
    times as many of them, and so on. Raises CollectionError where the collection keeps no texts,
    `WhereError` and `DamagedError`.
    """
    words = searcher.words
    bm25 = words.bm25
    among = None if question.where is None else snapshot.rows_where(question.where)
    note = kind_of(snapshot.kind).unknown
    if among is not None and not len(among):
        note = "no item satisfies the condition"
    none = Hits((), note, by="words and codes")
    answers = [none] * len(asked)
    wanted, parts = 0, [(np.arange(len(asked)), question.depth or 1)]
    if groups is not None:
        wanted = min(question.k or 1, groups.count(among))
        parts = in_parts(*parts[0], len(snapshot))
    while parts:
        part, depth = parts.pop()
        for block in _by_codes(snapshot, searcher, question, asked, part, depth):
            began = perf_counter()
            queries = block.queries.tolist()
            fits = [bm25.scores(words.of_payload(asked.payloads[query])) for query in queries]
            by_words = [fit.best(depth, among) for fit in fits]
            found, keys = _fused(snapshot, asked, block, fits, by_words)
            if groups is not None:
                are_few = n_groups(found.limits, groups.of_items(found.rows_in(snapshot))) < wanted
                n_found = [max(map(len, two)) for two in zip(block.rows, by_words, strict=True)]
                again = block.queries[are_few & (np.array(n_found) >= depth)]
                parts += in_parts(again, MORE * depth, len(snapshot))
            chosen = best_of_groups(snapshot, found, keys, question.k, groups)
            made = with_records(snapshot, chosen)
            told = none if block.answered is None else _told(block.answered, began)
            for query, hits in zip(queries, made, strict=True):
                answers[query] = replace(told, hits=hits, note="" if hits else note)
    return answers


class _Block(NamedTuple):
    """Some queries, how their codes were answered, and the nearest rows of each.

    None, and no rows, for queries without a code.
    """

    queries: np.ndarray
    answered: Answered | None
    rows: list[np.ndarray]


def _by_codes(
    snapshot: Snapshot,
    searcher: Searcher,
    question: Question,
    asked: Asked,
    queries: np.ndarray,
    depth: int,
) -> Iterator[_Block]:
    """Yield these queries in blocks: those whose codes are known, and then the others."""
    ranking = Ranking(question)
    is_known = np.isin(queries, asked.known)
    blocks = searcher.answers(
        question, asked.codes, queries[is_known], depth, asked.all_confidences
    )
    for answered in blocks:
        found = scored(snapshot, answered, asked.confidences(answered.queries))
        keys = ranking.keys(found.distances, found.scores)
        first = best_first(snapshot, found, keys, depth, in_order=False)
        rows = snapshot.rows[first.positions]
        nearest = [rows[start:stop] for start, stop in pairwise(first.limits.tolist())]
        yield _Block(answered.queries, answered, nearest)
    left = queries[~is_known]
    for start in range(0, len(left), _TOGETHER):
        part = left[start : start + _TOGETHER]
        yield _Block(part, None, [_NOTHING] * len(part))


def _told(answered: Answered, began: float) -> Hits:
    """What is known of the answers to a block, whose words were compared since then."""
    seconds = answered.plan.seconds + perf_counter() - began
    plan = replace(answered.plan, path=f"{answered.plan.path} + words", proved=-1, seconds=seconds)
    return Hits((), approximation=answered.approximation, plan=plan, by="words and codes")


def _fused(
    snapshot: Snapshot,
    asked: Asked,
    block: _Block,
    fits: Sequence[Scores],
    by_words: Sequence[np.ndarray],
) -> tuple[Ranked, tuple[np.ndarray, ...]]:
    """The nearest rows of each query and those that fit its words best, and their sort keys."""
    rows = [ascending(np.concatenate(two)) for two in zip(block.rows, by_words, strict=True)]
    found, agreements = _compared(snapshot, asked, block, rows, by_words)
    of_words = np.concatenate([fit.of_rows(some) for fit, some in zip(fits, rows, strict=True)])
    both = rank.fused(of_words, agreements, found.positions >= 0, found.limits)
    keys = -both, found.distances, -found.scores
    return found._replace(words=of_words, fused=both), keys


def _compared(
    snapshot: Snapshot,
    asked: Asked,
    block: _Block,
    rows: Sequence[np.ndarray],
    by_words: Sequence[np.ndarray],
) -> tuple[Ranked, np.ndarray]:
    """The items of these rows of each query in the order of the rows, and how far each agrees.

    They have a distance and a score where they and the query have a code. They agree by their codes
    with the query as the texts that fit its words best sharpen it: higher is better, 0 without.
    """
    limits = np.cumsum([0, *map(len, rows)])
    every = np.concatenate(rows)
    positions = snapshot.rows.find(every)
    coded = np.flatnonzero(positions >= 0)
    codes = snapshot.codes[positions[coded]]
    owners = rank.owners(limits)[coded]
    distances, scores = np.full(len(every), -1, np.int32), np.zeros(len(every))
    confidences = np.full((len(rows), snapshot.n_bits), 0.5)
    if block.answered is not None:
        own = asked.codes[block.queries].words[owners]
        distances[coded] = np.bitwise_count(own ^ codes.words).sum(axis=1)
        confidences = asked.confidences(block.queries).astype(np.float64)
        scores[coded] = rank.agreements(confidences, codes, owners)
    sharp = _sharpened(snapshot, confidences, [best[:_SHARPENED_BY] for best in by_words])
    agreements = np.zeros(len(every))
    agreements[coded] = rank.agreements(sharp, codes, owners)
    return Ranked(limits, positions, distances, scores, rows=every), agreements


def _sharpened(
    snapshot: Snapshot, confidences: np.ndarray, best: Sequence[np.ndarray]
) -> np.ndarray:
    """The confidences of queries, and the mean code of each one's `best` rows added to them."""
    positions = snapshot.rows.find(np.concatenate(best))
    coded = np.flatnonzero(positions >= 0)
    if not len(coded):
        return confidences
    owners = np.repeat(np.arange(len(best)), list(map(len, best)))[coded]
    begins = np.flatnonzero(np.diff(owners, prepend=-1))
    counts = np.diff(begins, append=len(owners))
    bits = snapshot.codes[positions[coded]].bits.astype(np.float64)
    sharp = confidences.copy()
    sharp[owners[begins]] += np.add.reduceat(bits, begins, axis=0) / counts[:, None]
    sharp[owners[begins]] -= 0.5
    return sharp
