"""What a collection holds at one commit: codes, items, model, features.

A `Snapshot` never changes, whatever a writer does meanwhile, so any number of threads may read it.
Positions count the items that have a code, row for row with `codes`; rows are the numbers that the
store gives to all items.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Iterator, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, Self

import numpy as np

from hashret import specs
from hashret._backports import chunks
from hashret.arguments import require_instance
from hashret.coder import Coder, keeps_looks, n_kept
from hashret.codes import Codes
from hashret.errors import CollectionError, DamagedError, InputError, UnknownItemError
from hashret.items import Id, StoredItem, ids_of
from hashret.kinds import kind_of
from hashret.row_numbers import RowNumbers
from hashret.sparse import Features
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.leases import Lease
from hashret.store.catalog.opening import open_catalog
from hashret.store.catalog.records import CommitRecord
from hashret.store.layout import Layout
from hashret.store.model_files import ModelRecord, read_description, read_model
from hashret.store.opened_folder import OpenedFolder
from hashret.store.segments.feature_files import StoredFeatures
from hashret.store.segments.segment import Segment, live_codes, packed_parts
from hashret.store.segments.stored_items import StoredItems

if TYPE_CHECKING:
    from hashret.decoders.decoder import Decoder
    from hashret.decoders.denoiser import Denoiser

_PAGE = 1024  # items whose codes are looked for at a time


class Snapshot:
    """The items of one commit, and their codes. Open one by `Snapshot.open`."""

    def __init__(
        self,
        layout: Layout,
        catalog: Catalog,
        folder: OpenedFolder,
        lease: Lease,
        commit: CommitRecord,
        former: Snapshot | None,
    ):
        self.layout = layout
        self.folder = folder
        self.committed = commit
        self.kind = catalog.kind
        self.folders = catalog.folders or ()
        self.items = catalog.items_of(commit)
        self.segments = self.items.segments
        self.model = None if commit.model is None else catalog.model(commit.model)
        if former is not None:
            self.items.keep_opened(former.items)
        n_bits = 8 if self.model is None else self.model.n_bits
        known = {} if former is None else packed_parts(former.segments, former.packed)
        self._codes = live_codes(layout, self.segments, n_bits, known)
        self.rows = _coded_rows(self.segments)
        self.close = weakref.finalize(self.items, _release, lease, folder)
        """Let go of the commit: a compaction may delete what only this snapshot needed.

        Done when nobody has its items any more: neither the snapshot, nor a hit that may be asked
        for its text.
        """

    @classmethod
    def open(
        cls,
        layout: Layout,
        *,
        address: str | None = None,
        commit: int | None = None,
        former: Snapshot | None = None,
    ) -> Self:
        """The last commit of a collection, or the one of a number.

        `address` is that of the catalog's server. What `former`, an earlier snapshot of the same
        folder, has read is not read again. Raises what `open_catalog` raises, and CollectionError
        for a commit that is not there (any more).
        """
        folder, lease = OpenedFolder(layout), Lease(layout)
        try:
            with open_catalog(layout, address=address) as catalog, folder.reading():
                find = catalog.last_commit if commit is None else lambda: catalog.commit(commit)
                return cls(layout, catalog, folder, lease, lease.hold(find), former)
        except BaseException:
            _release(lease, folder)
            raise

    def __len__(self) -> int:
        """The number of items, also of those without a code."""
        return self.committed.n_items

    # codes

    @property
    def commit(self) -> int:
        """The number of the snapshot's commit; 0 before the first."""
        return self.committed.commit

    @property
    def codes(self) -> Codes:
        """All codes of the snapshot. Raises CollectionError if it has no model yet."""
        self.require_model()
        return self._codes

    @property
    def packed(self) -> np.ndarray:
        """The packed codes, (n, n_bits // 8) uint8; none in a snapshot without a model."""
        return self._codes.packed

    @property
    def n_bits(self) -> int:
        """The length of a code in bits."""
        return self.codes.n_bits

    def code_of(self, item_id: str) -> Codes:
        """The one code of an item. Raises `UnknownItemError`, and `InputError` for one without."""
        self.require_model()
        (row,) = self.require_rows([item_id])
        position = self.rows.find(np.array([row]))
        if position[0] < 0:
            raise InputError(
                f"id: expected an item with a code, got {item_id!r}, in which the model knows "
                "nothing; choose another"
            )
        return self._codes[position]

    # the model

    @cached_property
    def coder(self) -> Coder:
        """The model, read on first use."""
        with self.folder.reading():
            coder = Coder.from_description(*read_model(self.layout, self.require_model()))
        if coder.featurizer.spec.kind != self.kind:
            raise DamagedError(
                f"{self.layout.root}: expected a model of {self.kind} items, got one of "
                f"{coder.featurizer.spec.kind} items; index it again"
            )
        return coder

    @cached_property
    def decoder(self) -> Decoder:
        """The model's decoder, read on first use, and by nothing that searches.

        Raises CollectionError for a model without one, and `DamagedError`.
        """
        from hashret.snapshot.decoder_file import stored_decoder  # a search needs none of it

        record, spec = self._beside_encoder("decoder")
        with self.folder.reading():
            return stored_decoder(self.layout, record, spec, self.spec("encoder"))

    @cached_property
    def denoiser(self) -> Denoiser:
        """The model's denoiser, read on first use, and by nothing that searches.

        Raises CollectionError for a model without one, and `DamagedError`.
        """
        from hashret.snapshot.decoder_file import stored_denoiser  # a search needs none of it

        record, spec = self._beside_encoder("denoiser")
        with self.folder.reading():
            return stored_denoiser(self.layout, record, spec, self.kind)

    def _beside_encoder(self, part: str) -> tuple[ModelRecord, Any]:
        """The record of the model, and the spec of its decoder or denoiser; None for none."""
        record = self.require_model()
        is_there = record.has_decoder and part in self.description
        return record, self.spec(part) if is_there else None

    def require_model(self) -> ModelRecord:
        """The record of the model. Raises CollectionError where nothing was learned yet."""
        if self.model is None:
            how = (
                "its items wait for one, which `hashret retrain` learns from them"
                if len(self)
                else "its first `hashret index` has not ended; run that again, and it goes on"
            )
            raise CollectionError(
                f"{self.layout.root}: expected a collection with a model, got one without: {how}"
            )
        return self.model

    @cached_property
    def description(self) -> dict[str, Any]:
        """How the model was made: its specs and the report of its training, as JSON values."""
        with self.folder.reading():
            return read_description(self.layout, self.require_model())

    def spec(self, part: str) -> Any:
        """The spec of a part of the model, as "features" or "encoder", by its description."""
        try:
            return specs.from_json(self.description[part])
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise DamagedError(
                f"{self.layout.root}: expected the description of a model, got "
                f"{type(error).__name__}: {error}; train it again"
            ) from error

    # features

    @property
    def has_features(self) -> bool:
        """Whether the collection keeps features, or looks, of every item to rank a shortlist by."""
        return all(segment.features for segment in self.segments if segment.n_coded)

    def features(self, positions: np.ndarray) -> Features:
        """What is kept to rank the items at these positions among `codes` by, row for row.

        (n, n_features) float32 input features, sparse for text; of images their looks
        (`keeps_looks`). Raises CollectionError where they are not kept, `DamagedError`, and
        TypeError for what is no 1-D array of positions.
        """
        positions = _positions_given(positions)
        with self.folder.reading():
            return self._features.take(self.rows[positions])

    @cached_property
    def _features(self) -> StoredFeatures:
        width = n_kept(self.spec("features"), self.spec("encoder"))
        return StoredFeatures(self.layout, self.segments, width)

    @cached_property
    def copy_distance(self) -> float | None:
        """Up to which distance of their looks images are copies; None where none are kept."""
        return float(self.spec("features").copy_distance) if self.keeps_looks else None

    @cached_property
    def keeps_looks(self) -> bool:
        """Whether what the collection keeps of every item is how it looks, not what codes see."""
        has_looks = kind_of(self.kind).has_looks
        return has_looks and self.has_features and keeps_looks(self.spec("features"))

    # items

    def find(self, ids: Iterable[Id]) -> np.ndarray:
        """Where among `codes` the items of these ids are, (n,) int64; -1 for one without a code.

        So also for an unknown id. A `str` is one id. Raises TypeError for what is no id
        (`hashret.items.id_of`).
        """
        wanted, _ = ids_of(ids)
        rows = self.rows_of(wanted)
        return self.rows.find(np.array([rows.get(one, -1) for one in wanted], np.int64))

    def ids(self, positions: Iterable[int] | None = None) -> list[str]:
        """The ids of the items at these positions among `codes`, or of all, row for row.

        Raises TypeError for what is no 1-D array of positions, and IndexError beyond them.
        """
        given = np.arange(len(self.rows)) if positions is None else _positions_given(positions)
        with self.folder.reading():
            return self.items.ids(self.rows[given])

    def rows_of(self, ids: Iterable[str]) -> dict[str, int]:
        """The row of each id that the snapshot has."""
        with self.folder.reading():
            return self.items.find(ids)

    def require_rows(self, ids: Sequence[str]) -> list[int]:
        """The row of each id. Raises `UnknownItemError`."""
        rows = self.rows_of(ids)
        for item_id in ids:
            if item_id not in rows:
                raise UnknownItemError(
                    f"id: expected one of the {len(self)} items of {self.layout.root}, "
                    f"got {item_id!r}; `hashret list` shows the ids"
                )
        return [rows[item_id] for item_id in ids]

    def shown(self, rows: Iterable[int]) -> list[tuple[str, dict[str, Any], str]]:
        """The id, the metadata and the preview of each row. Raises `DamagedError`."""
        with self.folder.reading():
            return [self.items.shown(row) for row in rows]

    def stored(self, rows: Iterable[int]) -> Iterator[StoredItem]:
        """The stored items of rows, in their order; read page by page."""
        items = self.items
        for page in chunks(rows, _PAGE):
            for row, position in zip(page, self.rows.find(np.array(page)).tolist(), strict=True):
                with self.folder.reading():
                    item_id, metadata, preview = items.shown(row)
                code = self._codes.hex(position) if position >= 0 else ""
                yield StoredItem(item_id, metadata, code, preview, self.text(row))

    def text(self, row: int) -> Any:
        """The text of a row as a field that is read late (`items.late`) takes it."""
        if not self.keeps_texts:
            return None
        return partial(_text, self.items, self.folder, self.close, row)

    def text_of(self, row: int) -> str | None:
        """The text of a row; None where there is none. Raises `DamagedError`."""
        with self.folder.reading():
            return self.items.text(row)

    @cached_property
    def keeps_texts(self) -> bool:
        """Whether the collection keeps the text of an item."""
        return any(segment.texts for segment in self.segments)

    def thumbnail(self, item_id: str) -> bytes | None:
        """The thumbnail of an image, a WebP file; None where none is kept.

        Raises `UnknownItemError` and `DamagedError`.
        """
        (row,) = self.require_rows([item_id])
        with self.folder.reading():
            return self.items.thumbnail(row)

    def original(self, item_id: str) -> bytes:
        """The file that an item was indexed from, where it still is what it was.

        It is looked for in the folders that were indexed, and nowhere else. Raises
        `UnknownItemError`, and CollectionError where it is not to be had.
        """
        from hashret.snapshot.originals import indexed_file  # a search needs none of it

        (row,) = self.require_rows([item_id])
        with self.folder.reading():
            return indexed_file(self.layout, self.items, row, self.folders, self.kind)

    @cached_property
    def keeps_thumbnails(self) -> bool:
        """Whether the collection keeps the thumbnail of an item."""
        return any(segment.thumbnails for segment in self.segments)

    def in_order(self, *, where: str | None = None) -> Iterator[StoredItem]:
        """The items that satisfy `where`, or all, ordered by id.

        In memory of 4 bytes an item.
        """
        return self.stored(self.rows_by_id(where))

    def rows_by_id(self, where: str | None) -> Iterator[int]:
        """The rows of the items that satisfy `where`, or of all, ordered by id."""
        with self.folder.reading():
            if where is None:
                yield from (row for _, row in self.items.by_id())
                return
            yield from sorted(self.rows_where(where).tolist(), key=self.items.id)

    def rows_in_order(self, where: str | None) -> Iterator[int]:
        """The rows of the items that satisfy `where`, or of all, increasing."""
        with self.folder.reading():
            if where is None:
                yield from self.items.rows()
            else:
                yield from self.rows_where(where).tolist()

    def rows_where(self, where: str) -> np.ndarray:
        """The rows of the items that satisfy `where`, increasing, (n,) int64.

        Raises `WhereError` and `DamagedError`.
        """
        from hashret.where.grammar import parse  # only a question with a condition needs it

        with self.folder.reading():
            return self.items.rows_where(parse(where))

    def positions_where(self, where: str) -> np.ndarray:
        """Where among `codes` the items are that satisfy `where`, increasing, (n,) int64.

        Raises `WhereError` and `DamagedError`.
        """
        with self.folder.reading():
            positions = self.rows.find(self.rows_where(where))
        return positions[positions >= 0]

    def distinct(self, field: str) -> Iterator[tuple[np.ndarray, np.ndarray, list[Any]]]:
        """The metadata `field` of every item, segment by segment.

        The items' rows (n,) int64, increasing, the place (n,) int64 of each one's value, -1 for
        none, in the list of the different ones, and this list.
        """
        require_instance("field", field, str)
        with self.folder.reading():
            for segment in self.segments:
                places, values = self.items.records(segment).distinct(field)
                live = segment.live(segment.n_rows)
                yield segment.first_row + live, places[live], values

    def column(self, field: str) -> list[Any]:
        """The metadata `field` of every item with a code, None where it has none.

        Row for row with `codes`.
        """
        require_instance("field", field, str)
        with self.folder.reading():
            return [
                value
                for segment in self.segments
                for value in self.items.values(segment, field, segment.live(segment.n_coded))
            ]


def _text(
    items: StoredItems, folder: OpenedFolder, held: weakref.finalize[..., StoredItems], row: int
) -> str | None:
    """The text of a row, while its commit is `held` or its file still there."""
    try:
        with folder.reading():
            return items.text(row)
    except DamagedError as error:
        if held.alive:
            raise
        raise CollectionError(
            f"{folder.root}: expected the text of a hit, got none any more: the collection was "
            "closed, and then its file deleted; ask for the text before"
        ) from error


def _release(lease: Lease, folder: OpenedFolder) -> None:
    lease.close()
    folder.close()


def _coded_rows(segments: Sequence[Segment]) -> RowNumbers:
    """The rows of the items with a code, of all segments."""
    firsts = [segment.first_row for segment in segments]
    rows = RowNumbers.of_ranges(firsts, [segment.n_coded for segment in segments])
    removed = [s.first_row + s.removed_codes.astype(np.int64) for s in segments if len(s.removed)]
    return rows.without(np.concatenate(removed)) if removed else rows


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
