"""Evaluate a collection by relevance judgements, which say how well an item answers a query.

nDCG@10, average precision and recall are computed by ir-measures (MacAvaney, Macdonald and Ounis,
"Streamlining evaluation with ir-measures", ECIR 2022), which the extra ``hashret[evaluate]``
installs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any

import numpy as np

from hashret._backports import chunks
from hashret.collection import Collection
from hashret.errors import InputError, MissingExtraError
from hashret.items import Item, id_of
from hashret.rank import similarities
from hashret.search.question import FUSED
from hashret.sparse import take_rows
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.evaluation.queries import EncodedQueries, encode_queries, require_items
from indexer.evaluation.rankings import by_distance_then_confidences

#: query id -> item id -> gain, 0 or more.
Judgements = dict[str, dict[str, int]]

_DEPTH = 1000  # hits of a query that are scored, the depth of recall@1000
_SHORTLISTS = (100,)  # lengths of shortlists by codes, which features then order
_TOGETHER = 64  # queries that are asked together, to bound the memory of their hits


@dataclass(frozen=True, slots=True)
class JudgedEvaluation:
    """The results of an evaluation: means over the judged queries.

    A judged query that could not be used (it is in `skipped`, or was not among the queries) counts
    as one for which nothing is found.
    """

    n_queries: int
    n_items: int
    orders: dict[str, dict[str, float]]
    """Order of the items -> measure -> value."""
    unknown: int
    """The number of judged items that are not in the collection; they count as missed."""
    skipped: list[Skipped]
    """The queries that could not be used, with the reasons."""

    def to_json(self) -> dict[str, Any]:
        """The results as a JSON object."""
        return asdict(self)


def read_judgements(lines: Iterable[str], gains: Mapping[int, int] | None = None) -> Judgements:
    """The judgements in lines of the form "query item grade" or TREC's "query 0 item grade".

    The gain is the grade, or 0 if that is negative. `gains` maps grades to other gains, as for
    Cranfield, where 1 is the best grade: ``{1: 4, 2: 3, 3: 2, 4: 1}``; other grades then have the
    gain 0. Raises InputError with the line's number for any other line.
    """
    judgements: Judgements = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        # ids may contain spaces if fields are separated by tabs
        fields = line.strip().split("\t") if "\t" in line else line.split()
        try:
            if len(fields) not in (3, 4):
                raise ValueError
            grade = int(fields[-1])
        except ValueError:
            raise InputError(
                f"judgements, line {number}: expected a query, an item and a whole grade, "
                f"got {line.strip()[:60]!r}; write 'query item grade' or 'query 0 item grade'"
            ) from None
        gain = (gains or {}).get(grade, 0 if gains else grade)
        judgements.setdefault(fields[0], {})[fields[-2]] = max(0, gain)
    if not judgements:
        raise InputError("judgements: expected at least one line, got none; check the file")
    return judgements


def evaluate_judged(
    collection: Collection,
    queries: Iterable[Item | Skipped],
    judgements: Judgements,
    *,
    shortlists: Iterable[int] = _SHORTLISTS,
) -> JudgedEvaluation:
    """Evaluate a collection by judgements: nDCG@10, AP, and recall at 10, 100 and 1,000.

    The items are ranked in the order of the collection's hits: distance, score, id. If texts are
    stored, they are also ranked by words and codes, the first 100, and then by codes. If features
    are stored, they are also ranked by them, all items and, for each length of a shortlist in
    `shortlists`, the hits with so long a `rerank` first. Items of equal similarity are then in the
    order of their codes.

    Raises InputError for a collection without items, and if no query is judged or can be used.
    Raises MissingExtraError without ir-measures.
    """
    measure = _measure()
    judgements = {
        id_of(query): {id_of(item): gain for item, gain in judged.items()}
        for query, judged in judgements.items()
    }
    require_items(collection)
    encoded = encode_queries(collection, _judged(queries, judgements))
    ids = _Ids.of(collection)
    runs = {"codes": _by_codes(collection, encoded, ids)}
    if collection.has_features:
        for n in sorted(set(shortlists)):
            how = {"k": n, "rerank": n, "rerank_by": "features"}
            runs[f"{n} nearest codes, then features"] = _asked(collection, encoded, ids, **how)
        runs["features"] = _by_features(collection, encoded, ids)
    if collection.keeps_texts:
        runs["words and codes"] = _asked(collection, encoded, ids, k=FUSED, hybrid=True)
    wanted = {item for judged in judgements.values() for item in judged}
    return JudgedEvaluation(
        len(judgements),
        len(collection),
        {name: measure(judgements, run) for name, run in runs.items()},
        len(wanted) - len(collection.snapshot.rows_of(wanted)),
        encoded.skipped,
    )


def _judged(queries: Iterable[Item | Skipped], judgements: Judgements) -> Iterator[Item | Skipped]:
    """The queries that have judgements; raises InputError at the end if none has."""
    n_queries, n_judged, example = 0, 0, ""
    for query in taken(queries):
        n_queries, example = n_queries + 1, example or query.id
        if query.id in judgements:
            n_judged += 1
            yield query
    if n_queries and not n_judged:
        raise InputError(
            f"judgements: expected ids of the {n_queries} queries, such as {example!r}, got only "
            f"others, such as {next(iter(judgements))!r}; give both the same ids"
        )


@dataclass(frozen=True, slots=True)
class _Ids:
    """The ids of n items, in the order of their codes."""

    by_row: np.ndarray
    """(n,) str objects: the ids."""
    place: np.ndarray
    """(n,) int64: the place of each id among the sorted ids."""

    @classmethod
    def of(cls, collection: Collection) -> _Ids:
        ids = collection.ids()
        # objects, because an array of strings has the memory of the longest for each
        by_row = np.empty(len(ids), object)
        by_row[:] = ids
        place = np.empty(len(ids), np.int64)
        place[np.argsort(by_row)] = np.arange(len(ids))
        return cls(by_row, place)

    def scored(self, order: np.ndarray) -> dict[str, float]:
        """The ids of the first `_DEPTH` items of an order, with descending scores."""
        return {item: -float(place) for place, item in enumerate(self.by_row[order[:_DEPTH]])}


#: query id -> item id -> score, larger is better; no two scores of a query are equal.
Run = dict[str, dict[str, float]]


def _by_codes(collection: Collection, encoded: EncodedQueries, ids: _Ids) -> Run:
    return {
        item.id: ids.scored(_order(collection, encoded, row, ids))
        for row, item in enumerate(encoded.items)
    }


def _asked(collection: Collection, encoded: EncodedQueries, ids: _Ids, **how: Any) -> Run:
    """The hits of questions that are asked so first, and the others by their codes."""
    run: Run = {}
    for rows in chunks(range(len(encoded.items)), _TOGETHER):
        answers = collection.query([encoded.items[row].payload for row in rows], **how)
        for row, hits in zip(rows, answers, strict=True):
            by_codes = ids.by_row[_order(collection, encoded, row, ids)]
            found = dict.fromkeys([*(hit.id for hit in hits), *by_codes.tolist()])
            first = islice(found, _DEPTH)
            run[encoded.items[row].id] = {one: -float(place) for place, one in enumerate(first)}
    return run


def _by_features(collection: Collection, encoded: EncodedQueries, ids: _Ids) -> Run:
    stored = collection.features(np.arange(len(collection.codes)))
    run: Run = {}
    for row, item in enumerate(encoded.items):
        query = collection.coder.kept(take_rows(encoded.features, np.array([row])))
        order = _order(collection, encoded, row, ids)
        similarity = similarities(query, stored)[order]
        run[item.id] = ids.scored(order[np.argsort(-similarity, kind="stable")])
    return run


def _order(collection: Collection, encoded: EncodedQueries, row: int, ids: _Ids) -> np.ndarray:
    """The positions of all items in the order of the collection's hits."""
    distances = by_distance_then_confidences(
        encoded.codes[row : row + 1], collection.codes, encoded.confidences[row : row + 1]
    )
    return np.lexsort((ids.place, distances(slice(0, 1))[0]))


def _measure() -> Any:
    """A function (judgements, run) that returns the measures by name."""
    try:
        import ir_measures
    except ImportError:
        raise MissingExtraError(
            "evaluation by judgements: expected the library ir-measures, which is not installed; "
            "pip install 'hashret[evaluate]'"
        ) from None
    measures = [ir_measures.nDCG @ 10, ir_measures.AP]
    measures += [ir_measures.R @ k for k in (10, 100, 1000)]

    def measure(judgements: Judgements, run: Run) -> dict[str, float]:
        # a judged query that was not answered is not in the run; ir-measures counts it as 0
        found = ir_measures.calc_aggregate(measures, judgements, run)
        return {str(each): float(found[each]) for each in measures}

    return measure
