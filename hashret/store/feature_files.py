"""The input features of a segment's items, kept beside their codes for ranking a shortlist.

One safetensors file a segment, row for row with it: ``values`` (n, n_features) for dense
features; ``indptr`` (n + 1,) int64, ``indices`` and ``values`` for sparse ones. Numbers are kept
exactly, in the narrowest type that holds them all. A file is checked against its recorded size
and SHA-256 before it is parsed; rows are then read one by one (dense ones as they are mapped), so
a shortlist costs no more than its rows.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np

from hashret.errors import CollectionError, DamagedError
from hashret.sparse import Features, SparseRows, by_layout, stacked, take_rows
from hashret.store.files import FileRecord, require_sound, write_file
from hashret.store.layout import Layout
from hashret.store.refusals import plainly
from hashret.store.segments import Segment
from hashret.store.untrusted import open_plain

SUFFIX = ".safetensors"


def write_features(layout: Layout, name: str, features: Features) -> FileRecord:
    """Write the features of a segment's rows, in their order."""
    from safetensors.numpy import save

    tensors = by_layout(features, _sparse_tensors, lambda dense: {"values": _narrowed(dense)})
    return write_file(layout.segments / f"{name}{SUFFIX}", [save(tensors)])


def _sparse_tensors(rows: SparseRows) -> dict[str, np.ndarray]:
    narrow = np.uint16 if rows.n_features <= 1 << 16 else np.int32
    return {
        "indptr": rows.indptr.astype(np.int64),
        "indices": rows.indices.astype(narrow),
        "values": _narrowed(rows.values),
    }


def _narrowed(values: np.ndarray) -> np.ndarray:
    half = values.astype(np.float16)
    return np.ascontiguousarray(half if np.array_equal(half, values) else values)


class FeatureFile:
    """The features of one segment's rows."""

    def __init__(self, layout: Layout, record: FileRecord, n_rows: int, n_features: int):
        """Raises `DamagedError` unless the file is sound and holds n_rows of n_features."""
        from safetensors import SafetensorError, safe_open

        self._path = layout.segments / record.name
        self._n_features = n_features
        require_sound(self._path, record)
        try:
            with plainly(self._path, "read"), safe_open(self._path, framework="numpy") as tensors:
                names = set(tensors.keys())
                self._values: Any = tensors.get_slice("values")
                self._indptr: np.ndarray | None = None
                if "indptr" in names:
                    self._indices: Any = tensors.get_slice("indices")
                    self._indptr = tensors.get_tensor("indptr")
        except (SafetensorError, KeyError, ValueError, TypeError) as error:
            raise self._damaged(str(error)) from error
        self._check(n_rows)
        self._mapped: np.ndarray | None = None

    def take(self, rows: np.ndarray) -> Features:
        """The features of rows of this segment, counted from 0, in the given order."""
        if self._indptr is None:
            if self._mapped is None:
                self._mapped = self._map()
            return np.asarray(self._mapped[rows], np.float32)
        bounds = [(int(self._indptr[row]), int(self._indptr[row + 1])) for row in rows]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum([stop - start for start, stop in bounds], out=indptr[1:])
        # an empty slice is not one that the library cuts
        full = [(start, stop) for start, stop in bounds if stop > start]
        indices = [self._indices[start:stop] for start, stop in full]
        values = [self._values[start:stop] for start, stop in full]
        taken = SparseRows(
            indptr,
            np.concatenate([np.empty(0, np.int32), *indices]).astype(np.int32),
            np.concatenate([np.empty(0, np.float32), *values]).astype(np.float32),
            self._n_features,
        )
        found = taken.indices
        if len(found) and not 0 <= found.min() <= found.max() < self._n_features:
            raise self._damaged("a feature beyond the last")
        return taken

    def _map(self) -> np.ndarray:
        """The dense values where they lie in the file; its header is known to be sound."""
        with open_plain(self._path) as stream:
            length = int.from_bytes(stream.read(8), "little")
            values = json.loads(stream.read(length))["values"]
            begin = 8 + length + values["data_offsets"][0]
            dtype = {"F16": "<f2", "F32": "<f4"}[values["dtype"]]
            return np.memmap(stream, dtype, "r", begin, tuple(values["shape"]))

    def _check(self, n_rows: int) -> None:
        shape = tuple(self._values.get_shape())
        types = {self._values.get_dtype()}
        if self._indptr is None:
            fits = shape == (n_rows, self._n_features)
        else:
            indptr = self._indptr
            fits = (
                indptr.dtype == np.int64
                and indptr.shape == (n_rows + 1,)
                and indptr[0] == 0
                and bool((np.diff(indptr) >= 0).all())
                and shape == tuple(self._indices.get_shape()) == (int(indptr[-1]),)
                and self._indices.get_dtype() in ("U16", "I32")
            )
        if not fits or not types <= {"F16", "F32"}:
            raise self._damaged(f"other arrays, of shape {shape}")

    def _damaged(self, got: str) -> DamagedError:
        return DamagedError(
            f"{self._path}: expected the features of a segment, got {got}; "
            "index the collection again"
        )


class StoredFeatures:
    """The features of a snapshot's rows, wherever they are; files are opened when first needed."""

    def __init__(self, layout: Layout, segments: list[Segment], n_features: int):
        self._layout = layout
        self._segments = segments
        self._n_features = n_features
        self._open: dict[str, FeatureFile] = {}

    def take(self, rows: np.ndarray) -> Features:
        """The features of rows of the catalog, (len(rows), n_features) float32, in their order.

        Raises `DamagedError` for a file that is not as it was written, and CollectionError
        where a row's features are not kept.
        """
        first = np.array([segment.first_row for segment in self._segments])
        owner = np.searchsorted(first, rows, side="right") - 1
        parts: list[Features] = []
        order: list[np.ndarray] = []
        for at in np.unique(owner):
            (here,) = np.nonzero(owner == at)
            order.append(here)
            parts.append(self._file(self._segments[at]).take(rows[here] - first[at]))
        if not parts:
            return np.empty((0, self._n_features), np.float32)
        try:
            together = stacked(parts)
        except TypeError as error:
            raise DamagedError(
                f"{self._layout.segments}: {error}; index the collection again"
            ) from error
        if len(parts) == 1:
            return together
        return take_rows(together, np.argsort(np.concatenate(order)))

    def _file(self, segment: Segment) -> FeatureFile:
        if segment.features is None:
            raise CollectionError(
                f"{self._layout.root}: expected the features of every item, got items without; "
                "index it anew with --retrain --store-features"
            )
        if segment.name not in self._open:
            self._open[segment.name] = FeatureFile(
                self._layout, segment.features, segment.n_coded, self._n_features
            )
        return self._open[segment.name]
