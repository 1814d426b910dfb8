"""Evaluation by relevance judgements: which items answer which query, and how well.

nDCG@10, average precision and recall by ir-measures (MacAvaney, Macdonald and Ounis, "Streamlining
evaluation with ir-measures", ECIR 2022), an extra: ``pip install 'hashret[evaluate]'``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hashret.collection import Collection
from hashret.errors import InputError, MissingExtraError
from hashret.items import Item, id_of
from hashret.rank import similarities
from hashret.sparse import take_rows
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.evaluation.queries import EncodedQueries, encode_queries, require_items
from indexer.evaluation.rankings import by_distance_then_confidences

#: query id -> item id -> gain, 0 or more.
Judgements = dict[str, dict[str, int]]

_DEPTH = 1000  # hits of a query that are judged
_SHORTLISTS = (100,)


@dataclass(frozen=True, slots=True)
class JudgedEvaluation:
    """What was measured; means over the judged queries.

    `orders` gives for each order of the items its measures by name. A judged query that could not
    be used (it is in `skipped`, or was not among the queries) counts with nothing found. `unknown`:
    judged items that the collection does not hold; they count as missed.
    """

    n_queries: int
    n_items: int
    orders: dict[str, dict[str, float]]
    unknown: int
    skipped: list[Skipped]

    def to_json(self) -> dict[str, Any]:
        """All of it as JSON values."""
        return asdict(self)


def read_judgements(lines: Iterable[str], gains: Mapping[int, int] | None = None) -> Judgements:
    """Judgements from lines of "query item grade" or TREC's "query 0 item grade".

    The grade is the gain, and a negative one counts as 0; `gains` says otherwise grade by grade
    (Cranfield's best grade is 1: ``{1: 4, 2: 3, 3: 2, 4: 1}``). Raises InputError for another line,
    naming its number.
    """
    judgements: Judgements = {}
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        # ids may hold spaces where tabs part the fields
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
        raise InputError("judgements: expected at least one line, got none")
    return judgements


def evaluate_judged(
    collection: Collection,
    queries: Iterable[Item | Skipped],
    judgements: Judgements,
    *,
    shortlists: Iterable[int] = _SHORTLISTS,
) -> JudgedEvaluation:
    """Score a collection by judgements: nDCG@10, AP and recall at 10, 100 and 1,000.

    Orders: that of the collection (distance, confidences, id); where it keeps features, also
    shortlists of so many nearest codes ordered by the features, and the features of everything;
    items of equal similarity in the order of their codes.
    Raises InputError for a collection without items and if no query is judged or can be used, and
    MissingExtraError without ir-measures.
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
        runs |= _by_features(collection, encoded, ids, shortlists)
    wanted = {item for judged in judgements.values() for item in judged}
    return JudgedEvaluation(
        len(judgements),
        len(collection),
        {name: measure(judgements, run) for name, run in runs.items()},
        len(wanted) - len(collection.snapshot.rows_of(wanted)),
        encoded.skipped,
    )


def _judged(queries: Iterable[Item | Skipped], judgements: Judgements) -> Iterator[Item | Skipped]:
    """Those of the queries that are judged; InputError at the end if none was."""
    n_queries, n_judged, example = 0, 0, ""
    for query in taken(queries):
        n_queries, example = n_queries + 1, example or query.id
        if query.id in judgements:
            n_judged += 1
            yield query
    if n_queries and not n_judged:
        raise InputError(
            f"judgements: expected some of the {n_queries} queries, which have ids such as "
            f"{example!r}, got those of others, such as {next(iter(judgements))!r}; give both the "
            "same ids"
        )


@dataclass(frozen=True, slots=True)
class _Ids:
    """The ids of n items row for row with the codes, (n,) of str, and each one's place by id."""

    by_row: np.ndarray
    place: np.ndarray

    @classmethod
    def of(cls, collection: Collection) -> _Ids:
        ids = collection.ids()
        # of objects: an array of strings gives every one the room of the longest
        by_row = np.empty(len(ids), object)
        by_row[:] = ids
        place = np.empty(len(ids), np.int64)
        place[np.argsort(by_row)] = np.arange(len(ids))
        return cls(by_row, place)

    def scored(self, order: np.ndarray) -> dict[str, float]:
        """The first of an order as ir-measures takes them."""
        return {item: -float(place) for place, item in enumerate(self.by_row[order[:_DEPTH]])}


#: query id -> item id -> score, larger is better; no two scores of a query are equal.
Run = dict[str, dict[str, float]]


def _by_codes(collection: Collection, encoded: EncodedQueries, ids: _Ids) -> Run:
    return {
        item.id: ids.scored(_order(collection, encoded, row, ids))
        for row, item in enumerate(encoded.items)
    }


def _by_features(
    collection: Collection, encoded: EncodedQueries, ids: _Ids, shortlists: Iterable[int]
) -> dict[str, Run]:
    stored = collection.features(np.arange(len(collection.codes)))
    runs: dict[str, Run] = {}
    for row, item in enumerate(encoded.items):
        asked = collection.coder.kept(take_rows(encoded.features, np.array([row])))
        alike = similarities(asked, stored)
        order = _order(collection, encoded, row, ids)
        for n in sorted(set(shortlists)):
            short = order[:n]
            best = short[np.argsort(-alike[short], kind="stable")]
            run = runs.setdefault(f"{n} nearest codes, then features", {})
            run[item.id] = ids.scored(np.concatenate([best, order[n:]]))
        everything = order[np.argsort(-alike[order], kind="stable")]
        runs.setdefault("features", {})[item.id] = ids.scored(everything)
    return runs


def _order(collection: Collection, encoded: EncodedQueries, row: int, ids: _Ids) -> np.ndarray:
    """The positions of all items as the collection orders them."""
    distances = by_distance_then_confidences(
        encoded.codes[row : row + 1], collection.codes, encoded.confidences[row : row + 1]
    )
    return np.lexsort((ids.place, distances(slice(0, 1))[0]))


def _measure() -> Any:
    try:
        import ir_measures
    except ImportError:
        raise MissingExtraError(
            "evaluation by judgements: expected the library ir-measures, got none; "
            "pip install 'hashret[evaluate]'"
        ) from None
    wanted = [ir_measures.nDCG @ 10, ir_measures.AP] + [ir_measures.R @ k for k in (10, 100, 1000)]

    def measure(judgements: Judgements, run: Run) -> dict[str, float]:
        found = ir_measures.calc_aggregate(wanted, judgements, run)
        # a judged query without an answer is no entry of the run; ir-measures counts it as 0
        return {str(each): float(found[each]) for each in wanted}

    return measure
