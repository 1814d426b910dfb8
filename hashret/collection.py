"""Open a collection, ask it, close it.

`Collection` is a snapshot: it answers from the commit that was the last one when it was opened
or refreshed, whatever a writer does meanwhile. It is the one file that knows every room.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from os import PathLike
from types import TracebackType
from typing import Any, Self

import numpy as np

from hashret import rank
from hashret.coder import Coder
from hashret.codes import Codes, Neighbors
from hashret.errors import CollectionError, PayloadError, UnknownItemError
from hashret.indexes import INDEXES
from hashret.indexes.base import Index
from hashret.items import Hit, Hits, Item, Payload
from hashret.registry import resolve
from hashret.store.catalog import Catalog, ItemRecord
from hashret.store.layout import Layout
from hashret.store.model_files import ModelRecord, read_description, read_model
from hashret.store.segments import open_segment

_UNKNOWN = {
    "text": "the text has no word that the collection's vocabulary knows",
    "image": "the image has no feature that the collection knows",
    "vector": "the vector has no feature that the collection knows",
}


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as the collection keeps it: everything but the payload.

    `code` is hexadecimal, byte by byte; `preview` the beginning of a text.
    """

    id: str
    metadata: dict[str, Any]
    code: str
    preview: str


class Collection:
    """One folder, one snapshot.

    Answers are exact for the codes: `query` gives the true k nearest, `within` and `bucket` all
    items within the radius (inclusive, in bits) and no other, unless the index was chosen by
    name and says that it is approximate. Use one `Collection` from one thread at a time; any
    number of them, in any number of processes, can read the same folder, also while an
    `Indexer` writes to it.
    """

    def __init__(self, layout: Layout, catalog: Catalog, index: str | Callable[[Codes], Index]):
        self._layout = layout
        self._catalog = catalog
        self._index_kind = index
        self._load()

    @classmethod
    def open(
        cls, path: str | PathLike[str], *, index: str | Callable[[Codes], Index] = "auto"
    ) -> Self:
        """Open the last commit of the collection in the folder `path`.

        `index` names the path that questions take ("auto" chooses among the exact ones; see
        `hashret.indexes.INDEXES`), or builds one from the codes. Raises `NotACollectionError`,
        `FormatVersionError`, `DamagedError` or `UnknownKindError`.
        """
        layout = Layout.find(path)
        catalog = Catalog.open(layout)
        try:
            return cls(layout, catalog, index)
        except BaseException:
            catalog.close()
            raise

    def _load(self) -> None:
        self._last = self._catalog.last_commit()
        segments = self._catalog.segments(self._last.commit)
        parts = [open_segment(self._layout, segment) for segment in segments]
        rows = [np.arange(s.first_row, s.first_row + s.n_rows, dtype=np.int64) for s in segments]
        self._rows = np.concatenate(rows) if rows else np.empty(0, np.int64)
        removed = self._catalog.removed_rows(self._last.commit)
        live = None
        if len(removed):
            live = np.flatnonzero(np.isin(self._rows, removed, invert=True))
            self._rows = self._rows[live]
        name = self._last.model
        self._model = self._catalog.model(name) if name is not None else None
        n_bits = self._model.n_bits if self._model is not None else 8
        codes = Codes.concatenate(parts) if parts else Codes.empty(n_bits)
        self._codes = codes if live is None else codes[live]
        self._index: Index | None = None
        self._coder: Coder | None = None
        self._description: dict[str, Any] | None = None

    def refresh(self) -> bool:
        """Move to the last commit; True if it is another than before."""
        changed = self._catalog.last_commit().commit != self._last.commit
        if changed:
            self._load()
        return changed

    def close(self) -> None:
        """Release the catalog; the collection can't be asked afterwards."""
        self._catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # what it is

    @property
    def kind(self) -> str:
        """What the items are: "text", "image" or "vector"."""
        return self._catalog.kind

    @property
    def commit(self) -> int:
        """The number of the snapshot's commit; 0 before the first."""
        return self._last.commit

    @property
    def codes(self) -> Codes:
        """All codes of the snapshot. Raises CollectionError if it has no model yet."""
        self._require_model()
        return self._codes

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self.codes.n_bits

    @property
    def index(self) -> Index:
        """The index over `codes`, built on first use."""
        if self._index is None:
            build = self._index_kind
            if isinstance(build, str):
                build = resolve(INDEXES, build, "index").build
            self._index = build(self.codes)
        return self._index

    @property
    def coder(self) -> Coder:
        """The model, read on first use."""
        if self._coder is None:
            self._coder = Coder.from_description(*self._read_model())
        return self._coder

    def _read_model(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        return read_model(self._layout, self._require_model())

    def _require_model(self) -> ModelRecord:
        if self._model is None:
            raise CollectionError(
                f"{self._layout.root}: expected a collection with a model, got one without; "
                "fit it first, as `hashret index` does"
            )
        return self._model

    @property
    def description(self) -> dict[str, Any]:
        """How the model was made: its specs and the report of its training, as JSON values."""
        if self._description is None:
            self._description = read_description(self._layout, self._require_model())
        return self._description

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, item_id: object) -> bool:
        return isinstance(item_id, str) and bool(self._catalog.rows([item_id], self.commit))

    # asking

    def query(self, item_or_items: Any, k: int = 10) -> Any:
        """The k nearest items to one payload (`Hits`) or to each of many (a list of `Hits`).

        A payload is what the collection holds: a `str`; a path, or an array of (height, width)
        or (height, width, channels); a 1-D array. An `Item` stands for its payload. A list, a
        tuple or another iterable of payloads is many, and so is an array with one more
        dimension. Fewer than k hits only if the collection is smaller or the payload has no
        known feature: then `Hits.note` says so. Ties are ordered by (distance, -score, id).
        Raises ValueError for k < 1 and `PayloadError` for a payload that can't be used.
        """
        if k < 1:
            raise ValueError(f"k: expected at least 1, got {k}; ask for one hit or more")
        return self._ask(item_or_items, lambda codes: self.index.search(codes, k, ties=True), k)

    def within(self, item_or_items: Any, radius: int = 2) -> Any:
        """All items within `radius` bits (inclusive) of one payload or of each of many."""
        if radius < 0:
            raise ValueError(
                f"radius: expected 0 bits or more, got {radius}; it includes its bound"
            )
        return self._ask(item_or_items, lambda codes: self.index.within(codes, radius), None)

    def bucket(self, item_or_items: Any) -> Any:
        """All items with exactly the payload's code, as `within` radius 0."""
        return self.within(item_or_items, 0)

    def similar(self, ids: str | Sequence[str], k: int = 10, *, include_self: bool = False) -> Any:
        """The k nearest other items to the stored item of this id, or to each of several.

        Works on the stored code: no payload and no model is read. With `include_self` the item
        itself is a hit like any other. Raises `UnknownItemError`.
        """
        if k < 1:
            raise ValueError(f"k: expected at least 1, got {k}; ask for one hit or more")
        # one more than asked, since the item itself is among its nearest
        return self._around(
            ids, lambda codes: self.index.search(codes, k + 1, ties=True), k, include_self
        )

    def similar_within(
        self, ids: str | Sequence[str], radius: int = 2, *, include_self: bool = False
    ) -> Any:
        """All other items within `radius` bits (inclusive) of the stored item, as `similar`."""
        if radius < 0:
            raise ValueError(
                f"radius: expected 0 bits or more, got {radius}; it includes its bound"
            )
        return self._around(ids, lambda codes: self.index.within(codes, radius), None, include_self)

    def _around(
        self,
        ids: str | Sequence[str],
        find: Callable[[Codes], Neighbors],
        k: int | None,
        include_self: bool,
    ) -> Any:
        positions = self._positions([ids] if isinstance(ids, str) else list(ids))
        codes = self.codes[positions]
        found = find(codes)
        certain = codes.bits.astype(np.float32)  # a stored code has no doubts
        answers = [
            self._hits(found, query, certain[query], k, None if include_self else int(position))
            for query, position in enumerate(positions)
        ]
        return answers[0] if isinstance(ids, str) else answers

    def get(self, item_id: str) -> StoredItem:
        """The stored item of this id. Raises `UnknownItemError`."""
        position = int(self._positions([item_id])[0])
        record = self._records([position])[position]
        return self._stored(record, position)

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
            "bytes": self._layout.sizes(),
        }
        if self._model is not None:
            facts["model"] = {
                "name": self._model.name,
                "features": self.description["features"]["kind"],
                "encoder": self.description["encoder"]["kind"],
                "n_features": self.description["encoder"]["n_features"],
                "preset": self.description["training"]["options"]["preset"],
                "trained_on": self.description["training"]["n_items"],
            }
        return facts

    def items(self) -> Iterator[StoredItem]:
        """All items of the snapshot, ordered by id, in memory that does not grow with them."""
        for page in self._catalog.item_pages(self.commit):
            positions = np.searchsorted(self._rows, [record.row for record in page])
            for record, position in zip(page, positions, strict=True):
                yield self._stored(record, int(position))

    def _ask(self, asked: Any, find: Callable[[Codes], Neighbors], k: int | None) -> Any:
        payloads, single = _payloads(asked, self.kind)
        answers: list[Hits] = []
        if payloads:
            encoding = self.coder.encode(payloads)
            found = find(encoding.codes[encoding.known])
            query = 0
            for i, known in enumerate(encoding.known):
                if known:
                    answers.append(self._hits(found, query, encoding.probabilities[i], k))
                    query += 1
                else:
                    answers.append(Hits((), note=_UNKNOWN[self.kind]))
        return answers[0] if single else answers

    def _hits(
        self,
        found: Neighbors,
        query: int,
        probabilities: np.ndarray,
        k: int | None,
        besides: int | None = None,
    ) -> Hits:
        """The ranked hits of one query, cut at k, without the item at position `besides`."""
        positions, distances = found[query]
        if besides is not None:
            others = positions != besides
            positions, distances = positions[others], distances[others]
        scores = rank.expected_agreement(probabilities, self.codes[positions])
        if k is not None and len(positions) > k:
            certain, tied = rank.contenders(distances, scores, k)
            chosen = self._first_by_id(positions[tied], k - len(certain))
            keep = np.concatenate([certain, tied[np.isin(positions[tied], chosen)]])
            positions, distances, scores = positions[keep], distances[keep], scores[keep]
        records = self._records(positions.tolist())
        ids = [records[position].id for position in positions.tolist()]
        ordered = rank.order(distances, scores, ids)
        hits = []
        for i in ordered:
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
                )
            )
        return Hits(tuple(hits), complete_radius=int(found.complete_radius[query]))

    # rows of the catalog and positions among the codes

    def _first_by_id(self, positions: np.ndarray, count: int) -> np.ndarray:
        rows = self._catalog.first_by_id(self._rows[positions].tolist(), count)
        return np.searchsorted(self._rows, rows)

    def _records(self, positions: Iterable[int]) -> dict[int, ItemRecord]:
        wanted = {int(self._rows[position]): position for position in positions}
        records = self._catalog.items(wanted)
        return {position: records[row] for row, position in wanted.items()}

    def _positions(self, ids: Sequence[str]) -> np.ndarray:
        rows = self._catalog.rows(ids, self.commit)
        for item_id in ids:
            if item_id not in rows:
                raise UnknownItemError(
                    f"id: expected one of the {len(self)} items of {self._layout.root}, "
                    f"got {item_id!r}; `hashret list` shows the ids"
                )
        return np.searchsorted(self._rows, [rows[item_id] for item_id in ids])

    def _stored(self, record: ItemRecord, position: int) -> StoredItem:
        return StoredItem(record.id, record.metadata, self.codes.hex(position), record.preview)


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
