"""Open a collection, ask it, close it.

A `Collection` is a snapshot (`hashret.snapshot`) that takes a question, has it searched, and makes
hits of what was found (`hashret.search`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from os import PathLike
from pathlib import Path
from typing import Any, Self, TypedDict, Unpack, overload

import numpy as np

from hashret.arguments import require_flag, whole
from hashret.errors import CollectionError, DamagedError
from hashret.indexes.base import Index
from hashret.indexes.views.cache import IndexKind, require_known
from hashret.items import Hits, Id, Item, ids_of
from hashret.kinds import kind_of
from hashret.search.hits import Ranking, hits
from hashret.search.question import Order, Question, payloads_of
from hashret.search.searcher import Searcher
from hashret.snapshot import Snapshot
from hashret.sparse import take_rows
from hashret.store.catalog.catalog import Catalog
from hashret.store.layout import Layout
from hashret.store.repair.verify import Findings, examine

# What is one payload, and what is many, for whoever checks types; an array may be either.
_One = str | bytes | Path | Item
_Many = list[Any] | tuple[Any, ...]
_Ids = list[Any] | tuple[Any, ...] | np.ndarray


class _QueryOptions(TypedDict, total=False):
    asymmetric: bool
    probes: int | None
    rerank: int | None
    where: str | None
    index: IndexKind | None


class _SimilarOptions(TypedDict, total=False):
    include_self: bool
    rerank: int | None
    where: str | None
    index: IndexKind | None


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
        self._searcher = Searcher(self, index)

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
        require_known(index)
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
        (`hashret.indexes.views.delta`). Where another folder was put in the place of the one that
        was opened, it moves to that. An error leaves the snapshot as it was: CollectionError where
        the folder was deleted, or holds items of another kind.
        """
        former, catalog = self.rows, self._catalog
        if not super().refresh():
            return False
        if self._catalog is catalog:
            self._searcher.moved(former)
        else:  # of another folder, whose row numbers are others
            self._searcher = Searcher(self, self._searcher.kind)
        return True

    def __reduce__(self) -> tuple[Callable[[Path], Self], tuple[Path]]:
        """A copy, also one in another process, is the same folder opened again."""
        self._catalog.require_open()
        address = self._catalog.address
        again = partial(type(self).open, index=self._searcher.kind, catalog=address)
        return again, (self._layout.root,)

    @property
    def index(self) -> Index:
        """The index over `codes`, built on first use."""
        return self._searcher.index()

    # asking

    @overload
    def query(self, item_or_items: _One, k: int = ..., **how: Unpack[_QueryOptions]) -> Hits: ...
    @overload
    def query(
        self, item_or_items: _Many, k: int = ..., **how: Unpack[_QueryOptions]
    ) -> list[Hits]: ...
    @overload
    def query(self, item_or_items: Any, k: int = ..., **how: Unpack[_QueryOptions]) -> Any: ...
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

        A payload is what the collection holds: a `str`; an image as `Item` says; a 1-D array. Of
        an image only a `str` or a `PathLike` is a path: bytes, file objects and images of Pillow
        are decoded, whatever they hold. An `Item` stands for its payload. A list, a
        tuple or another iterable of payloads is many, and so is an array with one more
        dimension. Fewer than k hits only if the collection is smaller or the payload has no
        known feature: then `Hits.note` says so. Ties are ordered by (distance, -score, id).

        With `asymmetric` the score decides: all codes are compared with what the query thinks of
        each bit, and the true first k by (-score, distance, id) given, whatever the index, in
        time linear in the number of items.

        With `probes` the score decides too, but only so many buckets are looked at: the one that
        the query leans to, then those that differ in the bits that it is least certain of, in the
        order of the score (`indexes.table.multiprobe`). It ends when k are found: these are the
        first k by score. If the probes run out before, the hits are what was found, and
        `Hits.approximation` says so. As many probes as items, or more, are `asymmetric`.

        With `rerank` the first so many of these (at least k) are ordered by the similarity of
        their features to the payload's, and the best k of them given; the collection must keep
        features (`hashret index --store-features`; texts and images do unless told not to).

        Of images that keep features, without `rerank`: among the nearest 2,000 codes (or k, if that
        is more) those that look like copies of the asked one come first, most alike first. All
        others follow by distance, and at one distance by likeness and then the id; `rerank=0` gives
        the order of the codes alone.

        With `where`, a condition on the metadata (`hashret.where` has its grammar), only items
        that satisfy it are searched, exactly whatever the index: k hits if there are so many.

        With `index` this question takes that path in place of the collection's (see `open`); the
        index is built when it is first asked for, and kept. Hits of an approximate one may lack
        some of the nearest: their `Hits.approximation` says so, and its measured recall.

        `Hits.plan` says how the hits were found.

        Raises ValueError for k < 1, probes < 1, rerank < k, or `index` together with `where`,
        `asymmetric` or `probes`, and TypeError for numbers that aren't whole; `PayloadError` for
        a payload that can't be used, `UnknownKindError`, `WhereError`, and `CollectionError` for
        a `rerank` without stored features.
        """
        whole("k", k)
        require_flag("asymmetric", asymmetric)
        order: Order = "score" if asymmetric or probes is not None else "distance"
        question = Question(k, None, order, probes, rerank, where, index)
        return self.ask(question, item_or_items)

    @overload
    def within(
        self, item_or_items: _One, radius: int = ..., *, where: str | None = ...
    ) -> Hits: ...
    @overload
    def within(
        self, item_or_items: _Many, radius: int = ..., *, where: str | None = ...
    ) -> list[Hits]: ...
    @overload
    def within(self, item_or_items: Any, radius: int = ..., *, where: str | None = ...) -> Any: ...
    def within(self, item_or_items: Any, radius: int = 2, *, where: str | None = None) -> Any:
        """All items within `radius` bits (inclusive) of one payload or of each of many.

        By (distance, -score, id). Of images that keep features those that look like copies of the
        asked one come first, most alike first; the others by distance, likeness and id.
        `where` as for `query`. Raises ValueError for a radius < 0 or where the collection's index
        can't tell (an approximate one), TypeError for one that is not whole; `PayloadError` and
        `WhereError`.
        """
        whole("radius", radius)
        return self.ask(Question(None, radius, where=where), item_or_items)

    @overload
    def bucket(self, item_or_items: _One, *, where: str | None = ...) -> Hits: ...
    @overload
    def bucket(self, item_or_items: _Many, *, where: str | None = ...) -> list[Hits]: ...
    @overload
    def bucket(self, item_or_items: Any, *, where: str | None = ...) -> Any: ...
    def bucket(self, item_or_items: Any, *, where: str | None = None) -> Any:
        """All items with exactly the payload's code, as `within` radius 0; it raises the same."""
        return self.within(item_or_items, 0, where=where)

    @overload
    def similar(self, ids: Id, k: int = ..., **how: Unpack[_SimilarOptions]) -> Hits: ...
    @overload
    def similar(self, ids: _Ids, k: int = ..., **how: Unpack[_SimilarOptions]) -> list[Hits]: ...
    def similar(
        self,
        ids: Id | _Ids,
        k: int = 10,
        *,
        include_self: bool = False,
        rerank: int | None = None,
        where: str | None = None,
        index: IndexKind | None = None,
    ) -> Any:
        """The k nearest other items to the stored item of this id, or to each of several.

        Works on the stored code: no payload is read, and a model only to compare features. The
        order and `rerank`, `where` and `index` are as for `query`: copies of a stored image come
        first. The item asked about need not satisfy the condition. With `include_self` the item
        itself is a hit like any other. An id is a string, an integer or a UUID
        (`hashret.items.id_of`), any other iterable is several. Raises `UnknownItemError` for an id
        that is not in the collection, TypeError for what is no id, and what `query` raises for the
        options.
        """
        whole("k", k)
        require_flag("include_self", include_self)
        question = Question(k, rerank=rerank, where=where, index=index)
        return self.ask_similar(question, ids, include_self=include_self)

    @overload
    def similar_within(
        self, ids: Id, radius: int = ..., *, include_self: bool = ..., where: str | None = ...
    ) -> Hits: ...
    @overload
    def similar_within(
        self, ids: _Ids, radius: int = ..., *, include_self: bool = ..., where: str | None = ...
    ) -> list[Hits]: ...
    def similar_within(
        self,
        ids: Id | _Ids,
        radius: int = 2,
        *,
        include_self: bool = False,
        where: str | None = None,
    ) -> Any:
        """All other items within `radius` bits (inclusive) of the stored item, as `similar`.

        Raises `UnknownItemError`, and what `within` raises for `radius` and `where`.
        """
        whole("radius", radius)
        require_flag("include_self", include_self)
        question = Question(None, radius, where=where)
        return self.ask_similar(question, ids, include_self=include_self)

    def ask(self, question: Question, item_or_items: Any) -> Any:
        """The hits of one payload (`Hits`) or of each of many (a list of `Hits`).

        The form behind `query`, `within` and `bucket`: payloads and errors are theirs.
        """
        # what can't be asked is said before a payload is read
        index = self._searcher.over(question)
        if question.probes is not None and question.probes >= len(index):
            question = replace(question, probes=None)  # to compare all costs less
        ranking = self._ranking(question)
        payloads, single = payloads_of(item_or_items, self.kind)
        answers = [Hits((), note=kind_of(self.kind).unknown)] * len(payloads)
        if payloads:
            asked = self.coder.encode(payloads)
            known = np.flatnonzero(asked.known)
            for answered in self._searcher.answers(
                question, asked.codes, known, ranking.depth, asked.confidences
            ):
                places = answered.queries
                rows = None
                if ranking.compares_features:
                    rows = self.coder.kept(take_rows(asked.features, places))
                for query, i in enumerate(places.tolist()):
                    row = None if rows is None else take_rows(rows, np.array([query]))
                    answers[i] = hits(self, ranking, answered, query, asked.confidences[i], row)
        return answers[0] if single else answers

    def ask_similar(self, question: Question, ids: Id | _Ids, *, include_self: bool = False) -> Any:
        """The hits of the stored item of this id (`Hits`), or of each of several (a list).

        The form behind `similar` and `similar_within`: errors are theirs, and ValueError for a
        question by score, since stored bits have no doubts.
        """
        question.require_of_stored()
        self._searcher.over(question)
        ranking = self._ranking(question)
        asked, single = ids_of(ids)
        positions = self._positions(asked)
        # one more than asked, since the item itself is among its nearest
        depth = None if ranking.depth is None else ranking.depth + 1
        answers = []
        for answered in self._searcher.answers(question, self.codes, positions, depth):
            block = answered.queries
            certain = self.codes[block].bits.astype(np.float32)
            for query, position in enumerate(block.tolist()):
                row = self.features(block[query : query + 1]) if ranking.compares_features else None
                besides = None if include_self else position
                answers.append(hits(self, ranking, answered, query, certain[query], row, besides))
        return answers[0] if single else answers

    def _ranking(self, question: Question) -> Ranking:
        """The order of the hits. Raises CollectionError where it needs features and has none."""
        if question.rerank and not self.has_features:
            raise CollectionError(
                f"{self._layout.root}: expected the features of every item to rank by, got items "
                "without; index it anew with --retrain --store-features"
            )
        return Ranking.of(question, self)

    def info(self) -> dict[str, Any]:
        """What the collection is, as JSON values: items, bits, commit, model, index, bytes."""
        kind = self._searcher.kind
        return {
            "kind": self.kind,
            "n_items": len(self),
            "n_bits": self._model.n_bits if self._model else None,
            "commit": self.commit,
            "committed_at": self._last.created_at,
            "model": self._about_model(),
            "index": kind if isinstance(kind, str) else "custom",
            "catalog": self._catalog.place,
            "bytes": {"catalog": self._catalog.n_bytes(), **self._layout.sizes()},
        }

    def _about_model(self) -> dict[str, Any] | None:
        if self._model is None:
            return None
        about = self.description
        try:
            features = about["features"]
            kind = features["kind"]
            packed = {"packed_bits": True} if features.get("packed") else {}
            return {
                "name": self._model.name,
                "features": kind,
                **packed,
                "encoder": about["encoder"]["kind"],
                "n_features": self._n_features(),
                "preset": about["training"]["options"]["preset"],
                "trained_on": about["training"]["n_items"],
            }
        except (KeyError, TypeError) as error:
            raise DamagedError(
                f"{self._layout.root}: expected a description of the model, got one without "
                f"{error}; train it again"
            ) from error


def verified(path: str | PathLike[str]) -> Findings:
    """Every byte of the last commit at `path`, compared with its checksums; what is damaged.

    Raises `NotACollectionError`, `FormatVersionError` or OSError where it can't be checked.
    """
    return examine(Layout.find(path))
