"""Read what a segment keeps of its items: a mapped file of columns (`segments.record_schema`).

Nothing is read before its block agrees with its checksum (`store.disk.checked`), and nothing beyond
the end of the file is read, whatever the file says.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import AbstractContextManager
from functools import cached_property
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa

from hashret.errors import DamagedError
from hashret.store.disk.checked import CheckedFile
from hashret.store.disk.damage import damaged
from hashret.store.disk.files import FileRecord
from hashret.store.segments.arrow_messages import (
    FIRST,
    is_compressed,
    message_at,
    reading,
    require_buffer,
)
from hashret.store.segments.id_index import IdIndex
from hashret.store.segments.mapped_columns import Column, column_of
from hashret.store.segments.record_schema import (
    COLUMNS,
    JSON,
    METADATA,
    OTHERS,
    PAYLOAD,
    TYPES,
    ItemRecord,
    hashes,
)

# The types of the columns `OTHERS` and `PAYLOAD`, where there are such.
_OF_OTHERS = pa.string(), pa.binary()


class Records:
    """The records of one segment, mapped; any number of threads may read them at once."""

    def __init__(self, path: Path, file: CheckedFile, n_rows: int):
        """Raises `DamagedError` unless `file`, which stands at `path`, has `n_rows` items.

        Its columns are looked at block by block, when they are first used. What they are, the
        messages before them say.
        """
        self.n_rows = n_rows
        self._path = path
        self._file = file
        with self._reading():
            self._read(self._first_batch())

    @classmethod
    def open(cls, path: Path, record: FileRecord, n_rows: int, *, streamed: bool = False) -> Self:
        """The records in a file. Raises `DamagedError` unless it is as it was written.

        With `streamed`, its end, at which other tools begin to read, may be damaged.
        """
        file = CheckedFile(path, record)
        if not streamed:
            file.require(max(0, record.size - 1), record.size)
        return cls(path, file, n_rows)

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self._path, f"the records of {self.n_rows} items")

    def _damaged(self, got: str) -> DamagedError:
        return damaged(self._path, f"the records of {self.n_rows} items", f"{got:.200}")

    def _first_batch(self) -> pa.RecordBatch:
        """The one batch of the file."""
        _, end = message_at(self._file, FIRST)
        batch, end = message_at(self._file, end)
        if is_compressed(batch):
            raise self._damaged("compressed ones")
        # not `pa.ipc.read_record_batch`, which looks less closely: a stranger's file crashed it
        with pa.ipc.open_stream(pa.py_buffer(self._file.data[FIRST:end])) as reader:
            for one in reader:
                return one
        raise self._damaged("no batch")  # what comes first is a dictionary

    def _read(self, batch: pa.RecordBatch) -> None:
        batch.validate()  # lengths and sizes: pyarrow ends the process where they do not agree
        types = {field.name: field.type for field in batch.schema}
        for name, kind in COLUMNS.items():
            if types.pop(name, None) != kind:
                raise self._damaged(f"another column {name}")
            if batch.column(name).null_count:
                raise self._damaged(f"no {name} of some")
        struct, others = types.pop(METADATA, pa.struct([])), types.pop(OTHERS, pa.string())
        payload = types.pop(PAYLOAD, pa.binary())
        if types or not pa.types.is_struct(struct) or (others, payload) != _OF_OTHERS:
            raise self._damaged("other columns")
        if batch.num_rows != self.n_rows or not self.n_rows:
            raise self._damaged(f"{batch.num_rows} rows")
        self.batch = batch
        self.fields: list[pa.Field] = list(struct)
        # names that are no Unicode are met here, not when something is first read
        self._names = [(field.name, field.metadata == JSON) for field in self.fields]
        if not all(field.type in TYPES.values() for field in self.fields):
            raise self._damaged("metadata of another type")
        self._ids = self._column("id")
        by_hash = self._column("sorted_hash"), self._column("hash_row")
        self.index = IdIndex(*by_hash, self._ids, self.n_rows)
        """Finds the rows of ids."""

    def _child(self, i: int) -> pa.Array:
        return self.batch.column(METADATA).field(i)

    def _column(self, name: str) -> Column:
        return self._reader(self.batch.column(name))

    def _reader(self, array: pa.Array) -> Column:
        with self._reading():
            return column_of(self._file, array, self.n_rows)

    # made when they are first wanted: looking up an id in many segments wants none of them

    @cached_property
    def _previews(self) -> Column:
        return self._column("preview")

    @cached_property
    def _digests(self) -> Column:
        return self._column("digest")

    @cached_property
    def _payloads(self) -> Column | None:
        return self._column(PAYLOAD) if PAYLOAD in self.batch.schema.names else None

    @cached_property
    def _others(self) -> Column | None:
        return self._column(OTHERS) if OTHERS in self.batch.schema.names else None

    @cached_property
    def _keys(self) -> list[tuple[str, bool, Column]]:
        """Of each metadata key with a column: its name, whether it holds JSON, the column."""
        return [
            (name, is_json, self._reader(self._child(i)))
            for i, (name, is_json) in enumerate(self._names)
        ]

    def id(self, row: int) -> str:
        """The id of a row."""
        found: str = self._ids[row]
        return found

    def ids_of(self, rows: np.ndarray) -> list[str]:
        """The ids of rows, (n,) int64, in their order."""
        return self._ids.many(rows)

    def preview(self, row: int) -> str:
        """The preview of a row."""
        found: str = self._previews[row]
        return found

    def digest(self, row: int) -> bytes:
        """The content's digest of a row."""
        found: bytes = self._digests[row]
        return found

    def record(self, row: int) -> ItemRecord:
        """The item of a row, but for its text."""
        about = self.id(row), self.digest(row), self.metadata(row), self.preview(row)
        return ItemRecord(*about, payload=self.payload(row))

    def has_payloads(self, rows: np.ndarray) -> bool:
        """Whether the payload of each of these rows is kept."""
        if self._payloads is None or not self.batch.column(PAYLOAD).null_count:
            return self._payloads is not None
        return all(self.payload(row) is not None for row in rows.tolist())

    def payload(self, row: int) -> bytes | None:
        """What is kept of a row's vector or image for a model to come; None where nothing is."""
        return None if self._payloads is None else self._payloads.get(row)

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

    def sorted_hashes(self) -> tuple[np.ndarray, np.ndarray]:
        """The hashes of all ids in ascending order, (n,) uint64, and their rows, (n,) uint32.

        Raises `DamagedError` where they are not in order, or a row is not one of the segment.
        """
        if not self.index.is_in_order:
            raise self._damaged("hashes in no order")
        return self.index.hashes.array(), self.index.rows.array()

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
        order = self.index.rows.array()
        is_order = self.index.is_in_order and (np.sort(order) == np.arange(self.n_rows)).all()
        if not is_order or (self.index.hashes.array() != hashes(self.ids.to_pylist())[order]).any():
            raise self._damaged("ids that cannot be found")

    def column(self, name: str) -> pa.Array:
        """A whole column by name, checked."""
        return self._whole(self.batch.column(name))

    def _whole(self, array: pa.Array) -> pa.Array:
        for buffer in array.buffers():
            require_buffer(self._file, buffer)
        self._require_valid(array)
        return array

    def _require_valid(self, array: pa.Array) -> None:
        with self._reading():
            array.validate(full=True)

    # as `hashret.where.columns` asks

    @property
    def ids(self) -> pa.Array:
        """The ids of all rows."""
        return self.column("id")

    def field(self, key: str) -> pa.Array | None:
        """The column of a metadata key; None where it has none."""
        for i, (name, _) in enumerate(self._names):
            if name == key:
                return self._whole(self._child(i))
        return None

    def is_json(self, key: str) -> bool:
        """Whether the column of this key holds texts of JSON."""
        return (key, True) in self._names

    def distinct(self, key: str) -> tuple[np.ndarray, list[Any]]:
        """The place of each row's value of a metadata key, (n,) int64, in the list of its values.

        -1 for a row without one.
        """
        column = self.field(key)
        if column is None and self._others is None:
            return np.full(self.n_rows, -1, np.int64), []
        if column is None:
            found = [self.metadata(row).get(key) for row in range(self.n_rows)]
            values = [value for value in found if value is not None]
            places = np.cumsum([value is not None for value in found]) - 1
            places[[value is None for value in found]] = -1
            return places, values
        encoded = column.dictionary_encode()
        places = encoded.indices.fill_null(-1).to_numpy().astype(np.int64)
        values = encoded.dictionary.to_pylist()
        return places, [self._parsed(one) for one in values] if self.is_json(key) else values

    @property
    def other(self) -> pa.Array | None:
        """The JSON objects of the keys without a column; None where each key has one."""
        return None if self._others is None else self.column(OTHERS)
