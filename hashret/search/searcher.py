"""Search for the rows that answer a question: choose the index, search in blocks, keep the time."""

from __future__ import annotations

from collections.abc import Iterator
from time import perf_counter
from typing import NamedTuple

import numpy as np

from hashret import kernels
from hashret.arguments import require_instance
from hashret.codes import Codes, Neighbors
from hashret.indexes.base import Index, approximation_of
from hashret.indexes.planner import calibration, cost_model
from hashret.indexes.table.asymmetric import compare_all, probe
from hashret.indexes.views.cache import IndexKind, KeptIndexes, require_known
from hashret.indexes.views.subset import SubsetIndex
from hashret.items import Approximation
from hashret.outside.machine_cache import read_costs, write_costs
from hashret.plan import Plan
from hashret.search.groups import Groups
from hashret.search.kept_tables import table_of
from hashret.search.question import Question
from hashret.search.word_index import WordIndex
from hashret.snapshot import Snapshot

#: The index for questions by score, which use only its hash table; it builds nothing else for them.
_FOR_TABLE = "auto"

# Number of queries searched at once: in the first block, and at most in later ones, whose size is
# chosen so that a block finds about `_FOUND` rows.
_FIRST_BLOCK, _BLOCK, _FOUND = 256, 4096, 1 << 21
#: Seconds of searching after which costs are measured, which takes a second and then pays off.
_CALIBRATE_AFTER = 5.0


class Answered(NamedTuple):
    """The answers to a block of queries: their positions, the rows found, the plan, the recall."""

    queries: np.ndarray
    found: Neighbors
    plan: Plan
    approximation: Approximation | None


class Searcher:
    """The indexes over a snapshot's codes, and what searching them has cost.

    `kind` is the index for questions that name none. Threads may share a searcher.
    """

    def __init__(self, snapshot: Snapshot, kind: IndexKind, former: Searcher | None = None):
        """`former` is that of an earlier snapshot of the same folder, whose indexes are reused."""
        self.kind = kind
        self._snapshot = snapshot
        self._indexes = KeptIndexes(table_of)
        self._costs = _SearchCosts()
        self.words: WordIndex = WordIndex(snapshot, None if former is None else former.words)
        """The words of the stored texts, read when something first asks for them."""
        if former is not None:
            self._indexes = former._indexes.moved(former._snapshot.rows)
            self._costs = former._costs
        # the last condition, and the index over the items that satisfy it
        self._chosen: tuple[str, SubsetIndex] | None = None
        self._grouped: tuple[str, Groups] | None = None  # the last field, and the groups by it

    def index(self, kind: IndexKind | None = None) -> Index:
        """The index of this kind over all codes, built on first use. Raises `UnknownKindError`."""
        kind = self.kind if kind is None else kind
        require_known(kind)
        return self._indexes.of(kind, self._snapshot.codes, self._snapshot.rows)

    def over(self, question: Question) -> Index:
        """The index over the items that a question is about.

        Raises `WhereError` and `UnknownKindError`.
        """
        if question.where is not None:
            return self._among(question.where)
        # a search by score compares every code or probes the table, and needs no other index
        return self.index(_FOR_TABLE if question.by_score else question.index)

    def _among(self, where: str) -> SubsetIndex:
        """The index over the items that satisfy `where`; the last one is remembered."""
        chosen = self._chosen
        if chosen is None or chosen[0] != where:
            positions = self._snapshot.positions_where(where)
            chosen = where, SubsetIndex(self._snapshot.codes, positions)
            self._chosen = chosen
        return chosen[1]

    def groups(self, field: str) -> Groups:
        """The groups of all items by a metadata field; the last are remembered."""
        require_instance("field", field, str)
        grouped = self._grouped
        if grouped is None or grouped[0] != field:
            grouped = self._grouped = field, Groups.of(self._snapshot, field)
        return grouped[1]

    def chosen(self, question: Question) -> np.ndarray | None:
        """The positions of the items that a question is about, increasing; None for all."""
        return None if question.where is None else self._among(question.where).rows

    def answers(
        self,
        question: Question,
        codes: Codes,
        queries: np.ndarray,
        depth: int | None,
        confidences: np.ndarray | None = None,
    ) -> Iterator[Answered]:
        """Yield the answers to `queries`, positions among `codes` (n, n_bits), in blocks.

        A block is smaller where many items tie, so that its answer fits in memory. `depth` is the
        number of nearest items to find; it is ignored for a radius. `confidences` (n, n_bits) of
        the codes are needed for the order "score".
        """
        index, left, size = self.over(question), queries, _FIRST_BLOCK
        approximation = None if question.by_score else approximation_of(index)
        while len(left):
            block, left = left[:size], left[size:]
            self._costs.use_known(len(block))
            began = perf_counter()
            if question.by_score and confidences is not None:
                found = self._by_score(question, codes[block], confidences[block], depth or 1)
            elif question.radius is not None:
                found = index.within(codes[block], question.radius)
            else:
                found = index.search(codes[block], depth or 1, ties=True)
            seconds = perf_counter() - began
            self._costs.spent(seconds)
            yield Answered(block, found, _plan(found, len(index), seconds), approximation)
            size = max(1, min(_BLOCK, _FOUND * len(block) // max(1, len(found.rows))))

    def _by_score(
        self, question: Question, codes: Codes, confidences: np.ndarray, k: int
    ) -> Neighbors:
        """For each query the k rows of highest score, of all codes or of those in the buckets."""
        chosen = None
        if question.where is not None:
            chosen = self._among(question.where)
        stored = self._snapshot.codes if chosen is None else chosen.codes
        if question.probes is None:
            found = compare_all(stored, codes, confidences, k)
        else:
            table = (
                chosen.table if chosen is not None else self._indexes.table(self._snapshot.codes)
            )
            found = probe(table, stored, codes, confidences, k, question.probes)
        return found if chosen is None else chosen.numbered(found)


def _plan(found: Neighbors, n_items: int, seconds: float) -> Plan:
    work = found.work
    by_numpy = work.path == "by score" or work.path.startswith("faiss")
    compiled = kernels.loaded() is not None and not by_numpy
    done = work.probed, work.compared, n_items, len(found)
    return Plan(work.path, work.n_tables, *done, compiled, seconds, -1)


class _SearchCosts:
    """Gives the planner the costs of this machine, measured once enough is searched to pay off.

    They are kept in the user's cache folder, for the next process.
    """

    def __init__(self) -> None:
        self._searched = 0.0  # seconds of searching since the costs were last looked up
        self._has_searched = False
        self._looked_for: set[bool] = set()  # True: costs with kernels; False: without

    def use_known(self, n_queries: int) -> None:
        """Before a search, load the costs that an earlier process measured, if there are any.

        A first single query needs no costs, because it is answered by a scan.
        """
        if n_queries > 1 or self._has_searched:
            self._know(measure=False)
        self._has_searched = True

    def spent(self, seconds: float) -> None:
        """Count seconds of searching; after `_CALIBRATE_AFTER` of them, measure the costs."""
        self._searched += seconds
        if self._searched > _CALIBRATE_AFTER:
            self._searched = 0.0
            self._know(measure=True)

    def _know(self, *, measure: bool) -> None:
        compiled = kernels.loaded() is not None
        if cost_model.is_measured(compiled) or (compiled in self._looked_for and not measure):
            return
        self._looked_for.add(compiled)
        name = "kernels" if compiled else "numpy"
        known = cost_model.from_numbers(read_costs(name))
        if known is None and measure:
            known = calibration.measure()
            write_costs(name, cost_model.as_numbers(known))
        if known is not None:
            cost_model.use(known, compiled)
