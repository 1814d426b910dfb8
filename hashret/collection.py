"""Open a collection, ask it, close it.

A `Collection` stands on one commit after the other: what a commit holds is said by its snapshot
(`hashret.snapshot`), and what is near, by what searches that (`hashret.search.opened`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import count
from os import PathLike
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack, overload

import numpy as np

from hashret.arguments import require_flag, require_instance, whole
from hashret.coder import Coder
from hashret.codes import Codes
from hashret.errors import CollectionError, InputError
from hashret.indexes.base import Index
from hashret.indexes.views.cache import IndexKind, require_known
from hashret.items import Hit, Hits, Id, Item, StoredItem, id_of, ids_of
from hashret.kinds import kind_of
from hashret.search.groups import Groups
from hashret.search.opened import Opened
from hashret.search.question import Order, Question, QuestionError, RerankBy
from hashret.search.rows import FoundRows
from hashret.snapshot import Snapshot
from hashret.sparse import Features
from hashret.store.layout import Layout

if TYPE_CHECKING:
    from hashret.decoders.decoder import Decoder
    from hashret.decoders.generating import Generated
    from hashret.outliers.find import Outliers
    from hashret.outside.exports import ExportOrder
    from hashret.search.snippets import Snippet
    from hashret.search.spelling import Spelling
    from hashret.store.repair.verify import Findings

# What is one payload, and what is many, for whoever checks types; an array may be either.
_One = str | bytes | Path | Item
_Many = list[Any] | tuple[Any, ...] | Codes
_Ids = list[Any] | tuple[Any, ...] | np.ndarray
#: More than any collection has, and a number that every database holds.
_MOST_COMMITS = 1 << 48


class _Among(TypedDict, total=False):
    """The options of every question, by name; those of `Question`."""

    where: str | None
    group: str | None


class _OfSimilar(_Among, total=False):
    include_self: bool
    rerank: int | None
    rerank_by: RerankBy | None
    index: IndexKind | None


class _OfQuery(_Among, total=False):
    asymmetric: bool
    probes: int | None
    rerank: int | None
    rerank_by: RerankBy | None
    hybrid: bool | None
    index: IndexKind | None


class Collection:
    """One folder, one snapshot of it, and answers from it.

    Answers are exact for the codes: `query` gives the true k nearest, `within` and `bucket` all
    items within the radius (inclusive, in bits) and no other, unless the index was chosen by
    name and says that it is approximate. Any number of threads may ask one `Collection` at once,
    also while one of them refreshes it: each answer is of one commit. Any number of them, in any
    number of processes, can read the same folder, also while an `Indexer` writes to it; a forked
    process may go on with the one of its parent.
    """

    def __init__(self, snapshot: Snapshot, index: IndexKind, address: str | None):
        self._now: Opened | None = Opened.of(snapshot, index)
        self._asked_for: int | None = None  # the commit that `open` was told to open
        self._root = snapshot.layout.root
        self._address = address
        self._moving = Lock()

    @classmethod
    def open(
        cls,
        path: str | PathLike[str],
        *,
        commit: int | None = None,
        index: IndexKind = "auto",
        catalog: str | None = None,
    ) -> Self:
        """Open the last commit of the collection in the folder `path`, or the one of a number.

        An earlier commit (`Collection.commit` says its number) can be opened until a compaction
        deletes it, which it does unless somebody has that commit or an earlier one open. `index`
        names the path that questions take ("auto" chooses among the exact ones; see
        `hashret.indexes.INDEXES`, and `APPROXIMATE` for those that may miss a neighbour), or
        builds one from the codes. `catalog` is the address of the PostgreSQL server of a
        collection that has one, where it is another than the collection records. Raises
        `NotACollectionError`, `FormatVersionError`, `DamagedError`, `CatalogServerError`,
        `UnknownKindError`, or CollectionError for a commit that is not there.
        """
        require_known(index)
        if commit is not None and not 0 <= whole("commit", commit) <= _MOST_COMMITS:
            raise CollectionError(
                f"{path}: expected a commit of the collection, got {commit}; leave it out for the "
                "last one"
            )
        snapshot = Snapshot.open(Layout.find(path), address=catalog, commit=commit)
        opened = cls(snapshot, index, catalog)
        opened._asked_for = commit
        return opened

    def refresh(self) -> bool:
        """Move to the last commit; True if it is another than before.

        Only what changed is read, and an index that stands is kept through small changes
        (`hashret.indexes.views.delta`). Where another folder was put in the place of the one that
        was opened, it moves to that. An error leaves the snapshot as it was: CollectionError where
        the folder was deleted, or holds items of another kind.
        """
        with self._moving:
            now = self._opened.at_last_commit(self._address)
            self._asked_for = None
            if now is not None:
                self._now = now
            return now is not None

    def standing(self) -> Self:
        """The collection at its present commit, to ask several things of that one.

        It shares what was read and built, and a `refresh` of this one does not move it. It is not
        closed by itself: `close` of either closes the commit for both.
        """
        still = object.__new__(type(self))
        vars(still).update(vars(self), _now=self._opened, _moving=Lock())
        return still

    def close(self) -> None:
        """Let go of the commit; the collection can't be asked afterwards."""
        now, self._now = self._now, None
        if now is not None:
            now.snapshot.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Callable[[Path], Self], tuple[Path]]:
        """A copy, also one in another process, is the same folder opened again.

        At its last commit, or at the one that `open` was told to open.
        """
        kind = self._opened.searcher.kind
        again = partial(type(self).open, commit=self._asked_for, index=kind, catalog=self._address)
        return again, (self._root,)

    @property
    def _opened(self) -> Opened:
        """The snapshot and its searcher: read once, so that an answer is of one commit."""
        now = self._now
        if now is None:
            raise CollectionError(
                f"{self._root}: expected an open collection, got one that was closed; open it again"
            )
        return now

    @property
    def snapshot(self) -> Snapshot:
        """What the collection holds at its commit; it never changes, also when this refreshes."""
        return self._opened.snapshot

    # what a snapshot says, of the commit that is the collection's now

    def __len__(self) -> int:
        """The number of items, also of those without a code."""
        return len(self.snapshot)

    def __contains__(self, item_id: object) -> bool:
        return bool(self.snapshot.rows_of([id_of(item_id)]))

    @property
    def kind(self) -> str:
        """What the items are: "text", "image" or "vector"."""
        return self.snapshot.kind

    @property
    def commit(self) -> int:
        """The number of the commit; 0 before the first."""
        return self.snapshot.commit

    @property
    def codes(self) -> Codes:
        """The codes of all items that have one. Raises CollectionError without a model."""
        return self.snapshot.codes

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self.snapshot.n_bits

    @property
    def coder(self) -> Coder:
        """The model, read on first use."""
        return self.snapshot.coder

    def denoise(self, image_or_vectors: Any, noise: float | None = None) -> np.ndarray:
        """The image, or the vectors, without their noise, in the same shape and dtype.

        An image has any size: an array (height, width[, 1 to 4]), of which the last of 2 or 4
        channels is transparency and stays, or what else is an image, which gives an array. Vectors
        are (width,) or (n, width). `noise` is the standard deviation of normal noise, of an image
        as a share of the range from black to white (25 of 255 is 0.1), of vectors in their own
        numbers; None for what `noise_of` estimates, 0 to change nothing. Raises CollectionError
        where the model has no denoiser, `PayloadError` for what can't be denoised, InputError for a
        noise above 1 of an image, and ValueError for a negative one.
        """
        from hashret.snapshot.decoding import denoised  # a query needs none of it

        return denoised(self.snapshot, image_or_vectors, noise)

    def noise_of(self, image_or_vectors: Any) -> float:
        """The noise of an image or of vectors, estimated as `denoise` does. Raises as that."""
        from hashret.snapshot.decoding import noise_of  # a query needs none of it

        return noise_of(self.snapshot, image_or_vectors)

    @property
    def decoder(self) -> Decoder:
        """The model's decoder, read on first use. Raises CollectionError where there is none."""
        return self.snapshot.decoder

    def decode(self, codes: Codes) -> list[Any] | np.ndarray:
        """What each of the codes says, whether an item has it or not.

        Of texts a list of at most 20 words that it speaks of more than others do, the most telling
        first, with the share that it gives them and the usual one (`told.ToldWord`); of
        images (n, height, width, channels) uint8, of vectors (n, width) as they were given.
        `decoder.decode` gives the features themselves. Raises CollectionError where the model has
        no decoder, `DamagedError`, ValueError for codes of another length, and TypeError for what
        are no codes.
        """
        from hashret.snapshot.decoding import decoded  # a query needs none of it

        require_instance("codes", codes, Codes)
        return decoded(self.snapshot, codes)

    def generate(
        self,
        n: int | None = None,
        *,
        near: Id | None = None,
        between: tuple[Id, Id] | None = None,
        seed: int = 0,
        sample: bool = False,
    ) -> Generated:
        """Codes that no item need have, and what they say, as `decode` gives it.

        n codes, 16 if not said, are drawn from what is likely: a mixture of Chow-Liu trees of the
        stored ones (`decoders.priors`). With `near`, the id of an item: its code, and others that
        are each one bit further away. With `between`, two ids: the codes on the way from one to the
        other, a bit each step, or n of them, evenly spaced. With `sample` what is shown is drawn
        around what a code says, as far from it as items are: words from their shares, numbers with
        noise. The same `seed` draws the same.

        Raises CollectionError where there is no decoder or no code, ValueError for n < 1, `near`
        beside `between` and for other than two ids, `UnknownItemError`, and `InputError` for an
        item without a code.
        """
        from hashret.snapshot.decoding import generated  # a query needs none of it

        return generated(self.snapshot, n, near=near, between=between, seed=seed, sample=sample)

    @property
    def description(self) -> dict[str, Any]:
        """How the model was made: its specs and the report of its training, as JSON values."""
        return self.snapshot.description

    @property
    def has_features(self) -> bool:
        """Whether the collection keeps features, or looks, of every item to rank a shortlist by."""
        return self.snapshot.has_features

    @property
    def keeps_looks(self) -> bool:
        """Whether what the collection keeps of every item is how it looks, not what codes see."""
        return self.snapshot.keeps_looks

    @property
    def copy_distance(self) -> float | None:
        """Up to which distance of their looks images are copies; None where none are kept."""
        return self.snapshot.copy_distance

    def features(self, positions: np.ndarray) -> Features:
        """What is kept to rank the items at these positions among `codes` by (`Snapshot`)."""
        return self.snapshot.features(positions)

    def find(self, ids: Iterable[Id]) -> np.ndarray:
        """Where among `codes` the items of these ids are, (n,) int64; -1 where there is none.

        A `str` is one id. Raises TypeError for what is no id (`hashret.items.id_of`).
        """
        return self.snapshot.find(ids)

    def ids(self, positions: Iterable[int] | None = None) -> list[str]:
        """The ids of the items at these positions among `codes`, or of all, row for row.

        Raises TypeError for what is no 1-D array of positions, and IndexError beyond them.
        """
        return self.snapshot.ids(positions)

    @overload
    def get(self, ids: Id) -> StoredItem: ...
    @overload
    def get(self, ids: _Ids) -> list[StoredItem]: ...
    def get(self, ids: Id | _Ids) -> StoredItem | list[StoredItem]:
        """The stored item of this id, or the list of those of several ids, in their order.

        An id is a string, an integer or a UUID (`hashret.items.id_of`), any other iterable is
        several. Raises `UnknownItemError`, and TypeError for what is no id.
        """
        snapshot = self.snapshot
        wanted, single = ids_of(ids)
        found = list(snapshot.stored(snapshot.require_rows(wanted)))
        return found[0] if single else found

    @property
    def keeps_thumbnails(self) -> bool:
        """Whether the collection keeps thumbnails of its images."""
        return self.snapshot.keeps_thumbnails

    def thumbnail(self, item_id: Id) -> bytes | None:
        """The thumbnail of an image: a WebP file of at most 160 x 160 pixels and some kilobytes.

        None where none is kept: the items are no images, or were indexed without. Raises
        `UnknownItemError`, and TypeError for what is no id.
        """
        return self.snapshot.thumbnail(id_of(item_id))

    def items(self, *, where: str | None = None) -> Iterator[StoredItem]:
        """The items of the snapshot that satisfy `where`, or all, ordered by id.

        In memory of 4 bytes an item.
        """
        return self.snapshot.in_order(where=where)

    def export(
        self,
        path: str | PathLike[str],
        *,
        order: ExportOrder = "rows",
        where: str | None = None,
    ) -> int:
        """Write the items that satisfy `where`, or all, into one file; how many they were.

        The suffix of `path` is the format, ".parquet", ".jsonl" or ".npz"
        (`hashret.outside.exports`); the order is that of the codes, or of the ids. The file appears
        whole, and takes the place of nothing but an earlier export. Raises `InputError` for another
        suffix, a place in a collection or where another file stands, ValueError for another order,
        `WhereError` and `DamagedError`.
        """
        from hashret.snapshot.exporting import export  # a query needs none of it

        return export(self.snapshot, Path(path), order, where)

    def column(self, field: str) -> list[Any]:
        """The metadata `field` of every item with a code, None where one has none.

        Row for row with `codes`.
        """
        return self.snapshot.column(field)

    def positions_where(self, where: str) -> np.ndarray:
        """Where among `codes` the items are that satisfy `where`, increasing, (n,) int64.

        Raises `WhereError` and `DamagedError`.
        """
        return self.snapshot.positions_where(where)

    @property
    def index(self) -> Index:
        """The index over `codes`, built on first use."""
        return self._opened.searcher.index()

    @property
    def keeps_texts(self) -> bool:
        """Whether the collection keeps the texts of its items, whose words can be asked for."""
        return self.snapshot.keeps_texts

    @property
    def n_unread_bytes(self) -> int:
        """The size of the files of texts whose words were not read yet.

        The first question by words reads them, in about a second for 3 MB, and keeps them in the
        user's cache folder. Raises CollectionError where the collection keeps no texts.
        """
        return self._opened.searcher.words.n_unread_bytes

    def read_words(self) -> None:
        """Read the words of the stored texts now, not when the first question by words comes.

        Raises CollectionError where the collection keeps no texts, and `DamagedError`.
        """
        self._opened.searcher.words.bm25  # noqa: B018 - read on first use, which this is

    def outliers(
        self,
        items: Iterable[Any] | None = None,
        *,
        p: float = 0.01,
        k: int | None = None,
        fdr: float | None = None,
        where: str | None = None,
        against: str | None = None,
    ) -> Outliers:
        """The items that are unlike the usual ones, the most unlike first, at most k.

        Asked about are new `items`, each an `Item` or a payload whose id is then its position, or
        else the stored items that satisfy `where`, or all. The usual ones are those that satisfy
        `against`, or all, of which at most 4,000 are drawn. An outlier is an item with a p-value
        (`hashret.outliers.usual`) of at most `p`; with `fdr`, as many are outliers as Benjamini
        and Hochberg allow for that share of false ones. Raises CollectionError where the
        collection keeps nothing to compare items by, or of fewer than 11 usual ones; ValueError;
        `WhereError`; and InputError for `where` beside `items`.
        """
        from hashret.outliers.find import Limit, outliers  # a query needs none of it

        limit = Limit(p, fdr, k)
        if items is not None and where is not None:
            raise InputError("where: expected none beside new items; leave it out")
        snapshot = self.snapshot
        snapshot.require_model()
        every = np.arange(len(snapshot.codes))
        return outliers(
            snapshot,
            None if items is None else map(_as_item, items, count()),
            limit,
            asked=every if where is None else snapshot.positions_where(where),
            usual=every if against is None else snapshot.positions_where(against),
        )

    # asking

    @overload
    def query(self, item_or_items: _One, k: int = ..., **how: Unpack[_OfQuery]) -> Hits: ...
    @overload
    def query(self, item_or_items: _Many, k: int = ..., **how: Unpack[_OfQuery]) -> list[Hits]: ...
    @overload
    def query(self, item_or_items: Any, k: int = ..., **how: Unpack[_OfQuery]) -> Any: ...
    def query(
        self,
        item_or_items: Any,
        k: int = 10,
        *,
        asymmetric: bool = False,
        probes: int | None = None,
        rerank: int | None = None,
        rerank_by: RerankBy | None = None,
        hybrid: bool | None = False,
        where: str | None = None,
        index: IndexKind | None = None,
        group: str | None = None,
    ) -> Any:
        """The k nearest items to one payload (`Hits`) or to each of many (a list of `Hits`).

        A payload is what the collection holds: a `str`; an image as `Item` says; a 1-D array. Of
        an image only a `str` or a `PathLike` is a path: bytes, file objects and images of Pillow
        are decoded, whatever they hold. An `Item` stands for its payload. A list, a
        tuple or another iterable of payloads is many, and so is an array with one more
        dimension, and so are `Codes`: each code is a query, as that of a stored item is for
        `similar`. Fewer than k hits only if the collection is smaller or the payload has no
        known feature: then `Hits.note` says so. Ties are ordered by (distance, -score, id).

        With `asymmetric` the score decides: the query keeps its real-valued confidence for each
        bit, and all stored codes are compared with it. The hits are the true first k by (-score,
        distance, id), whatever the index, in time linear in the number of items.

        With `probes` the score decides too, but only so many buckets are opened: that of the
        query's code, then those that differ in the bits the query is least sure of, in the order of
        the score (`indexes.table.multiprobe`). It stops once it has k hits; these are guaranteed to
        be the first k by score. If the probes run out before, the hits are what was found, and
        `Hits.approximation` says so. As many probes as items, or more, are `asymmetric`.

        With `hybrid` texts are found by words and codes, which is best for a question in words,
        also in words that the model's vocabulary lacks: the 100 nearest codes (or k, if that is
        more) and the 100 texts with the highest BM25 of the payload's words, by the mean of both on
        one scale (`rank.fused`). The hits are the best k of these by (-fused score,
        distance, -score, id); no radius is complete. With `group` these are 300 each, and four
        times as many while they have too few groups. The collection must keep its texts. Their
        words are read when they are first needed, and kept in the user's cache folder. None in
        place of True asks so for texts of at most 32 words, where texts are kept. Longer ones,
        which ask for more like them, are then asked by codes alone, or, in a collection of at most
        300 texts whose features are kept, by codes and features together (all items, `rerank_by`
        "both").

        With `rerank`, a number of at least k, so many of the nearest are put in order, and the best
        k of them given: the best by score of all codes as near as three times as many are. For a
        `similar` item, which is sure of its bits, these are the nearest. `rerank_by` says by what:
        "words", BM25 of the payload's words over the stored texts, for a question in words;
        "features", the similarity of features, for more like a text or an image; "both", the sum of
        this similarity and the score, each in its standard deviations over the shortlist. Not said,
        it is words for a text of at most 32 words where the collection keeps texts, else features;
        what decides must be kept (texts and features of texts, and looks of images, are unless told
        not to).

        Of images that keep features, without `rerank`: among the nearest 2,000 codes (or k, if that
        is more) those that look like copies of the asked one come first, most alike first. All
        others follow by distance, and at one distance by likeness and then the id; `rerank=0` gives
        the order of the codes alone.

        With `where`, a condition on the metadata (`hashret.where` has its grammar), only items
        that satisfy it are searched, exactly whatever the index: k hits if there are so many.

        With `index` this question takes that path in place of the collection's (see `open`); the
        index is built when it is first asked for, and kept. Hits of an approximate one may lack
        some of the nearest: their `Hits.approximation` says so, and its measured recall.

        With `group`, a metadata field, only the best of the items with one value of it is a hit,
        such as the best passage of each document (``group="document"``); an item without the field
        is a group by itself. The hits are those that stay if all items are ordered as without
        `group` and each but the first of its group is left out: k, if there are so many groups
        (with `hybrid`, if all candidates are ordered). A shortlist of `rerank`, or of images among
        which copies are looked for, is longer where k groups need it to be, and not longer.

        `Hits.plan` says how the hits were found.

        Codes have no features, words or doubts: with `rerank`, `hybrid`, `asymmetric` or `probes`
        they are refused, and copies of an image are not looked for.

        Raises ValueError for k < 1, probes < 1, rerank < k, `rerank_by` without `rerank`, `hybrid`
        together with `asymmetric`, `probes` or `rerank`, `index` together with `where`,
        `asymmetric` or `probes`, codes with one of these or of another length, and TypeError for
        numbers that aren't whole; `PayloadError` for a payload that can't be used,
        `UnknownKindError`, `WhereError`, and `CollectionError` for a `rerank` without stored
        features, or words without stored texts.
        """
        whole("k", k)
        require_flag("asymmetric", asymmetric)
        require_flag("hybrid", hybrid is None or hybrid)
        order: Order = "score" if asymmetric or probes is not None else "distance"
        if hybrid is None or hybrid:
            if order == "score":
                raise QuestionError(
                    "{hybrid}: expected none beside asymmetric or probes; leave one out"
                )
            order = "hybrid" if hybrid else "auto"
        question = Question(k, None, order, probes, rerank, where, index, group, rerank_by)
        return self._opened.hits(question, item_or_items)

    @overload
    def within(self, item_or_items: _One, radius: int = ..., **how: Unpack[_Among]) -> Hits: ...
    @overload
    def within(
        self, item_or_items: _Many, radius: int = ..., **how: Unpack[_Among]
    ) -> list[Hits]: ...
    @overload
    def within(self, item_or_items: Any, radius: int = ..., **how: Unpack[_Among]) -> Any: ...
    def within(
        self,
        item_or_items: Any,
        radius: int = 2,
        *,
        where: str | None = None,
        group: str | None = None,
    ) -> Any:
        """All items within `radius` bits (inclusive) of one payload or of each of many.

        By (distance, -score, id). Of images that keep features those that look like copies of the
        asked one come first, most alike first; the others by distance, likeness and id.
        `where` and `group` as for `query`. Raises ValueError for a radius < 0 or where the
        collection's index can't tell (an approximate one), TypeError for one that is not whole;
        `PayloadError` and `WhereError`.
        """
        whole("radius", radius)
        question = Question(None, radius, where=where, group=group)
        return self._opened.hits(question, item_or_items)

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
    def similar(self, ids: Id, k: int = ..., **how: Unpack[_OfSimilar]) -> Hits: ...
    @overload
    def similar(self, ids: _Ids, k: int = ..., **how: Unpack[_OfSimilar]) -> list[Hits]: ...
    def similar(
        self,
        ids: Id | _Ids,
        k: int = 10,
        *,
        include_self: bool = False,
        rerank: int | None = None,
        rerank_by: RerankBy | None = None,
        where: str | None = None,
        index: IndexKind | None = None,
        group: str | None = None,
    ) -> Any:
        """The k nearest other items to the stored item of this id, or to each of several.

        Works on the stored code: no payload is read, and a model only to compare features. The
        order and `rerank`, `where`, `index` and `group` are as for `query`: copies of a stored
        image come first. `rerank_by` is "features" if not said, since what is like a text need not
        have its words. The item asked about need not satisfy the condition. With `include_self` the
        item itself is a hit like any other. An id is a string, an integer or a UUID
        (`hashret.items.id_of`), any other iterable is several. Raises `UnknownItemError` for an id
        that is not in the collection, TypeError for what is no id, and what `query` raises for the
        options.
        """
        whole("k", k)
        require_flag("include_self", include_self)
        question = Question(
            k, rerank=rerank, rerank_by=rerank_by, where=where, index=index, group=group
        )
        return self._opened.hits_of_stored(question, ids, include_self=include_self)

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
        return self._opened.hits_of_stored(question, ids, include_self=include_self)

    def search_rows(
        self,
        item_or_items: Any,
        k: int | None = None,
        *,
        radius: int | None = None,
        where: str | None = None,
        index: IndexKind | None = None,
        asymmetric: bool = False,
        probes: int | None = None,
    ) -> FoundRows:
        """The nearest items to each of the payloads or `Codes`, as arrays: no item is read.

        For evaluation, and for whoever keeps the items elsewhere. The k nearest (10 if neither k
        nor a radius is given), or with `radius` all within so many bits (inclusive), the first k of
        them if k is given. Payloads, options and errors are those of `query`; one payload is the
        only query of its answer. Items that tie in distance and score are in order of their
        position, not of the id, and copies of an image do not come first. `ids` names positions.
        """
        require_flag("asymmetric", asymmetric)
        order: Order = "score" if asymmetric or probes is not None else "distance"
        if k is None and radius is None:
            k = 10
        question = Question(k, radius, order, probes, 0, where, index)
        return self._opened.rows(question, item_or_items)

    def groups(self, field: str) -> Groups:
        """The groups of the items with a code by a metadata field, as `query` takes them."""
        return self._opened.searcher.groups(field)

    def suited(self, question: Question, *, of_stored: bool = False) -> Question:
        """A question in the order that suits it best, if it asks for none itself.

        A text of at most 32 words is then answered by words and codes, unless the collection keeps
        no texts, or more than 100 MB of them, compressed, whose words were not read yet; a longer
        text, or with `of_stored` a stored one, among few texts by codes and features. This is how
        `hashret query`, `hashret similar` and the server ask.
        """
        return self._opened.suited(question, of_stored=of_stored)

    def snippets(
        self, hits: Iterable[Hit], question: Any = None, *, width: int = 160
    ) -> list[Snippet]:
        """A part of each hit's text where the words of a `question` stand, and where they do.

        `width` is in columns of a terminal; of what is no text it is the beginning of the text, and
        nothing of a hit without one. The words are found as `query` finds them. Raises
        `DamagedError`, and CollectionError for a hit of a commit whose texts are deleted.
        """
        from hashret.search.snippets import snippets  # only who shows hits needs it

        asked = question.payload if isinstance(question, Item) else question
        words = asked if isinstance(asked, str) and kind_of(self.kind).stores_texts else None
        return list(snippets(hits, words, self._opened.searcher.words, width))

    def spelling(self, question: str) -> Spelling:
        """Which words of a question no text has, and known words that are spelt like them.

        Of the words that questions by words have read; before them, and where no texts are kept,
        those of the vocabulary count. Raises CollectionError for items that are no texts.
        """
        return self._opened.searcher.words.spelling(question)

    def ask(self, question: Question, item_or_items: Any) -> Any:
        """The hits of one payload (`Hits`) or of each of many (a list of `Hits`).

        The form behind `query`, `within` and `bucket`: payloads, codes and errors are theirs.
        """
        return self._opened.hits(question, item_or_items)

    def ask_similar(self, question: Question, ids: Id | _Ids, *, include_self: bool = False) -> Any:
        """The hits of the stored item of this id (`Hits`), or of each of several (a list).

        The form behind `similar` and `similar_within`: errors are theirs, and ValueError for a
        question by score, since stored bits have no doubts.
        """
        return self._opened.hits_of_stored(question, ids, include_self=include_self)

    def info(self) -> dict[str, Any]:
        """What the collection is, as JSON values: items, bits, commit, model, index, bytes."""
        from hashret.snapshot.about import about_collection  # a query needs none of it

        opened, kind = self._opened, self._opened.searcher.kind
        index = kind if isinstance(kind, str) else "custom"
        return about_collection(opened.snapshot, index, self._address)


def verified(path: str | PathLike[str]) -> Findings:
    """Every byte of the last commit at `path`, compared with its checksums; what is damaged.

    Raises `NotACollectionError`, `FormatVersionError` or OSError where it can't be checked.
    """
    # imported here: only who verifies needs the room of repair
    from hashret.store.repair.verify import examine

    return examine(Layout.find(path))


def _as_item(given: Any, position: int) -> Item:
    return given if isinstance(given, Item) else Item(str(position), given)
