"""Answer by words and codes: the nearest codes and the texts with the words, fused by their ranks.

A code says what a text is about, and knows only the words of the model's vocabulary; words say
exactly what was asked for, and miss what is said in others. An item that has no code, and a
question that has none, are found by words alone.

The code of a few words is coarse. So the codes of the five texts that fit the words best are added
to what the question thinks of its bits, before candidates are ranked by it. That is relevance
feedback (Rocchio, "Relevance feedback in information retrieval", 1971, section 14.3) whose judge is
the other ranking. docs/adr/0028 has the measurements.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import pairwise
from time import perf_counter

import numpy as np

from hashret import rank
from hashret.codes import hamming
from hashret.items import Hits
from hashret.kinds import kind_of
from hashret.row_numbers import ascending
from hashret.search.hits import Ranked, Ranking, best_first, scored, with_records
from hashret.search.question import Asked, Question
from hashret.search.searcher import Answered, Searcher
from hashret.snapshot import Snapshot

#: What a rank by words counts, and one by codes. Of 500 posts asked for by their subject lines .400
#: are among 10 hits; .372 with equal weights, .382 by words alone. nDCG@10 on Cranfield is .373; it
#: is .381 with equal weights, .335 by words alone.
_WORDS, _CODES = 1.0, 0.5
#: How many of the texts that fit the words best sharpen a question. On Cranfield, nDCG@10 is .381
#: with 5, .375 with 4, .377 with 6 and .362 with none (with equal weights).
_SHARPENED_BY = 5
_FIRST_BY_BOTH = [(_WORDS, np.array([0])), (_CODES, np.array([0]))]
_NOTHING = np.empty(0, np.int64)


def hybrid_hits(
    snapshot: Snapshot, searcher: Searcher, question: Question, asked: Asked
) -> list[Hits]:
    """The hits of each query, best first: by (fused score, distance, score, id).

    Raises CollectionError where the collection keeps no texts, `WhereError` and `DamagedError`.
    """
    words = searcher.words
    bm25 = words.bm25
    among = None if question.where is None else snapshot.rows_where(question.where)
    note = kind_of(snapshot.kind).unknown
    if among is not None and not len(among):
        note = "no item satisfies the condition"
    # what codes don't know is asked by words alone
    answers = [Hits((), note, by="words and codes")] * len(asked)
    nearest = [_NOTHING] * len(asked)
    for query, answered, rows in _by_codes(snapshot, searcher, question, asked):
        nearest[query] = rows
        plan = replace(answered.plan, path=f"{answered.plan.path} + words", proved=-1)
        approximation = answered.approximation
        answers[query] = replace(answers[query], approximation=approximation, plan=plan)
    known = set(asked.known.tolist())
    for query, by_codes in enumerate(nearest):
        began = perf_counter()
        in_question = words.of_payload(asked.payloads[query])
        by_words = bm25.best(in_question, question.depth or 1, among)
        one = _Query(snapshot, asked, query, has_code=query in known)
        found = one.compared(ascending(np.concatenate([by_codes, by_words])))
        found = found._replace(words=bm25.of_rows(in_question, found.rows_in(snapshot)))
        agreements = one.agreements(found.positions, by_words[:_SHARPENED_BY])
        (made,) = with_records(snapshot, _fused(snapshot, found, agreements, question.k))
        now = replace(answers[query], hits=made, note="" if made else note)
        if now.plan is not None:
            seconds = now.plan.seconds + perf_counter() - began
            now = replace(now, plan=replace(now.plan, seconds=seconds))
        answers[query] = now
    return answers


def _by_codes(
    snapshot: Snapshot, searcher: Searcher, question: Question, asked: Asked
) -> Iterator[tuple[int, Answered, np.ndarray]]:
    """Yield each query that has a code, how it was answered, and the nearest rows."""
    ranking, depth = Ranking(question), question.depth
    blocks = searcher.answers(question, asked.codes, asked.known, depth, asked.all_confidences)
    for answered in blocks:
        found = scored(snapshot, answered, asked.confidences(answered.queries))
        keys = ranking.keys(found.distances, found.scores)
        first = best_first(snapshot, found, keys, depth)
        for query, (start, stop) in zip(
            answered.queries.tolist(), pairwise(first.limits.tolist()), strict=True
        ):
            yield query, answered, snapshot.rows[first.positions[start:stop]]


@dataclass(frozen=True, slots=True)
class _Query:
    """One of the queries that were asked, and whether it has a code."""

    snapshot: Snapshot
    asked: Asked
    query: int
    has_code: bool

    def compared(self, rows: np.ndarray) -> Ranked:
        """The items of these rows; with distance and score where they and the query have codes."""
        positions = self.snapshot.rows.find(rows)
        distances, scores = np.full(len(rows), -1, np.int32), np.zeros(len(rows))
        if self.has_code:
            coded = np.flatnonzero(positions >= 0)
            codes = self.snapshot.codes[positions[coded]]
            one = np.array([self.query])
            distances[coded] = hamming(self.asked.codes[one], codes)[0]
            scores[coded] = rank.expected_agreement(self.asked.confidences(one)[0], codes)
        return Ranked(np.array([0, len(rows)]), positions, distances, scores, rows=rows)

    def agreements(self, positions: np.ndarray, best: np.ndarray) -> np.ndarray:
        """How far the codes at these positions agree with the query and the `best` rows; 0 at -1.

        Higher is better. The codes of the `best` rows, on average, count as much as the query.
        """
        found, coded = np.zeros(len(positions)), positions >= 0
        confidences = np.full(self.snapshot.n_bits, 0.5)
        if self.has_code:
            confidences = self.asked.confidences(np.array([self.query]))[0].astype(np.float64)
        sharp = self.snapshot.rows.find(best)
        if (sharp >= 0).any():
            bits = self.snapshot.codes[sharp[sharp >= 0]].bits
            confidences = confidences + bits.mean(axis=0) - 0.5
        codes = self.snapshot.codes[positions[coded]]
        found[coded] = rank.expected_agreement(confidences, codes)
        return found


def _fused(snapshot: Snapshot, found: Ranked, agreements: np.ndarray, k: int | None) -> Ranked:
    """The first k of what was found, which is in order of its rows."""
    words = np.zeros(len(agreements)) if found.words is None else found.words
    rows = found.rows_in(snapshot)

    def ordered(key: np.ndarray, places: np.ndarray, count: int | None = None) -> Ranked:
        """The items at these places by the key, and then by distance, score and id."""
        part = found.take(np.array([0, len(places)]), places)
        keys = -key[places], part.distances, -part.scores
        return best_first(snapshot, part, keys, count)

    by_words = ordered(words, np.flatnonzero(words > 0.0)).rows_in(snapshot)
    by_codes = ordered(agreements, np.flatnonzero(found.positions >= 0)).rows_in(snapshot)
    lists = [
        (weight, np.searchsorted(rows, one))
        for weight, one in ((_WORDS, by_words), (_CODES, by_codes))
    ]
    fused = rank.reciprocal_ranks(lists, len(rows))
    found = found._replace(fused=fused / rank.reciprocal_ranks(_FIRST_BY_BOTH, 1))
    return ordered(fused, np.arange(len(rows)), k)
