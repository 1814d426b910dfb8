"""Make the columns that a segment keeps of its items beside their codes: an Arrow IPC file.

The file holds one record batch, not compressed, so that it is mapped and one item is read without
the others (`hashret.store.segments.records`). Other tools read it too (pyarrow, Polars, DuckDB).
Its columns:

* ``id`` and ``preview`` (string), ``digest`` (the first 16 bytes of the content's SHA-256);
* ``metadata``, a struct of one column a key, of the one type (int64, double, bool, string) that
  holds all of its values exactly; else they are texts of JSON, which the field's metadata says;
* ``payload`` (binary), in a file of vectors or images that no model has seen, or of which the
  collection keeps them: what a model to come learns from (`hashret.features.kept`);
* ``other_metadata``, a JSON object of the keys that have no column;
* ``sorted_hash`` and ``hash_row``, not row for row: the hashes of the ids in ascending order, and
  the row of each.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa

from hashret.store.files import FileRecord, small_blocks, write_file
from hashret.store.layout import Layout
from hashret.unicode_text import is_storable

if TYPE_CHECKING:
    from hashret.store.segments.records import Records

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
#: The type of each column that every file has.
COLUMNS = {
    "id": pa.string(),
    "digest": pa.binary(DIGEST),
    "preview": pa.string(),
    "sorted_hash": pa.uint64(),
    "hash_row": pa.uint32(),
}
#: The columns that a file has where its items have metadata.
METADATA, OTHERS = "metadata", "other_metadata"
#: The column that a file has where an item has a payload.
PAYLOAD = "payload"
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
    """The text itself, where the collection keeps texts (`hashret.store.segments.value_files`)."""
    payload: bytes | None = None
    """What a model to come learns from of a vector or an image, where that is kept."""
    thumbnail: bytes | None = None
    """The thumbnail of an image, where the collection keeps them."""


def hashes(ids: Iterable[str]) -> np.ndarray:
    """The 64-bit hashes of ids, (n,) uint64: the first 8 bytes of their BLAKE2b."""
    digests = (blake2b(one.encode(), digest_size=8).digest() for one in ids)
    return np.frombuffer(b"".join(digests), "<u8")


def batch_of(items: Sequence[ItemRecord]) -> pa.RecordBatch:
    """The items, at least one, as columns; their ids are storable Unicode."""
    columns = {
        "id": pa.array([item.id for item in items], pa.string()),
        "digest": pa.array([item.digest for item in items], pa.binary(DIGEST)),
        "preview": pa.array([item.preview for item in items], pa.string()),
    }
    if any(item.payload is not None for item in items):
        columns[PAYLOAD] = pa.array([item.payload for item in items], pa.binary())
    return _assembled(columns, *_by_key([item.metadata for item in items]))


def as_file(batch: pa.RecordBatch) -> pa.Buffer:
    """The bytes of a file with these columns."""
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, batch.schema) as writer:
        writer.write_batch(batch)
    return sink.getvalue()


def write_records(layout: Layout, name: str, batch: pa.RecordBatch) -> FileRecord:
    """Write the columns of a segment's items."""
    data = memoryview(as_file(batch))
    return write_file(layout.part(name, "records"), [data], small_blocks(len(data)))


def _assembled(
    columns: dict[str, pa.Array],
    keys: list[tuple[pa.Field, pa.Array]],
    others: pa.Array | None,
) -> pa.RecordBatch:
    """The batch of these columns, with the metadata and the hashes of the ids."""
    if keys:
        fields, children = zip(*sorted(keys, key=lambda key: str(key[0].name)), strict=True)
        columns[METADATA] = pa.StructArray.from_arrays(children, fields=list(fields))
    if others is not None:
        columns[OTHERS] = others
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
    """The values of n rows; None but for these rows."""
    if len(rows) == n:
        return values
    spread: list[Any] = [None] * n
    for row, value in zip(rows, values, strict=True):
        spread[row] = value
    return spread


def merged(parts: Sequence[tuple[Records, np.ndarray]]) -> pa.RecordBatch:
    """The given rows of several segments' records, one below the other, as one batch."""
    tables = [pa.Table.from_batches([records.rows(rows)]) for records, rows in parts]
    fields = {field.name: field for records, _ in parts for field in records.fields}
    kinds = {(f.name, f.type, f.metadata == JSON) for records, _ in parts for f in records.fields}
    # whether each key has a column of one type in every part, so that these can be joined
    fit = len(kinds) == len({name.casefold() for name in fields}) <= MOST_KEYS
    fit = fit and not any(OTHERS in table.column_names for table in tables)
    if fit:
        tables = [table.flatten() for table in tables]  # a column for each key
    else:
        both = {METADATA, OTHERS}
        tables = [table.drop_columns([*both.intersection(table.column_names)]) for table in tables]
    joined = pa.concat_tables(tables, promote_options="default")  # null where a part has none
    columns = {name: joined.column(name).combine_chunks() for name in joined.column_names}
    if fit:
        keys = [(field, columns.pop(f"{METADATA}.{name}")) for name, field in fields.items()]
        return _assembled(columns, keys, None)
    metadata = [records.metadata(row) for records, rows in parts for row in rows.tolist()]
    return _assembled(columns, *_by_key(metadata))
