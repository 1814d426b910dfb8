"""Which rows answer a question: all codes or selected ones, by which index, in what time."""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter

from hashret.coder import Encoding
from hashret.codes import Neighbors
from hashret.indexes import kernels
from hashret.indexes.base import Index, path_of
from hashret.indexes.table.asymmetric import compare_all, probe
from hashret.indexes.views.cache import IndexKind, KeptIndexes, require_known
from hashret.indexes.views.subset import SubsetIndex
from hashret.plan import Plan
from hashret.row_numbers import RowNumbers
from hashret.search.machine import SearchCosts, table_of
from hashret.snapshot import Snapshot

#: What is searched: the index over all codes, or one over those that a condition selected.
Searched = Index | SubsetIndex

#: The index that is asked nothing but its table, and builds no more than that.
BY_SCORE = "auto"


class Searcher:
    """The indexes over a snapshot's codes, and what searching them has cost.

    `kind` is the index where a question names none. Whoever moves the snapshot says so (`moved`).
    """

    def __init__(self, snapshot: Snapshot, kind: IndexKind):
        self.kind = kind
        self._snapshot = snapshot
        self._indexes = KeptIndexes(table_of)
        self._costs = SearchCosts()
        self._among: tuple[str, SubsetIndex] | None = None  # the last condition, what it selects

    def moved(self, former: RowNumbers) -> None:
        """The snapshot is another; `former` are the row numbers of the one before."""
        self._indexes.moved(former)
        self._among = None

    def index(self, kind: IndexKind | None = None) -> Index:
        """The index of this kind over all codes, built on first use. Raises `UnknownKindError`."""
        kind = self.kind if kind is None else kind
        require_known(kind)
        if kind not in self._indexes:
            self._costs.use_known()
        return self._indexes.of(kind, self._snapshot.codes, self._snapshot.rows)

    def among(self, where: str | None, kind: IndexKind | None = None) -> Searched:
        """The index over the items that satisfy `where`; the last one is kept for the next time.

        Raises `WhereError`, and ValueError for a `kind` beside a condition.
        """
        if where is None:
            return self.index(kind)
        if kind is not None:
            raise ValueError(
                "index: expected none beside a condition, among whose items the search is exact; "
                "leave one out"
            )
        if self._among is None or self._among[0] != where:
            chosen = SubsetIndex(self._snapshot.codes, self._snapshot.positions_where(where))
            self._among = where, chosen
        return self._among[1]

    def by_score(self, among: Searched, asked: Encoding, k: int, probes: int | None) -> Neighbors:
        """For each query the rows of highest score, of all codes or of those in the probes."""
        codes = among.codes if isinstance(among, SubsetIndex) else self._snapshot.codes
        if probes is None:
            found = compare_all(codes, asked.codes, asked.confidences, k)
        else:
            table = self._indexes.table(among, codes)
            found = probe(table, codes, asked.codes, asked.confidences, k, probes)
        return among.numbered(found) if isinstance(among, SubsetIndex) else found

    def timed(
        self,
        find: Callable[[], Neighbors],
        among: Searched,
        *,
        by_score: bool = False,
        probes: int | None = None,
    ) -> tuple[Neighbors, Plan]:
        """What `find` finds in `among`, and how: by score, with so many probes, or by distance."""
        start = perf_counter()
        found = find()
        seconds = perf_counter() - start
        self._costs.spent(seconds)
        if probes is not None:
            path, n_tables = "by confidence", 1
        else:
            path, n_tables = ("by score", 0) if by_score else path_of(among)
        n = len(among)
        compared = n * len(found) if path == "by score" else found.compared
        others = path == "by score" or path.startswith("faiss")
        compiled = kernels.loaded() is not None and not others
        work = found.probed, compared, n, len(found)
        return found, Plan(path, n_tables, *work, compiled, seconds, -1)
