"""Turn the rows that a search found into ranked hits with their records."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import pairwise, repeat
from typing import NamedTuple, Self

import numpy as np

from hashret import rank
from hashret.items import Approximation, Hit, Hits, OrderedBy
from hashret.search.groups import Groups, best, leading, shortlist
from hashret.search.question import Question
from hashret.search.searcher import Answered
from hashret.snapshot import Snapshot
from hashret.sparse import Features, rows_between

#: Number of nearest codes among which copies of an image are looked for. With 1,500 photographs,
#: the original is among the 50 nearest to every copy in colour. Grey copies lack the colours in
#: their codes: 94 in 100 of their originals are among the 500 nearest, 98 among 1,000.
_LOOKED_AT = 2_000
#: How many times as many nearest codes as a shortlist is long are scored, to choose it from them.
#: Of the ten nearest of 18,546 text embeddings, 100 of the 300 nearest codes of 256 bits hold .985,
#: the 100 nearest codes .946 (docs/adr/0007).
_SCORED = 3
#: Items whose features are compared at a time, to bound the memory for them.
_COMPARED = 1 << 16
#: How well the words of a query of a block, by its number, fit the items of some rows.
WordScores = Callable[[int, np.ndarray], np.ndarray]


@dataclass(frozen=True, slots=True)
class Ranking:
    """The order of the hits of a question, in which copies of an image may come first."""

    question: Question
    copies: float | None = None
    """Distance of looks up to which an item counts as a copy of the query. Copies come first, the
    most alike before others; likeness also orders other items at one distance. None: looks don't
    count."""

    @classmethod
    def of(cls, question: Question, snapshot: Snapshot) -> Self:
        """The order for a question. If it sets `rerank`, even to 0, copies do not come first."""
        by_codes = question.by_score or question.rerank is not None
        return cls(question, None if by_codes else snapshot.copy_distance)

    @property
    def depth(self) -> int | None:
        """The number of items from which the hits are chosen; None means no limit."""
        question = self.question
        if self.copies is None or question.k is None or question.radius is not None:
            return question.depth
        return max(question.k, _LOOKED_AT)

    @property
    def searched(self) -> int | None:
        """The number of nearest items from which these are chosen; None means no limit."""
        question = self.question
        if question.rerank and not question.by_score:
            return _SCORED * question.rerank
        return self.depth

    def shortlist_keys(
        self, distances: np.ndarray, scores: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The sort keys of what was found, ascending, by which the shortlist is chosen."""
        return (-scores, distances) if self.question.rerank else self.keys(distances, scores)

    @property
    def compares_features(self) -> bool:
        """Whether the order depends on features."""
        by_features = self.question.rerank_by in ("features", "both")
        return (bool(self.question.rerank) and by_features) or self.copies is not None

    @property
    def by(self) -> OrderedBy:
        """What decides the order, as `Hits` says it."""
        question = self.question
        if not question.rerank:
            return "codes"
        if question.rerank_by == "both":
            return "codes and features"
        return question.rerank_by or "features"

    def keys(
        self, distances: np.ndarray, scores: np.ndarray, alike: np.ndarray | None = None
    ) -> tuple[np.ndarray, np.ndarray]:
        """The first and second sort key of each hit, ascending; `alike` if looks count."""
        if alike is not None and self.copies is not None:
            return np.where(-alike <= self.copies, -1, distances), -alike
        return (-scores, distances) if self.question.by_score else (distances, -scores)


class Ranked(NamedTuple):
    """The items found for the queries of a block, in the order of their hits.

    Query i has the slice `limits[i]` to ``limits[i + 1]`` of the other arrays: `positions` among
    the snapshot's codes, `distances` in bits, `scores`; `alike`, the similarities of features, or
    `words`, how well the words fit, where these decided the order, and `fused`, what orders
    them where codes decided it too. `rows` are the rows of the items where some have no code: then
    they have the position and the distance -1.
    """

    limits: np.ndarray
    positions: np.ndarray
    distances: np.ndarray
    scores: np.ndarray
    alike: np.ndarray | None = None
    words: np.ndarray | None = None
    fused: np.ndarray | None = None
    rows: np.ndarray | None = None

    def rows_in(self, snapshot: Snapshot, places: np.ndarray | None = None) -> np.ndarray:
        """The rows of the items, or of those at these places of the arrays, (n,) int64."""
        chosen = slice(None) if places is None else places
        if self.rows is None:
            return snapshot.rows[self.positions[chosen]]
        return self.rows[chosen]

    def take(self, limits: np.ndarray, places: np.ndarray) -> Ranked:
        """The items at these places of the arrays, for queries with these limits."""
        arrays = (None if array is None else array[places] for array in self[1:])
        return Ranked(limits, *arrays)  # type: ignore[arg-type]  # what was there is there


def hits(
    snapshot: Snapshot,
    ranking: Ranking,
    answered: Answered,
    confidences: np.ndarray,
    features: Features | None = None,
    besides: np.ndarray | None = None,
    groups: Groups | None = None,
    words: WordScores | None = None,
) -> list[Hits]:
    """The ranked hits of each query of a block.

    `confidences` (n_queries, n_bits) are those of the queries; `features` are theirs, row for row,
    needed if the order depends on the similarity of features; `words` scores items by their words,
    if these order the shortlist. The item at the position ``besides[i]`` is no hit of query i. Of
    each of the `groups` only the best item is a hit.
    """
    found = scored(snapshot, answered, confidences, besides)
    if words is not None:
        found = _shortlist(snapshot, ranking, found, groups)
        ranked = _by_words(snapshot, ranking, found, words, groups)
    elif features is not None:
        found = _shortlist(snapshot, ranking, found, groups)
        ranked = []
        for part, of_queries in _parts(found, features):
            ranked += _by_features(snapshot, ranking, part, of_queries, groups)
    else:
        keys = ranking.keys(found.distances, found.scores)
        chosen = best_of_groups(snapshot, found, keys, ranking.question.k, groups)
        ranked = with_records(snapshot, chosen)
    return [_answer(ranking, answered, query, one) for query, one in enumerate(ranked)]


def scored(
    snapshot: Snapshot,
    answered: Answered,
    confidences: np.ndarray,
    besides: np.ndarray | None = None,
) -> Ranked:
    """What was found for the queries of a block, with scores, in no order yet."""
    found = answered.found
    queries = rank.owners(found.limits)
    limits, positions, distances = found.limits, found.rows, found.distances
    if besides is not None:
        others = positions != besides[queries]
        positions, distances, queries = positions[others], distances[others], queries[others]
        limits = np.searchsorted(queries, np.arange(len(found) + 1))
    scores = rank.agreements(confidences, snapshot.codes[positions], queries)
    return Ranked(limits, positions, distances, scores)


def _shortlist(
    snapshot: Snapshot, ranking: Ranking, found: Ranked, groups: Groups | None
) -> Ranked:
    """The items that words or features put in order; more where k groups need it.

    Those of a `rerank` are the ones that agree best with the query by score, of several times as
    many nearest codes: a query knows of each of its bits how sure it is, which a distance does not.
    """
    keys = ranking.shortlist_keys(found.distances, found.scores)
    depth, k = ranking.depth, ranking.question.k
    if groups is None or depth is None or k is None:
        return best_first(snapshot, found, keys, depth, in_order=False)
    found = best_first(snapshot, found, keys, None)
    return found.take(*shortlist(found.limits, groups.of_codes(found.positions), depth, k))


def best_of_groups(
    snapshot: Snapshot,
    found: Ranked,
    keys: tuple[np.ndarray, ...],
    count: int | None,
    groups: Groups | None,
) -> Ranked:
    """The first `count` items of each query as `best_first` has them, one of each group."""
    if groups is None:
        return best_first(snapshot, found, keys, count)
    places = leading(found.limits, groups.of_items(found.rows_in(snapshot)), keys)
    ahead = found.take(np.searchsorted(places, found.limits), places)
    ordered = best_first(snapshot, ahead, tuple(key[places] for key in keys), None)
    return ordered.take(*best(ordered.limits, groups.of_items(ordered.rows_in(snapshot)), count))


def best_first(
    snapshot: Snapshot,
    found: Ranked,
    keys: tuple[np.ndarray, ...],
    count: int | None,
    *,
    in_order: bool = True,
) -> Ranked:
    """The first `count` items of each query by the keys and then the id, in this order.

    Ids are read only where all keys are equal. Unless `in_order`, items with equal keys may stand
    in any order, and ids are read only where they decide which items are among the first.
    """
    limits = found.limits
    queries = rank.owners(limits)
    order = rank.sorted_within(limits, keys)
    tied = np.zeros(len(order) + 1, bool)  # whether an item ties with the one before it
    tied[1:-1] = queries[1:] == queries[:-1]
    for key in keys:
        ordered = key[order]
        tied[1:-1] &= ordered[1:] == ordered[:-1]
    stops = limits[1:] if count is None else np.minimum(limits[1:], limits[:-1] + count)
    if tied.any():
        order = order.copy()
        untied = np.flatnonzero(~tied)
        for start, stop in zip(limits[:-1].tolist(), stops.tolist(), strict=True):
            end = int(untied[np.searchsorted(untied, stop)])
            matter = tied[start + 1 : end] if in_order else tied[stop:end]
            if start < stop and matter.any():
                order[start:end] = _with_ids(snapshot, found, order[start:end], tied[start:end])
    return found.take(*rank.first_within(limits, order, count))


def _with_ids(snapshot: Snapshot, found: Ranked, places: np.ndarray, tied: np.ndarray) -> list[int]:
    """The places, already in order by their keys, with those that tie in order of their ids."""
    order = places.tolist()
    is_tied = tied | np.append(tied[1:], False)
    at = np.flatnonzero(is_tied)
    ids = snapshot.items.ids(found.rows_in(snapshot, places[at]))
    groups = np.cumsum(~tied)[at].tolist()
    named = sorted(zip(groups, ids, places[at].tolist(), strict=True))
    for place, (_, _, item) in zip(at.tolist(), named, strict=True):
        order[place] = item
    return order


def _parts(found: Ranked, features: Features) -> Iterator[tuple[Ranked, Features]]:
    """The queries, with their features, in parts of at most `_COMPARED` items, or of one query."""
    start, n = 0, len(found.limits) - 1
    if len(found.positions) <= _COMPARED:
        yield found, features
        return
    while start < n:
        stop = int(np.searchsorted(found.limits, found.limits[start] + _COMPARED, side="right")) - 1
        stop = min(n, max(stop, start + 1))
        limits = found.limits[start : stop + 1]
        part = found.take(limits - limits[0], np.arange(limits[0], limits[-1]))
        yield part, rows_between(features, start, stop)
        start = stop


def _by_words(
    snapshot: Snapshot,
    ranking: Ranking,
    found: Ranked,
    words: WordScores,
    groups: Groups | None,
) -> list[tuple[Hit, ...]]:
    """The hits of queries, ordered by their words."""
    scores = np.empty(len(found.positions))
    for query, (start, stop) in enumerate(pairwise(found.limits.tolist())):
        scores[start:stop] = words(query, snapshot.rows[found.positions[start:stop]])
    found = found._replace(words=scores)
    keys = -scores, *ranking.keys(found.distances, found.scores)
    return with_records(snapshot, best_of_groups(snapshot, found, keys, ranking.question.k, groups))


def _by_features(
    snapshot: Snapshot,
    ranking: Ranking,
    found: Ranked,
    features: Features,
    groups: Groups | None,
) -> list[tuple[Hit, ...]]:
    """The hits of queries, whose features are given row for row, by the similarity of features."""
    stored = snapshot.features(found.positions)
    similarities = snapshot.coder.featurizer.similarities
    alike = np.empty(len(found.positions))
    for query, (start, stop) in enumerate(pairwise(found.limits.tolist())):
        if stop > start:
            one = rows_between(features, query, query + 1)
            alike[start:stop] = similarities(one, rows_between(stored, start, stop))
    found = found._replace(alike=alike)
    if ranking.question.rerank:
        first = alike
        if ranking.question.rerank_by == "both":
            first = rank.summed_deviations(found.limits, alike, found.scores)
            found = found._replace(fused=first)
        keys: tuple[np.ndarray, ...] = (-first, *ranking.keys(found.distances, found.scores))
    else:
        keys = ranking.keys(found.distances, found.scores, alike)
    return with_records(snapshot, best_of_groups(snapshot, found, keys, ranking.question.k, groups))


def with_records(snapshot: Snapshot, found: Ranked) -> list[tuple[Hit, ...]]:
    """The hits of each query, with the records of their items."""
    items, text = snapshot.items, snapshot.text
    made = []
    decided = [
        repeat(None) if array is None else array.tolist()
        for array in (found.alike, found.words, found.fused)
    ]
    for code, row, distance, score, likeness, of_words, fused in zip(
        _hexadecimal(snapshot, found.positions),
        found.rows_in(snapshot).tolist(),
        found.distances.tolist(),
        found.scores.tolist(),
        *decided,
        strict=False,
    ):
        item_id, metadata, preview = items.shown(row)
        shown = metadata, preview, likeness, text(row), of_words, fused
        made.append(Hit(item_id, distance, score, code, *shown))
    return [tuple(made[start:stop]) for start, stop in pairwise(found.limits.tolist())]


def _hexadecimal(snapshot: Snapshot, positions: np.ndarray) -> list[str]:
    """The codes at these positions in hexadecimal; "" at -1."""
    has_code = positions >= 0
    joined = snapshot.codes.packed[positions[has_code]].tobytes().hex()
    width = snapshot.n_bits // 4  # characters of a code
    codes = [joined[start : start + width] for start in range(0, len(joined), width)]
    if len(codes) == len(positions):
        return codes
    left = iter(codes)
    return [next(left) if one else "" for one in has_code.tolist()]


def _answer(ranking: Ranking, answered: Answered, query: int, ranked: tuple[Hit, ...]) -> Hits:
    """The hits of a query with what is known about them."""
    question = ranking.question
    radius = int(answered.found.complete_radius[query])
    approximation = answered.approximation
    note = ""
    if question.where is not None and not answered.plan.n_items:
        note = "no item satisfies the condition"
    if question.probes is not None and radius < 0:
        approximation = Approximation("probes", {"probes": question.probes})
        note = note or f"the {question.probes} nearest buckets are empty; allow more probes"
    plan = replace(answered.plan, proved=radius)
    return Hits(ranked, "" if ranked else note, radius, approximation, plan, ranking.by)
