"""What a segment keeps of its items beside their codes: an Arrow IPC file of columns.

The file holds one record batch, not compressed, so that it is mapped and one item is read without
the others. Other tools read it too (pyarrow, Polars, DuckDB). Its columns:

* ``id`` and ``preview`` (string), ``digest`` (the first 16 bytes of the content's SHA-256);
* ``metadata``, a struct of one column a key, of the one type (int64, double, bool, string) that
  holds all of its values exactly; else they are texts of JSON, which the field's metadata says;
* ``other_metadata``, a JSON object of the keys that have no column;
* ``sorted_hash`` and ``hash_row``, not row for row: the hashes of the ids in ascending order, and
  the row of each.

Nothing is read before its block agrees with its checksum (`hashret.store.checked`), and nothing
beyond the end of the file is read, whatever the file says.
"""

from __future__ import annotations

import json
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from hashlib import blake2b
from math import isqrt
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from hashret.errors import DamagedError
from hashret.store.checked import CheckedFile
from hashret.store.files import FileRecord, write_file
from hashret.store.layout import Layout
from hashret.store.segments.arrow_blocks import batch_blocks, batch_size
from hashret.store.segments.mapped_columns import Column, column_of
from hashret.store.untrusted import RESTORE
from hashret.unicode_text import is_storable

SUFFIX = ".arrow"
#: Bytes of a content's digest: 128 bits tell any number of versions of an item apart.
DIGEST = 16
#: Keys of the metadata that have a column, at most; the most frequent ones of the segment do.
MOST_KEYS = 256
#: What the field's metadata says where a column holds texts of JSON.
JSON = {b"hashret": b"json"}
#: The type of a column whose values are all of one type.
TYPES: dict[type, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    str: pa.string(),
}
_COLUMNS = {
    "id": pa.string(),
    "digest": pa.binary(DIGEST),
    "preview": pa.string(),
    "sorted_hash": pa.uint64(),
    "hash_row": pa.uint32(),
}
_METADATA, _OTHERS = "metadata", "other_metadata"
# Ids looked up at once from which on NumPy is faster than one bisection after the other.
_MANY = 16
# made once: `json.dumps` with arguments builds an encoder at every call
as_json = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An item as a segment keeps it: its id, what it is known by, and what is shown of it."""

    id: str
    digest: bytes
    metadata: Mapping[str, Any]
    preview: str
    text: str | None = None
    """The text itself, where the collection keeps texts (`hashret.store.segments.texts`)."""


def hashes(ids: Iterable[str]) -> np.ndarray:
    """The 64-bit hashes of ids, (n,) uint64: the first 8 bytes of their BLAKE2b."""
    digests = (blake2b(one.encode(), digest_size=8).digest() for one in ids)
    return np.frombuffer(b"".join(digests), "<u8")


# writing


def batch_of(items: Sequence[ItemRecord]) -> pa.RecordBatch:
    """The items, at least one, as columns; their ids are storable Unicode."""
    keys, others = _by_key([item.metadata for item in items])
    return _assembled(
        {
            "id": pa.array([item.id for item in items], pa.string()),
            "digest": pa.array([item.digest for item in items], pa.binary(DIGEST)),
            "preview": pa.array([item.preview for item in items], pa.string()),
        },
        keys,
        others,
    )


def as_file(batch: pa.RecordBatch) -> pa.Buffer:
    """The bytes of a file with these columns."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def write_records(layout: Layout, name: str, batch: pa.RecordBatch) -> FileRecord:
    """Write the columns of a segment's items."""
    return write_file(layout.segments / f"{name}{SUFFIX}", [memoryview(as_file(batch))])


def _assembled(
    columns: dict[str, pa.Array],
    keys: list[tuple[pa.Field, pa.Array]],
    others: pa.Array | None,
) -> pa.RecordBatch:
    if keys:
        fields, children = zip(*sorted(keys, key=lambda key: str(key[0].name)), strict=True)
        columns[_METADATA] = pa.StructArray.from_arrays(children, fields=list(fields))
    if others is not None:
        columns[_OTHERS] = others
    hashed = hashes(columns["id"].to_pylist())
    order = np.argsort(hashed, kind="stable")
    columns["sorted_hash"] = pa.array(hashed[order])
    columns["hash_row"] = pa.array(order.astype(np.uint32))
    return pa.RecordBatch.from_arrays(list(columns.values()), names=list(columns))


def _by_key(
    metadata: Sequence[Mapping[str, Any]],
) -> tuple[list[tuple[pa.Field, pa.Array]], pa.Array | None]:
    """The columns of the keys, and one of JSON objects for the keys that have none."""
    found: dict[str, tuple[list[int], list[Any]]] = defaultdict(lambda: ([], []))
    for row, one in enumerate(metadata):
        for key, value in one.items():
            rows, values = found[key]
            rows.append(row)
            values.append(value)
    chosen: dict[str, str] = {}
    for key in sorted(found, key=lambda key: (-len(found[key][0]), key)):
        # DuckDB takes names that differ in case for one
        if key and is_storable(key) and len(chosen) < MOST_KEYS:
            chosen.setdefault(key.casefold(), key)
    kept = set(chosen.values())
    n = len(metadata)
    keys = [_column(key, *values, n) for key, values in found.items() if key in kept]
    if len(keys) == len(found):
        return keys, None
    left = [{k: v for k, v in one.items() if k not in kept} for one in metadata]
    return keys, pa.array([as_json(one) if one else None for one in left], pa.string())


def _column(key: str, rows: list[int], values: list[Any], n: int) -> tuple[pa.Field, pa.Array]:
    """The column of a key that these rows have; missing values are null."""
    kinds = {type(value) for value in values}
    kind = TYPES.get(kinds.pop()) if len(kinds) == 1 else None
    if kind is not None:
        try:
            return pa.field(key, kind), pa.array(_spread(rows, values, n), kind)
        except (OverflowError, UnicodeEncodeError, pa.ArrowInvalid):
            pass  # an integer or a string that the type does not hold
    texts = [as_json(value) for value in values]
    field = pa.field(key, pa.string(), metadata=JSON)
    return field, pa.array(_spread(rows, texts, n), pa.string())


def _spread(rows: list[int], values: list[Any], n: int) -> list[Any]:
    if len(rows) == n:
        return values
    spread: list[Any] = [None] * n
    for row, value in zip(rows, values, strict=True):
        spread[row] = value
    return spread


def merged(parts: Sequence[tuple[Records, np.ndarray]]) -> pa.RecordBatch:
    """The given rows of several segments' records, one below the other, as one batch."""
    batches = [records.rows(rows) for records, rows in parts]
    columns = {
        name: pa.concat_arrays([batch.column(name) for batch in batches])
        for name in ("id", "digest", "preview")
    }
    fields: dict[str, set[tuple[str, bool]]] = defaultdict(set)
    for records, _ in parts:
        for field in records.fields:
            fields[field.name].add((str(field.type), field.metadata == JSON))
    plain = len(fields) <= MOST_KEYS and len({name.casefold() for name in fields}) == len(fields)
    plain = plain and all(len(kinds) == 1 for kinds in fields.values())
    if not plain or any(_OTHERS in batch.schema.names for batch in batches):
        metadata = [records.metadata(row) for records, rows in parts for row in rows.tolist()]
        return _assembled(columns, *_by_key(metadata))
    keys = []
    for name in fields:
        field = next(f for records, _ in parts for f in records.fields if f.name == name)
        pieces = [
            batch.column(_METADATA).field(name)
            if _METADATA in batch.schema.names
            and batch.schema.field(_METADATA).type.get_field_index(name) >= 0
            else pa.nulls(batch.num_rows, field.type)
            for batch in batches
        ]
        keys.append((field, pa.concat_arrays(pieces)))
    return _assembled(columns, keys, None)


# reading


class Records:
    """The records of one segment, mapped; any number of threads may read them at once."""

    def __init__(self, path: Path, file: CheckedFile, n_rows: int):
        """Raises `DamagedError` unless `file`, which stands at `path`, has `n_rows` items.

        Its columns are looked at block by block, when they are first used.
        """
        self.n_rows = n_rows
        # the hash of an id stands no further from its even place, but for one of 15,000 ids
        self._width = 4 * isqrt(n_rows) + 8
        self._path = path
        self._file = file
        try:
            self._read()
        except (pa.ArrowException, ValueError, TypeError, KeyError, OSError, MemoryError) as error:
            if isinstance(error, DamagedError):
                raise
            raise self._damaged(f"{type(error).__name__}: {error}") from error

    @classmethod
    def open(cls, path: Path, record: FileRecord, n_rows: int) -> Self:
        """The records in a file. Raises `DamagedError` unless it is as it was written."""
        return cls(path, CheckedFile(path, record), n_rows)

    def _damaged(self, got: str) -> DamagedError:
        return DamagedError(
            f"{self._path}: expected the records of {self.n_rows} items, got {got:.200}; {RESTORE}"
        )

    def _read(self) -> None:
        data, file = self._file.data, self._file
        blocks = batch_blocks(file)
        if len(blocks) != 1:
            raise self._damaged(f"{len(blocks)} batches")
        if batch_size(file, blocks[0]).is_compressed:
            raise self._damaged("compressed ones")
        file.require(0, blocks[0].body)  # with the footer, all that pyarrow looks at
        with pa.ipc.open_file(pa.BufferReader(pa.py_buffer(data))) as reader:
            batch = reader.get_batch(0)
        batch.validate()  # lengths and sizes: pyarrow ends the process where they do not agree
        types = {field.name: field.type for field in batch.schema}
        for name, kind in _COLUMNS.items():
            if types.pop(name, None) != kind:
                raise self._damaged(f"another column {name}")
            if batch.column(name).null_count:
                raise self._damaged(f"no {name} of some")
        struct, others = types.pop(_METADATA, pa.struct([])), types.pop(_OTHERS, pa.string())
        if types or not pa.types.is_struct(struct) or others != pa.string():
            raise self._damaged("other columns")
        if batch.num_rows != self.n_rows or not self.n_rows:
            raise self._damaged(f"{batch.num_rows} rows")
        self.batch = batch
        self.fields: list[pa.Field] = list(struct)
        if not all(field.type in TYPES.values() for field in self.fields):
            raise self._damaged("metadata of another type")
        self._ids = self._column(batch.column("id"))
        self._previews = self._column(batch.column("preview"))
        self._digests = self._column(batch.column("digest"))
        self._hashes = self._column(batch.column("sorted_hash"))
        self._hash_rows = self._column(batch.column("hash_row"))
        self._keys = [
            (field.name, field.metadata == JSON, self._column(self._child(i)))
            for i, field in enumerate(self.fields)
        ]
        self._others = (
            self._column(batch.column(_OTHERS)) if _OTHERS in batch.schema.names else None
        )

    def _child(self, i: int) -> pa.Array:
        return self.batch.column(_METADATA).field(i)

    def _column(self, array: pa.Array) -> Column:
        return column_of(self._file, array, self.n_rows)

    def id(self, row: int) -> str:
        """The id of a row."""
        return self._ids[row]

    def preview(self, row: int) -> str:
        """The preview of a row."""
        return self._previews[row]

    def digest(self, row: int) -> bytes:
        """The content's digest of a row."""
        found: bytes = self._digests[row]
        return found

    def record(self, row: int) -> ItemRecord:
        """The item of a row, but for its text."""
        return ItemRecord(self.id(row), self.digest(row), self.metadata(row), self.preview(row))

    def metadata(self, row: int) -> dict[str, Any]:
        """The metadata of a row, by key in alphabetical order."""
        found: dict[str, Any] = {}
        for name, is_json, column in self._keys:
            value = column.get(row)
            if value is not None:
                found[name] = self._parsed(value) if is_json else value
        if self._others is not None and (rest := self._others.get(row)) is not None:
            others = self._parsed(rest)
            if not isinstance(others, dict):
                raise self._damaged(f"no JSON object ({rest:.40})")
            return dict(sorted((found | others).items()))
        return found

    def _parsed(self, text: str) -> Any:
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self._damaged(f"no JSON ({error})") from error

    def find(self, ids: Sequence[tuple[str, int]]) -> dict[str, int]:
        """The row of each id that is here; given are pairs of ids and their `hashes`."""
        if len(ids) < _MANY:
            found = {one: self._row_of(one, hashed) for one, hashed in ids}
            return {one: row for one, row in found.items() if row >= 0}
        wanted = np.array([hashed for _, hashed in ids], np.uint64)
        sorted_hashes = self._hashes.array()
        at = np.searchsorted(sorted_hashes, wanted)
        there = at < self.n_rows
        there[there] = sorted_hashes[at[there]] == wanted[there]
        rows = {}
        for i in np.flatnonzero(there).tolist():
            one, hashed = ids[i]
            if (row := self._among_equal(one, hashed, int(at[i]))) >= 0:
                rows[one] = row
        return rows

    def sorted_hashes(self) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of all ids in ascending order, (n,) uint64, and their rows, (n,) uint32.

        Raises `DamagedError` where they are not in order, or a row is not one of the segment.
        """
        hashed, rows = self._hashes.array(), self._hash_rows.array()
        if (hashed[1:] < hashed[:-1]).any() or (rows >= self.n_rows).any():
            raise self._damaged("hashes in no order")
        return hashed, rows

    def _row_of(self, item_id: str, hashed: int) -> int:
        """The row of one id. Hashes are spread evenly, so few blocks are looked at."""
        n, width = self.n_rows, self._width
        guess = (hashed * n) >> 64
        low, high = max(0, guess - width), min(n, guess + width)
        values = self._hashes.values(low, high)
        while (low and values[low] >= hashed) or (high < n and values[high - 1] < hashed):
            width *= 8
            low, high = max(0, guess - width), min(n, guess + width)
            values = self._hashes.values(low, high)
        return self._among_equal(item_id, hashed, bisect_left(values, hashed, low, high))

    def _among_equal(self, item_id: str, hashed: int, at: int) -> int:
        """The row of the id among those with its hash, the first of which stands at `at`."""
        while at < self.n_rows and self._hashes[at] == hashed:
            row = int(self._hash_rows[at])
            if row < self.n_rows and self._ids[row] == item_id:
                return row
            at += 1
        return -1

    def ids_of_hashes(self) -> Iterator[tuple[int, str]]:
        """The (row, id) of every id that its hash vouches for, where no checksum does any more."""
        hashed, rows = self._hashes.array(), self._hash_rows.array()
        for value, row in zip(hashed.tolist(), rows.tolist(), strict=True):
            with suppress(DamagedError):
                if row < self.n_rows and int(hashes([self._ids[row]])[0]) == value:
                    yield row, self._ids[row]

    def by_id(self) -> Iterator[tuple[str, int]]:
        """All (id, row) pairs, ordered by id."""
        from pyarrow.compute import sort_indices  # it takes a while to load

        order = sort_indices(self.column("id")).to_numpy().astype(np.uint32)
        for row in map(int, order):
            yield self._ids[row], row

    def rows(self, rows: np.ndarray) -> pa.RecordBatch:
        """The given rows of all columns but those of the hashes."""
        self._file.require_all()
        names = [name for name in self.batch.schema.names if "hash" not in name]
        chosen = self.batch.select(names)
        for column in chosen.columns:
            self._require_valid(column)
        return chosen.take(pa.array(rows))

    def require_all(self) -> None:
        """Raise `DamagedError` unless every item can be read, and found by its id."""
        self._file.require_all()
        for column in self.batch.columns:
            self._require_valid(column)
        for row in range(self.n_rows):
            self.metadata(row)
        hashed, order = self._hashes.array(), self._hash_rows.array()
        is_order = (np.sort(order) == np.arange(self.n_rows)).all()
        ids = hashes(self.ids.to_pylist())
        if not is_order or (hashed != ids[order]).any() or (hashed[:-1] > hashed[1:]).any():
            raise self._damaged("ids that cannot be found")

    def column(self, name: str) -> pa.Array:
        """A whole column by name, checked."""
        return self._whole(self.batch.column(name))

    def _whole(self, array: pa.Array) -> pa.Array:
        for buffer in array.buffers():
            if buffer is not None and buffer.size:
                begin = buffer.address - self._file.data.ctypes.data
                self._file.require(begin, begin + buffer.size)
        self._require_valid(array)
        return array

    def _require_valid(self, array: pa.Array) -> None:
        try:
            array.validate(full=True)
        except pa.ArrowException as error:
            raise self._damaged(str(error)) from error

    # as `hashret.where.columns` asks

    @property
    def ids(self) -> pa.Array:
        """The ids of all rows."""
        return self.column("id")

    def field(self, key: str) -> pa.Array | None:
        """The column of a metadata key; None where it has none."""
        for i, field in enumerate(self.fields):
            if field.name == key:
                return self._whole(self._child(i))
        return None

    def is_json(self, key: str) -> bool:
        """Whether the column of this key holds texts of JSON."""
        return any(field.name == key and field.metadata == JSON for field in self.fields)

    @property
    def other(self) -> pa.Array | None:
        """The JSON objects of the keys without a column; None where each key has one."""
        return None if self._others is None else self.column(_OTHERS)
