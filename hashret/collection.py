"""Open a collection, ask it, close it.

`Collection` is a snapshot (`hashret.snapshot`) with an index over its codes. It is the one file
that knows every room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from os import PathLike
from time import perf_counter
from typing import Any, Self

import numpy as np

from hashret import rank
from hashret.coder import Encoding
from hashret.codes import Codes, Neighbors, hamming, merge
from hashret.errors import CollectionError, DamagedError, PayloadError
from hashret.indexes import APPROXIMATE, INDEXES, calibration, compiled, costs
from hashret.indexes.base import BOTH, Index, approximation_of, path_of
from hashret.indexes.directed import probe_by_confidence
from hashret.indexes.planner import PlannedIndex
from hashret.indexes.subset import SubsetIndex
from hashret.indexes.table import TableIndex
from hashret.indexes.updated import MAX_SHARE, UpdatedApproximateIndex, UpdatedIndex
from hashret.items import Approximation, Hit, Hits, Item, Payload
from hashret.plan import Plan
from hashret.registry import resolve
from hashret.row_numbers import RowNumbers
from hashret.snapshot import Snapshot
from hashret.sparse import Features, take_rows
from hashret.store.catalog import Catalog
from hashret.store.layout import Layout
from hashret.store.machine_costs import read_costs, write_costs
from hashret.store.soundness import Findings, examine
from hashret.where import parse

#: How an index is named or built: a name of `INDEXES` or `APPROXIMATE`, or a call with the codes.
IndexKind = str | Callable[[Codes], Index]

_UNKNOWN = {
    "text": "the text has no word that the collection's vocabulary knows",
    "image": "the image has no feature that the collection knows",
    "vector": "the vector has no feature that the collection knows",
}


_CALIBRATE_AFTER = 5.0
"""Seconds of searching after which it is worth the second that measuring what it costs takes."""

# Queries searched at once: first, at most, and so many that they find about so many rows.
_FIRST_BLOCK, _BLOCK, _FOUND = 256, 4096, 1 << 21


@dataclass(frozen=True, slots=True)
class _Cut:
    """How many hits are wanted, and of how many nearest they are chosen; None: all there are.

    The nearest by distance and then score, or `by_score` and then distance; the hits chosen by
    the similarity of features if `reranked`.
    """

    k: int | None = None
    shortlist: int | None = None
    by_score: bool = False
    reranked: bool = False
    note: str = ""
    """Why there are no hits, where that is known beforehand."""
    approximation: Approximation | None = None
    among: Index | SubsetIndex | None = None
    """What was searched; None: everything, by score."""
    probes: int | None = None

    def keys(self, distances: np.ndarray, scores: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What hits are ordered by, first and second, ascending."""
        return (-scores, distances) if self.by_score else (distances, -scores)


class Collection(Snapshot):
    """One folder, one snapshot of it, and answers from it.

    Answers are exact for the codes: `query` gives the true k nearest, `within` and `bucket` all
    items within the radius (inclusive, in bits) and no other, unless the index was chosen by
    name and says that it is approximate. Use one `Collection` from one thread at a time; any
    number of them, in any number of processes, can read the same folder, also while an
    `Indexer` writes to it.
    """

    def __init__(self, layout: Layout, catalog: Catalog, index: IndexKind):
        super().__init__(layout, catalog)
        self._index_kind = index
        self._bases: dict[IndexKind, tuple[Index, RowNumbers]] = {}  # former ones and their rows
        self._indexes: dict[IndexKind, Index] = {}
        self._searched = 0.0  # seconds that searching took since the costs were looked at
        self._own_table: TableIndex | None = None  # where the index has none to probe
        self._among: dict[str, SubsetIndex] = {}  # the last condition and what it selects

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        index: IndexKind = "auto",
        catalog: str | None = None,
    ) -> Self:
        """Open the last commit of the collection in the folder `path`.

        `index` names the path that questions take ("auto" chooses among the exact ones; see
        `hashret.indexes.INDEXES`, and `APPROXIMATE` for those that may miss a neighbour), or
        builds one from the codes. `catalog` is the address of the PostgreSQL server of a
        collection that has one, where it is another than the collection records. Raises
        `NotACollectionError`, `FormatVersionError`, `DamagedError`, `CatalogServerError` or
        `UnknownKindError`.
        """
        layout = Layout.find(path)
        opened = Catalog.open(layout, address=catalog)
        try:
            return cls(layout, opened, index)
        except BaseException:
            opened.close()
            raise

    def refresh(self) -> bool:
        """Move to the last commit; True if it is another than before.

        Only what changed is read, and an index that stands is kept through small changes
        (`hashret.indexes.updated`). An error leaves the snapshot as it was.
        """
        indexes, rows = self._indexes, self._rows
        if not super().refresh():
            return False
        for kind, index in indexes.items():
            if not isinstance(index, UpdatedIndex):
                self._bases[kind] = index, rows
        self._indexes, self._among, self._own_table = {}, {}, None
        return True

    def _kept_index(self, kind: IndexKind) -> Index | None:
        """The last whole index of this kind, brought up to date, if it is worth keeping."""
        if kind not in self._bases:
            return None
        base, former = self._bases[kind]
        moved = self._rows.find(np.asarray(former))
        n_kept = int((moved >= 0).sum())
        changed = len(former) - n_kept + len(self) - n_kept
        suits = base.supports == BOTH or not base.exact
        suits = suits and base.n_bits == self._codes.n_bits
        if not suits or changed > MAX_SHARE * len(former):
            del self._bases[kind]  # of another model, or too much is new
            return None
        updated = UpdatedIndex if base.exact else UpdatedApproximateIndex
        return updated(base, moved, self._codes)

    @property
    def index(self) -> Index:
        """The index over `codes`, built on first use."""
        return self._index_of(self._index_kind)

    def _index_of(self, kind: IndexKind) -> Index:
        if kind not in self._indexes:
            index = self._kept_index(kind)
            if index is None:
                known = INDEXES | APPROXIMATE
                build = resolve(known, kind, "index").build if isinstance(kind, str) else kind
                _know_costs(measure=False)
                index = build(self.codes)
            self._indexes[kind] = index
        return self._indexes[kind]

    # asking

    def query(
        self,
        item_or_items: Any,
        k: int = 10,
        *,
        asymmetric: bool = False,
        probes: int | None = None,
        rerank: int | None = None,
        where: str | None = None,
        index: IndexKind | None = None,
    ) -> Any:
        """The k nearest items to one payload (`Hits`) or to each of many (a list of `Hits`).

        A payload is what the collection holds: a `str`; a path, or an array of (height, width)
        or (height, width, channels); a 1-D array. An `Item` stands for its payload. A list, a
        tuple or another iterable of payloads is many, and so is an array with one more
        dimension. Fewer than k hits only if the collection is smaller or the payload has no
        known feature: then `Hits.note` says so. Ties are ordered by (distance, -score, id).

        With `asymmetric` the score decides: all codes are compared with what the query thinks of
        each bit, and the true first k by (-score, distance, id) given, whatever the index, in
        time linear in the number of items.

        With `probes` the score decides too, but only so many buckets are looked at: the one that
        the query leans to, then those that differ in the bits that it is least certain of, in the
        order of the score (`hashret.indexes.directed`). It ends when k are found: these are the
        first k by score. If the probes run out before, the hits are what was found, and
        `Hits.approximation` says so.

        With `rerank` the first so many of these (at least k) are ordered by the similarity of
        their features to the payload's, and the best k of them given; the collection must keep
        features (`hashret index --store-features`; texts do unless told not to).

        With `where`, a condition on the metadata (`hashret.where` has its grammar), only items
        that satisfy it are searched, exactly whatever the index: k hits if there are so many.

        With `index` this question takes that path in place of the collection's (see `open`); the
        index is built when it is first asked for, and kept. Hits of an approximate one may lack
        some of the nearest: their `Hits.approximation` says so, and its measured recall.

        `Hits.plan` says how the hits were found.

        Raises ValueError for k < 1, probes < 1, rerank < k, or `index` together with `where`,
        `asymmetric` or `probes`; `PayloadError` for a payload that can't be used,
        `UnknownKindError`, `WhereError` and CollectionError without stored features.
        """
        if (asymmetric or probes is not None) and index is not None:
            raise ValueError(
                "index: expected none beside asymmetric and probes, which search by score; "
                "leave one out"
            )
        if probes is not None and probes < 1:
            raise ValueError(f"probes: expected at least 1, got {probes}; the first is the bucket")
        among = self._selected(where, index)
        by_score = asymmetric or probes is not None
        cut = replace(self._cut(k, rerank), by_score=by_score, probes=probes, **_about(among))
        shortlist = rerank or k
        if probes is not None:
            cut, wanted = replace(cut, approximation=None), probes
            return self._ask(
                item_or_items, lambda asked: self._probed(asked, shortlist, among, wanted), cut
            )
        if asymmetric:
            cut = replace(cut, approximation=None)  # all codes are compared
            return self._ask(
                item_or_items, lambda asked: self._by_score(asked, shortlist, among), cut
            )
        return self._ask(
            item_or_items, lambda asked: among.search(asked.codes, shortlist, ties=True), cut
        )

    def within(self, item_or_items: Any, radius: int = 2, *, where: str | None = None) -> Any:
        """All items within `radius` bits (inclusive) of one payload or of each of many.

        `where` as for `query`.
        """
        if radius < 0:
            raise ValueError(
                f"radius: expected 0 bits or more, got {radius}; it includes its bound"
            )
        among = self._selected(where)
        return self._ask(
            item_or_items, lambda asked: among.within(asked.codes, radius), _Cut(**_about(among))
        )

    def bucket(self, item_or_items: Any, *, where: str | None = None) -> Any:
        """All items with exactly the payload's code, as `within` radius 0."""
        return self.within(item_or_items, 0, where=where)

    def similar(
        self,
        ids: str | Sequence[str],
        k: int = 10,
        *,
        include_self: bool = False,
        rerank: int | None = None,
        where: str | None = None,
        index: IndexKind | None = None,
    ) -> Any:
        """The k nearest other items to the stored item of this id, or to each of several.

        Works on the stored code: no payload is read, and a model only to `rerank`, which is as for
        `query`, and so are `where` and `index`; the item asked about need not satisfy the
        condition. With `include_self` the item itself is a hit like any other. Raises
        `UnknownItemError`.
        """
        among = self._selected(where, index)
        cut = replace(self._cut(k, rerank), **_about(among))
        # one more than asked, since the item itself is among its nearest
        return self._around(
            ids,
            lambda codes: among.search(codes, (rerank or k) + 1, ties=True),
            cut,
            include_self,
        )

    def similar_within(
        self,
        ids: str | Sequence[str],
        radius: int = 2,
        *,
        include_self: bool = False,
        where: str | None = None,
    ) -> Any:
        """All other items within `radius` bits (inclusive) of the stored item, as `similar`."""
        if radius < 0:
            raise ValueError(
                f"radius: expected 0 bits or more, got {radius}; it includes its bound"
            )
        among = self._selected(where)
        return self._around(
            ids, lambda codes: among.within(codes, radius), _Cut(**_about(among)), include_self
        )

    def _selected(self, where: str | None, kind: IndexKind | None = None) -> Index | SubsetIndex:
        """The index over the items that satisfy `where`; the last one is kept for the next time."""
        if where is None:
            return self._index_of(self._index_kind if kind is None else kind)
        if kind is not None:
            raise ValueError(
                "index: expected none beside a condition, among whose items the search is exact; "
                "leave one out"
            )
        if where not in self._among:
            rows = self._rows_where(parse(where))
            positions = self._positions_of_rows(rows) if len(rows) else rows
            self._among = {where: SubsetIndex(self.codes, positions)}
        return self._among[where]

    def _around(
        self,
        ids: str | Sequence[str],
        find: Callable[[Codes], Neighbors],
        cut: _Cut,
        include_self: bool,
    ) -> Any:
        positions = self._positions([ids] if isinstance(ids, str) else list(ids))
        codes = self.codes[positions]
        found, plan = self._timed(lambda: find(codes), cut)
        certain = codes.bits.astype(np.float32)  # a stored code has no doubts
        answers = [
            self._hits(
                found,
                query,
                certain[query],
                cut,
                self.features(positions[query : query + 1]) if cut.reranked else None,
                plan,
                besides=None if include_self else int(position),
            )
            for query, position in enumerate(positions)
        ]
        return answers[0] if isinstance(ids, str) else answers

    def info(self) -> dict[str, Any]:
        """What the collection is, as JSON values: items, bits, commit, model, index, bytes."""
        facts: dict[str, Any] = {
            "kind": self.kind,
            "n_items": len(self),
            "n_bits": self._model.n_bits if self._model else None,
            "commit": self.commit,
            "committed_at": self._last.created_at,
            "model": None,
            "index": self._index_kind if isinstance(self._index_kind, str) else "custom",
            "catalog": self._catalog.place,
            "bytes": {"catalog": self._catalog.n_bytes(), **self._layout.sizes()},
        }
        if self._model is not None:
            about = self.description
            try:
                facts["model"] = {
                    "name": self._model.name,
                    "features": about["features"]["kind"],
                    "encoder": about["encoder"]["kind"],
                    "n_features": about["encoder"]["n_features"],
                    "preset": about["training"]["options"]["preset"],
                    "trained_on": about["training"]["n_items"],
                }
            except (KeyError, TypeError) as error:
                raise DamagedError(
                    f"{self._layout.root}: expected a description of the model, got one without "
                    f"{error}; train it again"
                ) from error
        return facts

    def _by_score(self, asked: Encoding, k: int, among: Index | SubsetIndex) -> Neighbors:
        """For each query the k items of highest score, and all that equal the k-th."""
        chosen = among if isinstance(among, SubsetIndex) else None
        codes = self.codes if chosen is None else chosen.codes
        none = np.empty(0, np.int32)
        parts = [Neighbors(np.zeros(1, np.int64), none, none, none)]  # of no query
        for query, confidences in enumerate(asked.confidences):
            rows = rank.highest(rank.expected_agreement(confidences, codes), k)
            distances = hamming(asked.codes[query : query + 1], codes[rows])[0]
            nothing = np.full(1, -1, np.int32)
            if chosen is not None:
                rows = chosen.rows[rows]
            parts.append(Neighbors(np.array([0, len(rows)]), rows, distances, nothing))
        return merge(parts)

    def _probed(
        self, asked: Encoding, k: int, among: Index | SubsetIndex, budget: int
    ) -> Neighbors:
        """For each query what is found in the buckets of highest score.

        A complete radius of 0 says that the first k by score are among that.
        """
        codes = among.codes if isinstance(among, SubsetIndex) else self.codes
        numbers = among.rows if isinstance(among, SubsetIndex) else None
        table = self._table(among)
        none = np.empty(0, np.int32)
        parts = [Neighbors(np.zeros(1, np.int64), none, none, none)]  # of no query
        for query, confidences in enumerate(asked.confidences):
            opinions = rank.opinions(confidences)
            leaning = Codes.pack(opinions[None] > 0).packed[0]
            costs = np.abs(opinions).astype(np.int64)
            found = probe_by_confidence(table, leaning, costs, min(k, len(codes)), budget)
            rows = found.rows.astype(np.int64)
            distances = hamming(asked.codes[query : query + 1], codes[rows])[0]
            parts.append(
                Neighbors(
                    np.array([0, len(rows)]),
                    rows if numbers is None else numbers[rows],
                    distances,
                    np.array([0 if found.complete else -1], np.int32),
                    found.n_probes,
                )
            )
        return merge(parts)

    def _table(self, among: Index | SubsetIndex) -> TableIndex:
        """The hash table over what is searched, kept by whoever has one, else here."""
        if isinstance(among, TableIndex):
            return among
        if isinstance(among, SubsetIndex | PlannedIndex):
            return among.table
        if self._own_table is None:
            self._own_table = TableIndex(self.codes)
        return self._own_table

    def _ask(self, asked: Any, find: Callable[[Encoding], Neighbors], cut: _Cut) -> Any:
        payloads, single = _payloads(asked, self.kind)
        answers: list[Hits] = []
        if payloads:
            encoding = self.coder.encode(payloads)
            answers = [Hits((), note=_UNKNOWN[self.kind])] * len(payloads)
            for places, found, plan in self._in_blocks(encoding, find, cut):
                for query, i in enumerate(places.tolist()):
                    asked_for = (
                        take_rows(encoding.features, np.array([i])) if cut.reranked else None
                    )
                    answers[i] = self._hits(
                        found, query, encoding.confidences[i], cut, asked_for, plan
                    )
        return answers[0] if single else answers

    def _in_blocks(
        self, encoding: Encoding, find: Callable[[Encoding], Neighbors], cut: _Cut
    ) -> Iterator[tuple[np.ndarray, Neighbors, Plan]]:
        """The answers to the known queries, some at a time: which these are, found, how.

        Where very many items tie, a block is so small that its answer fits the memory.
        """
        known = np.flatnonzero(encoding.known)
        size = _FIRST_BLOCK
        while len(known):
            block, known = known[:size], known[size:]
            found, plan = self._timed(partial(find, encoding.take(block)), cut)
            yield block, found, plan
            size = max(1, min(_BLOCK, _FOUND * len(block) // max(1, len(found.rows))))

    def _timed(self, find: Callable[[], Neighbors], cut: _Cut) -> tuple[Neighbors, Plan]:
        """What is found, and how."""
        start = perf_counter()
        found = find()
        seconds = perf_counter() - start
        self._searched += seconds
        if self._searched > _CALIBRATE_AFTER:
            self._searched = 0.0
            _know_costs(measure=True)
        among = self.index if cut.among is None else cut.among
        if cut.probes is not None:
            path, n_tables = "by confidence", 1
        else:
            path, n_tables = ("by score", 0) if cut.by_score else path_of(among)
        n = len(among)
        compared = n * len(found) if path == "by score" else found.compared
        kernels = compiled.loaded() is not None and path != "by score"
        work = found.probed, compared, n, len(found)
        return found, Plan(path, n_tables, *work, kernels, seconds, -1)

    def _hits(
        self,
        found: Neighbors,
        query: int,
        confidences: np.ndarray,
        cut: _Cut,
        asked_for: Features | None,
        plan: Plan,
        besides: int | None = None,
    ) -> Hits:
        """The ranked hits of one query, without the item at position `besides`.

        `asked_for` is the query's row of features where a shortlist is ranked by them.
        """
        positions, distances = found[query]
        if besides is not None:
            others = positions != besides
            positions, distances = positions[others], distances[others]
        scores = rank.expected_agreement(confidences, self.codes[positions])
        shortlist = cut.shortlist
        if shortlist is not None and len(positions) > shortlist:
            keep = self._first(positions, *cut.keys(distances, scores), shortlist)
            positions, distances, scores = positions[keep], distances[keep], scores[keep]
        records = self._records(positions.tolist())
        ids = [records[position].id for position in positions.tolist()]
        alike = None
        if asked_for is not None and len(positions):
            alike = self.coder.featurizer.similarities(asked_for, self.features(positions))
        hits = []
        for i in rank.order(*cut.keys(distances, scores), ids, alike)[: cut.k]:
            position = int(positions[i])
            record = records[position]
            hits.append(
                Hit(
                    record.id,
                    int(distances[i]),
                    float(scores[i]),
                    self.codes.hex(position),
                    record.metadata,
                    record.preview,
                    None if alike is None else float(alike[i]),
                )
            )
        radius = int(found.complete_radius[query])
        note, approximation = cut.note, cut.approximation
        if cut.probes is not None and radius < 0:
            approximation = Approximation("probes", {"probes": cut.probes})
            note = note or f"the {cut.probes} nearest buckets are empty; allow more probes"
        plan = replace(plan, proved=radius)
        return Hits(tuple(hits), "" if hits else note, radius, approximation, plan)

    def _first(
        self, positions: np.ndarray, first: np.ndarray, second: np.ndarray, count: int
    ) -> np.ndarray:
        """Which of the positions are the first by (first, second, id); in no order."""
        certain, tied = rank.contenders(first, second, count)
        chosen = self._first_by_id(positions[tied], count - len(certain))
        return np.concatenate([certain, tied[np.isin(positions[tied], chosen)]])

    def _cut(self, k: int, rerank: int | None) -> _Cut:
        if k < 1:
            raise ValueError(f"k: expected at least 1, got {k}; ask for one hit or more")
        if rerank is None:
            return _Cut(k, k)
        if rerank < k:
            raise ValueError(
                f"rerank: expected at least k, {k}, got {rerank}; rank as many as are to be shown"
            )
        if not self.has_features:
            raise CollectionError(
                f"{self._layout.root}: expected the features of every item to rank by, got items "
                "without; index it anew with --retrain --store-features"
            )
        return _Cut(k, rerank, reranked=True)


def verified(path: str | PathLike[str]) -> Findings:
    """Every byte of the last commit at `path`, compared with its checksums; what is damaged.

    Raises `NotACollectionError`, `FormatVersionError` or OSError where it can't be checked.
    """
    return examine(Layout.find(path))


def _know_costs(*, measure: bool) -> None:
    """Let the planner go by the costs of this machine: those kept for it, or measured now."""
    kernels = compiled.loaded() is not None
    if costs.is_measured(kernels):
        return
    name = "kernels" if kernels else "numpy"
    known = calibration.from_numbers(read_costs(name))
    if known is None and measure:
        known = calibration.measure()
        write_costs(name, asdict(known))
    if known is not None:
        costs.use(known, kernels)


def _about(among: Index | SubsetIndex) -> dict[str, Any]:
    """What is known of an answer beforehand: why it is empty, and what it is worth."""
    if isinstance(among, SubsetIndex):
        return {"note": "" if len(among) else "no item satisfies the condition", "among": among}
    return {"approximation": approximation_of(among), "among": among}


def _payloads(asked: Any, kind: str) -> tuple[list[Payload], bool]:
    """The payloads in what a caller gave, and whether it was a single one."""
    single = isinstance(asked, str | Item | PathLike)
    if isinstance(asked, np.ndarray):
        # an image has two or three dimensions, a vector one
        single = asked.ndim < 4 if kind == "image" else asked.ndim < 2
    if not single and not isinstance(asked, Iterable):
        raise PayloadError(
            f"query: expected a {kind} or an iterable of them, got {type(asked).__name__}; "
            "pass the payload itself"
        )
    items = [asked] if single else list(asked)
    return [item.payload if isinstance(item, Item) else item for item in items], single
