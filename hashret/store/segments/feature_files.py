"""The input features of a segment's items, kept beside their codes for ranking a shortlist.

One safetensors file a segment, row for row with it: ``values`` (n, n_features) for dense
features; ``indptr`` (n + 1,) int64, ``indices`` and ``values`` for sparse ones. Numbers are kept
exactly, in the narrowest type that holds them all. A file is mapped, and of it only the blocks
that are read are checked against their digests (`store.disk.checked`), so a shortlist costs no more
than its rows.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np

from hashret.errors import CollectionError, DamagedError
from hashret.sparse import Features, SparseRows, by_layout, positions_of
from hashret.store.disk.checked import CheckedFile
from hashret.store.disk.damage import INDEX_AGAIN, damaged
from hashret.store.disk.files import FileRecord, write_file
from hashret.store.layout import Layout
from hashret.store.segments.mapped_tensors import mapped_tensors
from hashret.store.segments.segment import Segment


def write_features(layout: Layout, name: str, features: Features) -> FileRecord:
    """Write the features of a segment's rows, in their order."""
    from safetensors.numpy import save

    tensors = by_layout(features, _sparse_tensors, lambda dense: {"values": _narrowed(dense)})
    return write_file(layout.part(name, "features"), [save(tensors)])


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


def _widened(values: np.ndarray) -> np.ndarray:
    """Numbers of float16 or float32 as float32, exactly.

    NumPy converts float16 number by number. Whole arrays take a sixth of the time: the bits of
    float16, moved to where float32 has them, are the number times 2^-112 (IEEE 754, 3.4).
    """
    if values.dtype == np.float32:
        return values
    if (values.view(np.uint16) & 0x7C00 == 0x7C00).any():  # infinity or NaN
        return values.astype(np.float32)
    bits = values.view(np.int16).astype(np.int32)
    bits <<= 13
    bits &= np.int32(-0x70002000)  # the sign, and 15 bits after the three that it was copied to
    wide = bits.view(np.float32)
    wide *= np.float32(2.0**112)
    return wide


class FeatureFile:
    """The features of one segment's rows, mapped; only what is read is checked."""

    def __init__(self, layout: Layout, record: FileRecord, n_rows: int, n_features: int):
        """Raises `DamagedError` unless the file's header is sound and of n_rows of n_features."""
        self._path = layout.segments / record.name
        self.n_features = n_features
        try:
            self._tensors = mapped_tensors(CheckedFile(self._path, record))
        except ValueError as error:
            raise self.damaged(str(error)) from error
        if self._tensors.keys() not in ({"values"}, {"indptr", "indices", "values"}):
            raise self.damaged("arrays of other names")
        self._check(n_rows)

    @property
    def is_sparse(self) -> bool:
        """Whether the rows are sparse."""
        return "indptr" in self._tensors

    @property
    def n_stored(self) -> int:
        """The number of stored features of all rows."""
        return len(self._tensors["values"].elements)

    def take(self, rows: np.ndarray) -> Features:
        """The features of rows of this segment, counted from 0, in the given order."""
        return _sparse_rows([(self, rows)]) if self.is_sparse else _dense_rows([(self, rows)])

    def dense(self, rows: np.ndarray) -> np.ndarray:
        """Dense rows as float32."""
        values, width = self._tensors["values"], self.n_features
        values.require(rows * width, (rows + 1) * width)
        return _widened(values.elements.reshape(values.shape).take(rows, axis=0))

    def bounds(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where sparse rows begin and end among the stored features, which may be anything."""
        indptr = self._tensors["indptr"]
        indptr.require(rows, rows + 2)
        return indptr.elements.take(rows), indptr.elements.take(rows + 1)

    def stored(
        self, starts: np.ndarray, stops: np.ndarray, positions: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """The indices and values at `positions`, which lie within `starts` to `stops`."""
        indices, values = self._tensors["indices"], self._tensors["values"]
        indices.require(starts, stops)
        values.require(starts, stops)
        return indices.elements.take(positions), _widened(values.elements.take(positions))

    def _check(self, n_rows: int) -> None:
        values = self._tensors["values"]
        fits = values.elements.dtype in (np.float16, np.float32)
        if self.is_sparse:
            indptr, indices = self._tensors["indptr"], self._tensors["indices"]
            fits &= indptr.elements.dtype == np.int64 and indptr.shape == (n_rows + 1,)
            fits &= indices.elements.dtype in (np.uint16, np.int32)
            fits &= values.shape == indices.shape == (self.n_stored,)
        else:
            fits &= values.shape == (n_rows, self.n_features)
        if not fits:
            raise self.damaged(f"other arrays, of shape {values.shape}")

    def damaged(self, got: str) -> DamagedError:
        """The error for features that are not those of this segment."""
        return damaged(self._path, "the features of a segment", got, INDEX_AGAIN)


#: Rows of segments, counted from the first of each.
_Pieces = list[tuple[FeatureFile, np.ndarray]]


def _dense_rows(pieces: _Pieces, order: np.ndarray | None = None) -> np.ndarray:
    """The rows of all pieces: the i-th of them is row ``order[i]``, or i, of the result."""
    if len(pieces) == 1 and order is None:
        ((file, rows),) = pieces
        values = file.dense(rows)
    else:
        n = sum(len(rows) for _, rows in pieces)
        values = np.empty((n, pieces[0][0].n_features), np.float32)
        end = 0
        for file, rows in pieces:
            begin, end = end, end + len(rows)
            values[slice(begin, end) if order is None else order[begin:end]] = file.dense(rows)
    # NaN is both the least and the greatest number
    if values.size and not np.isfinite([values.min(), values.max()]).all():
        raise _found_in(pieces, _dense_rows, "NaN or infinity")
    return values


def _sparse_rows(pieces: _Pieces, order: np.ndarray | None = None) -> SparseRows:
    """The rows of all pieces: the i-th of them is row ``order[i]``, or i, of the result.

    What can be done for all of them at once is: a collection may have many small segments.
    """
    n_features = pieces[0][0].n_features
    found = [file.bounds(rows) for file, rows in pieces]
    starts = np.concatenate([begin for begin, _ in found])
    stops = np.concatenate([end for _, end in found])
    n_stored = np.repeat([file.n_stored for file, _ in pieces], [len(rows) for _, rows in pieces])
    # no row is longer than all features, so that few rows of a stranger's file take little memory
    fit = (starts >= 0) & (starts <= stops) & (stops <= n_stored) & (stops - starts <= n_features)
    if not fit.all():
        raise _found_in(pieces, _sparse_rows, "rows with bounds that none can have")
    indptr, positions = positions_of(starts, stops - starts)
    indices, values = np.empty(len(positions), np.int32), np.empty(len(positions), np.float32)
    row = 0
    for (file, rows), bounds in zip(pieces, found, strict=True):
        here = slice(indptr[row], indptr[row + len(rows)])
        indices[here], values[here] = file.stored(*bounds, positions[here])
        row += len(rows)
    if len(indices) and not 0 <= indices.min() <= indices.max() < n_features:
        raise _found_in(pieces, _sparse_rows, "a feature beyond the last")
    if not np.isfinite(values).all():
        raise _found_in(pieces, _sparse_rows, "NaN or infinity")
    together = SparseRows(indptr, indices, values, n_features)
    return together if order is None else together.take(np.argsort(order))


def _found_in(pieces: _Pieces, take: Callable[[_Pieces], Any], got: str) -> DamagedError:
    """The error for what was found in one of the pieces, which names its file."""
    for piece in pieces if len(pieces) > 1 else []:
        try:
            take([piece])
        except DamagedError as error:
            return error
    return pieces[0][0].damaged(got)


class StoredFeatures:
    """The features of a snapshot's rows, wherever they are; files are opened when first needed."""

    def __init__(self, layout: Layout, segments: list[Segment], n_features: int):
        self._layout = layout
        self._segments = segments
        self._n_features = n_features
        self._first = np.array([segment.first_row for segment in segments], np.int64)
        self._open: dict[str, FeatureFile] = {}

    def take(self, rows: np.ndarray) -> Features:
        """The features of rows of the catalog, (len(rows), n_features) float32, in their order.

        Raises `DamagedError` for a file that is not as it was written, and CollectionError
        where a row's features are not kept.
        """
        if len(rows) == 0:
            return np.empty((0, self._n_features), np.float32)
        owner = np.searchsorted(self._first, rows, side="right") - 1
        order = None
        if (owner[1:] < owner[:-1]).any():
            order = np.argsort(owner, kind="stable")
            owner, rows = owner[order], rows[order]
        begins = [0, *(np.flatnonzero(np.diff(owner)) + 1).tolist(), len(rows)]
        pieces = [
            (self._file(self._segments[owner[begin]]), rows[begin:end] - self._first[owner[begin]])
            for begin, end in pairwise(begins)
        ]
        kinds = {file.is_sparse for file, _ in pieces}
        if len(kinds) > 1:
            expected = "features that are all sparse or all dense"
            raise damaged(self._layout.segments, expected, "both", INDEX_AGAIN)
        return _sparse_rows(pieces, order) if kinds == {True} else _dense_rows(pieces, order)

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
