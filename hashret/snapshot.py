"""What a collection holds at one commit: rows, codes, model, features, metadata.

It answers from the commit that was the last one when it was opened or refreshed, whatever a writer
does meanwhile. Positions count the items of the snapshot, row for row with its codes; rows are the
catalog's numbers for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any, Self

import numpy as np

from hashret import specs
from hashret.arguments import require_instance, whole
from hashret.coder import Coder, keeps_looks, n_kept
from hashret.codes import Codes
from hashret.errors import CollectionError, DamagedError, UnknownItemError
from hashret.items import Id, id_of, ids_of
from hashret.kinds import kind_of
from hashret.row_numbers import RowNumbers
from hashret.sparse import Features
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import CommitRecord, ItemRecord, damaged
from hashret.store.feature_files import StoredFeatures
from hashret.store.layout import Layout
from hashret.store.leases import Lease
from hashret.store.model_files import ModelRecord, read_description, read_model
from hashret.store.segments import SegmentRecord, open_segment
from hashret.where.conditions import Condition
from hashret.where.grammar import parse


@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as the collection keeps it: everything but the payload.

    `code` is hexadecimal, byte by byte; `preview` the beginning of a text.
    """

    id: str
    metadata: dict[str, Any]
    code: str
    preview: str


_CROWD, _CROWDS = 256, 1000  # positions that are a crowd, and crowds remembered


class Snapshot:
    """The items of one commit, row for row with their codes."""

    def __init__(self, layout: Layout, catalog: Catalog):
        self._layout = layout
        self._catalog = catalog
        self._opened: dict[SegmentRecord, Codes] = {}
        self._looked_at = -1  # rows up to this one are known to be as they were written
        self._index_looked_at = False
        self._lease = Lease(layout)
        try:
            self._load()
        except BaseException:
            self._lease.close()
            raise

    def _load(self) -> None:
        """Move to the last commit; segments that are open already are not read again."""
        moved = self._lease.moved(self._catalog.last_commit)
        with self._catalog.folder.reading(), moved as last:
            self._read(last)

    def _read(self, last: CommitRecord) -> None:
        segments = self._catalog.segments(last.commit)
        live = self._catalog.live_rows(last.commit)
        self._catalog.require_rows(live, last)
        model = self._catalog.model(last.model) if last.model is not None else None
        n_bits = model.n_bits if model is not None else 8
        codes, opened = self._codes_of(segments, live, n_bits)
        # nothing has failed, so the snapshot moves as a whole
        self._last, self._segments, self._opened = last, segments, opened
        self._model, self._rows, self._codes = model, RowNumbers(live), codes
        self._index_looked_at = False
        self._stored_features: StoredFeatures | None = None
        self._crowds: dict[tuple[int, bytes], np.ndarray] = {}
        self._coder: Coder | None = None
        self._description: dict[str, Any] | None = None

    def _codes_of(
        self, segments: Sequence[SegmentRecord], live: np.ndarray, n_bits: int
    ) -> tuple[Codes, dict[SegmentRecord, Codes]]:
        """The codes of the live rows, and of each segment for the next time it is wanted."""
        parts = ((s, self._opened.get(s) or open_segment(self._layout, s)) for s in segments)
        n = sum(segment.n_rows for segment in segments)
        if len(segments) < 2 or len(live) != n:
            opened = dict(parts)
            codes = Codes.concatenate(list(opened.values())) if opened else Codes.empty(n_bits)
            if len(live) != n:
                rows = [np.arange(s.first_row, s.first_row + s.n_rows) for s in segments]
                codes = codes[np.searchsorted(np.concatenate(rows), live)]
            return codes, opened
        # one copy, and no file mapped beside it: the pages of both would be this process's memory
        packed, opened, at = np.empty((n, n_bits // 8), np.uint8), {}, 0
        for segment, part in parts:
            if part.n_bits != n_bits:
                raise DamagedError(
                    f"{self._layout.root}: expected codes of {n_bits} bits, got {part.n_bits} in "
                    f"{segment.file.name}; `hashret verify` names the damage"
                )
            packed[at : at + len(part)] = part.packed
            opened[segment] = Codes(packed[at : at + len(part)])
            at += len(part)
        return Codes(packed), opened

    def refresh(self) -> bool:
        """Move to the last commit; True if it is another than before.

        Only what changed is read; of another folder, where one was put in the place of the one
        that was opened, everything. An error leaves the snapshot as it was.
        """
        self._catalog.require_open()
        change = self._catalog.folder.change()
        if change == "deleted":
            self._catalog.folder.require_unchanged()
        if not change:
            last = self._catalog.last_commit()
            if last == self._last:
                return False
            if last.commit > self._last.commit:
                self._load()
                return True
        self._reopen()  # another folder, or another catalog written over the one that was opened
        return True

    def _reopen(self) -> None:
        """Move to the collection that stands at the path now."""
        layout = Layout.find(self._layout.root)
        catalog = Catalog.open(layout, address=self._catalog.address)
        try:
            if catalog.kind != self.kind:
                raise CollectionError(
                    f"{layout.root}: expected items of kind {self.kind}, as when it was opened, "
                    f"got a collection of {catalog.kind} items in its place; open it anew"
                )
            now = Snapshot(layout, catalog)
        except BaseException:
            catalog.close()
            raise
        Snapshot.close(self)
        vars(self).update(vars(now))  # all that a snapshot is: nothing of the former stays

    def close(self) -> None:
        """Release the catalog; the collection can't be asked afterwards."""
        self._lease.close()
        self._catalog.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

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
    def rows(self) -> RowNumbers:
        """The catalog's number of each item, row for row with `codes`."""
        return self._rows

    @property
    def has_features(self) -> bool:
        """Whether the collection keeps features, or looks, of every item to rank a shortlist by."""
        return all(segment.features for segment in self._segments)

    def features(self, positions: np.ndarray) -> Features:
        """What is kept to rank the items at these positions among `codes` by, row for row.

        (n, n_features) float32 input features, sparse for text; of images their looks
        (`keeps_looks`). Raises CollectionError where they are not kept
        and `DamagedError`, TypeError for what is no 1-D array of positions.
        """
        positions = _positions_given(positions)
        if self._stored_features is None:
            width = n_kept(self._spec("features"), self._spec("encoder"))
            self._stored_features = StoredFeatures(self._layout, self._segments, width)
        with self._catalog.folder.reading():
            return self._stored_features.take(self._rows[positions])

    @property
    def copy_distance(self) -> float | None:
        """Up to which distance of their looks images are copies; None where none are kept."""
        return float(self._spec("features").copy_distance) if self.keeps_looks else None

    @property
    def keeps_looks(self) -> bool:
        """Whether what the collection keeps of every item is how it looks, not what codes see."""
        has_looks = kind_of(self.kind).has_looks
        return has_looks and self.has_features and keeps_looks(self._spec("features"))

    def _n_features(self) -> int:
        """The width of the features that the model takes, by its description."""
        return int(self._spec("encoder").n_features)

    def _spec(self, part: str) -> Any:
        """The spec of the model's "features" or "encoder", by its description."""
        try:
            return specs.from_json(self.description[part])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedError(
                f"{self._layout.root}: expected the description of a model, got "
                f"{type(error).__name__}: {error}; train it again"
            ) from error

    def find(self, ids: Iterable[Id]) -> np.ndarray:
        """Where among `codes` the items of these ids are, (n,) int64; -1 for an unknown id.

        A `str` is one id. Raises TypeError for what is no id (`hashret.items.id_of`).
        """
        asked, _ = ids_of(ids)
        rows = self._rows_of(asked)
        known = [item_id in rows for item_id in asked]
        positions = np.searchsorted(self._rows, [rows.get(item_id, 0) for item_id in asked])
        return np.where(known, positions, -1).astype(np.int64)

    def column(self, field: str) -> list[Any]:
        """The metadata `field` of every item, None where it has none; row for row with `codes`."""
        require_instance("field", field, str)
        values: list[Any] = [None] * len(self)
        for page in self._pages():
            positions = np.searchsorted(self._rows, [record.row for record in page])
            for record, position in zip(page, positions, strict=True):
                values[position] = record.metadata.get(field)
        return values

    @property
    def coder(self) -> Coder:
        """The model, read on first use."""
        if self._coder is None:
            coder = Coder.from_description(*self._read_model())
            if coder.featurizer.spec.kind != self.kind:
                raise DamagedError(
                    f"{self._layout.root}: expected a model of {self.kind} items, got one of "
                    f"{coder.featurizer.spec.kind} items; index it again"
                )
            self._coder = coder
        return self._coder

    def _read_model(self) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
        with self._catalog.folder.reading():
            return read_model(self._layout, self._require_model())

    def _require_model(self) -> ModelRecord:
        self._catalog.require_open()
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
            with self._catalog.folder.reading():
                self._description = read_description(self._layout, self._require_model())
        return self._description

    def __len__(self) -> int:
        return len(self._rows)

    def __contains__(self, item_id: object) -> bool:
        return bool(self._rows_of([id_of(item_id)]))

    def get(self, item_id: Id) -> StoredItem:
        """The stored item of this id, as `hashret.items.id_of` takes it.

        Raises `UnknownItemError`, and TypeError for what is no id.
        """
        position = int(self._positions([id_of(item_id)])[0])
        record = self.records([position])[position]
        return self._stored(record, position)

    def items(self, *, where: str | None = None) -> Iterator[StoredItem]:
        """The items of the snapshot that satisfy `where`, or all, ordered by id.

        In memory that does not grow with them.
        """
        for page in self._pages(None if where is None else parse(where)):
            positions = self._positions_of_rows([record.row for record in page])
            for record, position in zip(page, positions, strict=True):
                yield self._stored(record, int(position))

    # rows of the catalog and positions among the codes

    def _rows_of(self, ids: Iterable[str]) -> dict[str, int]:
        """The row of each id that the snapshot has."""
        wanted = set(ids)
        pairs = self._catalog.versions(wanted)
        rows = np.array([row for _, row in pairs], np.int64)
        live = self._rows.find(rows) >= 0
        found = {item_id: row for (item_id, row), here in zip(pairs, live, strict=True) if here}
        records = self._catalog.items(found.values())
        agree = all(records[row].id == item_id for item_id, row in found.items())
        if not agree or len(found) != live.sum():
            raise damaged(self._layout, "expected ids that lead to their items", "others")
        if len(found) < len(wanted):
            self._look_at_rows(index=True)
        return found

    def positions_where(self, where: str) -> np.ndarray:
        """Where among `codes` the items are that satisfy `where`, increasing, (n,) int64.

        Raises `WhereError` and `DamagedError`.
        """
        condition = parse(where)
        self._look_at_rows()
        # a damaged page may have a row twice
        positions = self._rows.find(np.unique(self._catalog.rows_where(condition)))
        return positions[positions >= 0]

    def _pages(self, condition: Condition | None = None) -> Iterator[list[ItemRecord]]:
        """All items by id, or those that satisfy a condition; that none is missing is checked."""
        if condition is not None:
            self._look_at_rows(index=True)
        last, count = "", 0
        for page in self._catalog.item_pages(self.commit, where=condition):
            for record in page:
                if record.id <= last and count:
                    raise damaged(self._layout, "expected ids in their order", "others")
                last, count = record.id, count + 1
            yield page
        if condition is None and count != len(self):
            raise damaged(self._layout, f"expected {len(self)} items", f"{count} listed")

    def _look_at_rows(self, *, index: bool = False) -> None:
        """Before anything is concluded from a row that was not found; once, but for new rows."""
        from hashret.store.repair.audit import require_sound_index, require_sound_items

        require_sound_items(self._catalog, np.asarray(self._rows), self._looked_at)
        self._looked_at = max(self._looked_at, int(self._rows[-1]) if len(self) else -1)
        if index and not self._index_looked_at:
            require_sound_index(self._catalog)
            self._index_looked_at = True

    def first_by_id(self, positions: np.ndarray, count: int) -> np.ndarray:
        """The `count` of these positions whose ids come first.

        Where many items share a code, the same positions tie in query after query, and reading
        their ids takes most of the time: so the last such choices are remembered.
        """
        positions, count = _positions_given(positions), whole("count", count)
        if len(positions) < _CROWD:
            return self._chosen_by_id(positions, count)
        crowd = count, blake2b(positions.tobytes(), digest_size=16).digest()
        if crowd not in self._crowds:
            while len(self._crowds) >= _CROWDS:
                del self._crowds[next(iter(self._crowds))]
            self._crowds[crowd] = self._chosen_by_id(positions, count)
        return self._crowds[crowd]

    def _chosen_by_id(self, positions: np.ndarray, count: int) -> np.ndarray:
        rows = self._catalog.first_by_id(self._rows[positions].tolist(), count)
        return np.searchsorted(self._rows, rows)

    def records(self, positions: Iterable[int]) -> dict[int, ItemRecord]:
        """The catalog's rows of the items at these positions.

        Raises `DamagedError`, and TypeError for what is no 1-D array of positions.
        """
        given = _positions_given(positions)
        wanted = dict(zip(self._rows[given].tolist(), given.tolist(), strict=True))
        records = self._catalog.items(wanted)
        return {position: records[row] for row, position in wanted.items()}

    def _positions(self, ids: Sequence[str]) -> np.ndarray:
        rows = self._rows_of(ids)
        for item_id in ids:
            if item_id not in rows:
                raise UnknownItemError(
                    f"id: expected one of the {len(self)} items of {self._layout.root}, "
                    f"got {item_id!r}; `hashret list` shows the ids"
                )
        return self._positions_of_rows([rows[item_id] for item_id in ids])

    def _positions_of_rows(self, rows: list[int] | np.ndarray) -> np.ndarray:
        if not len(rows):
            return np.empty(0, np.int64)
        positions = np.searchsorted(self._rows, rows)
        if (
            len(self._rows) == 0
            or (self._rows[positions.clip(max=len(self._rows) - 1)] != rows).any()
        ):
            raise DamagedError(
                f"{self._layout.root}: expected a code for every item, got items without; "
                "restore the collection from a copy or index it again"
            )
        return positions

    def _stored(self, record: ItemRecord, position: int) -> StoredItem:
        return StoredItem(record.id, record.metadata, self.codes.hex(position), record.preview)


def _positions_given(positions: Any) -> np.ndarray:
    """The positions that a caller gave, (n,) int64."""
    require_instance("positions", positions, Iterable)
    given = np.asarray(positions if isinstance(positions, np.ndarray) else list(positions))
    if given.ndim != 1 or (len(given) and given.dtype.kind not in "iu"):
        raise TypeError(
            f"positions: expected whole numbers, one dimension of them, got {given.dtype} of shape "
            f"{given.shape}; pass an array of positions, as `find` gives them"
        )
    return given.astype(np.int64)
