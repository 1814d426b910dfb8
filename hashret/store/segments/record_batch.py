"""Make the columns that a segment keeps of its items (`record_schema`), and write them."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa

from hashret.store.disk.files import FileRecord, small_blocks, write_file
from hashret.store.layout import Layout
from hashret.store.segments.record_schema import (
    DIGEST,
    JSON,
    METADATA,
    MOST_KEYS,
    OTHERS,
    PAYLOAD,
    TYPES,
    ItemRecord,
    hashes,
)
from hashret.store.segments.records import Records
from hashret.unicode_text import is_storable

# made once: `json.dumps` with arguments builds an encoder at every call
as_json = json.JSONEncoder(sort_keys=True, allow_nan=False).encode


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
