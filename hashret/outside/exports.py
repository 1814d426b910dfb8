"""Items with their codes in one file that other programs read: Parquet, JSON lines or .npz.

Parquet and JSON lines are written page by page; the arrays of an .npz are in memory at once.
"""

from __future__ import annotations

import json
import re
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple

import numpy as np
import pyarrow as pa

from hashret._backports import chunks
from hashret.errors import InputError
from hashret.outside.outputs import replaced, require_outside, require_place
from hashret.row_numbers import RowNumbers
from hashret.store.segments.record_batch import as_json
from hashret.store.segments.record_schema import JSON, MOST_KEYS, TYPES, ItemRecord
from hashret.store.segments.records import Records
from hashret.store.segments.stored_items import StoredItems
from hashret.unicode_text import is_unicode

#: "rows": those with a code row for row with the codes; of each segment those without one follow.
ExportOrder = Literal["rows", "ids"]
_WHAT = "the export"
_KEYS = ("id", "code", "metadata", "preview", "text")  # of a row
#: Stands at the end of an exported Parquet or .npz file, in what its format calls metadata.
_MARK = b"hashret export"
_TAIL = 1 << 20  # bytes at the end in which the mark is looked for; a Parquet schema is shorter
_LINE = re.compile(rb'\{"id": "(?:[^"\\]|\\.)*", "code": (?:null|"[0-9a-f]*"), "metadata": \{')
#: A page ends with this many items, or when its texts have so many letters.
_PAGE, _LETTERS = 16_384, 32 << 20
_LOOKED_UP = 1024  # rows whose codes are looked for at a time
#: Bytes of the largest array of texts that an .npz may have: each has the room of the longest.
_MOST_BYTES = 4 << 30


class Row(NamedTuple):
    """An item, with its text where it has one, and its packed code; None for one without a code."""

    item: ItemRecord
    code: bytes | None


class Contents(NamedTuple):
    """What is to be exported: the rows in their order, and what is known of all before."""

    rows: Iterable[Row]
    n_bits: int
    """Of a code; 0 in a collection without a model."""
    records: Sequence[Records]
    """Those of the segments of the rows, whose metadata columns an export has too."""


def rows_of(
    items: StoredItems, rows: Iterable[int], coded: RowNumbers, packed: np.ndarray
) -> Iterator[Row]:
    """The items of these rows, with the codes, (n, n_bits // 8) uint8, of the `coded` rows."""
    for page in chunks(rows, _LOOKED_UP):
        for row, position in zip(page, coded.find(np.array(page)).tolist(), strict=True):
            item = replace(items.record(row), text=items.text(row))
            yield Row(item, packed[position].tobytes() if position >= 0 else None)


def write_export(path: Path, contents: Contents) -> int:
    """Write the rows to `path`, in the format of its suffix; how many they were.

    Raises `InputError` for another suffix, a place in a collection, or another file than an earlier
    export in this place.
    """
    suffix = path.suffix.lower()
    if suffix not in _FORMATS:
        raise InputError(
            f"{path}: expected a file name with {', '.join(_FORMATS)}, got {path.name!r}; the "
            "suffix is the format"
        )
    require_outside(path, _WHAT)
    write, is_former = _FORMATS[suffix]
    require_place(path, _WHAT, is_former)
    with replaced(path, _WHAT) as stream:
        return write(stream, contents)


# JSON lines


def _write_lines(stream: IO[bytes], contents: Contents) -> int:
    count = 0
    for item, code in contents.rows:
        count += 1
        values = item.id, code and code.hex(), item.metadata, item.preview, item.text
        line = json.dumps(dict(zip(_KEYS, values, strict=True)))
        stream.write(line.encode() + b"\n")
    return count


def _are_lines(stream: IO[bytes]) -> bool:
    return _LINE.match(stream.read(_TAIL)) is not None


# Parquet


def _write_parquet(stream: IO[bytes], contents: Contents) -> int:
    from pyarrow.parquet import ParquetWriter  # it takes a while to load

    fields = _metadata_fields(contents.records)
    metadata = [pa.field("metadata", pa.struct(fields))] if fields else []
    schema = pa.schema(
        [
            pa.field("id", pa.string()),
            pa.field("code", pa.binary()),
            *metadata,
            pa.field("other_metadata", pa.string()),
            pa.field("preview", pa.string()),
            pa.field("text", pa.string()),
        ],
        metadata={_MARK: str(contents.n_bits)},
    )
    python = {kind: python for python, kind in TYPES.items()}
    kinds = {f.name: None if f.metadata == JSON else python[f.type] for f in fields}
    count = 0
    with ParquetWriter(stream, schema, compression="zstd") as writer:
        for page in _pages(contents.rows):
            lines = [_by_column(row, kinds) for row in page]
            writer.write_table(pa.Table.from_pylist(lines, schema=schema))
            count += len(page)
    return count


def _metadata_fields(parts: Iterable[Records]) -> list[pa.Field]:
    """The columns of the metadata of all parts, by name.

    A column has the type that it has in every part; JSON, if they differ.
    """
    fields: dict[str, pa.Field] = {}
    for records in parts:
        for field in records.fields:
            # DuckDB takes names that differ in case for one
            known = fields.setdefault(field.name.casefold(), field)
            if known.name == field.name and not known.equals(field, check_metadata=True):
                fields[field.name.casefold()] = pa.field(field.name, pa.string(), metadata=JSON)
    return sorted(fields.values(), key=lambda field: str(field.name))[:MOST_KEYS]


def _by_column(row: Row, kinds: Mapping[str, type | None]) -> dict[str, Any]:
    """The values of a row; `kinds` are those of the metadata's columns, None for JSON.

    Metadata without a column, or that its column can't hold, are a JSON object in another column.
    """
    item, code = row
    left, found = dict(item.metadata), {}
    for key, kind in kinds.items():
        if key in left and (kind is None or _fits(left[key], kind)):
            value = left.pop(key)
            found[key] = as_json(value) if kind is None else value
    others = as_json(left) if left else None
    return dict(zip(_KEYS, (item.id, code, found, item.preview, item.text), strict=True)) | {
        "other_metadata": others
    }


def _fits(value: Any, kind: type) -> bool:
    """Whether a column of this kind holds the value exactly."""
    if type(value) is not kind:
        return False
    if isinstance(value, int) and kind is int:
        return -(2**63) <= value < 2**63
    return not isinstance(value, str) or is_unicode(value)


def _pages(rows: Iterable[Row]) -> Iterator[list[Row]]:
    page: list[Row] = []
    letters = 0
    for row in rows:
        page.append(row)
        letters += len(row.item.text or "")
        if len(page) == _PAGE or letters >= _LETTERS:
            yield page
            page, letters = [], 0
    if page:
        yield page


def _is_marked(stream: IO[bytes]) -> bool:
    size = stream.seek(0, 2)
    stream.seek(max(0, size - _TAIL))
    return _MARK in stream.read()


# .npz


def _write_arrays(stream: IO[bytes], contents: Contents) -> int:
    """Write `ids` and `metadata` (JSON), texts (n,); `codes` (n, n_bits // 8); `has_code` (n,)."""
    ids, metadata, has_code, codes = [], [], [], bytearray()
    n_bytes = contents.n_bits // 8
    for item, code in contents.rows:
        ids.append(item.id)
        metadata.append(as_json(item.metadata))
        has_code.append(code is not None)
        codes += bytes(n_bytes) if code is None else code
    arrays = {
        "ids": _texts("ids", ids),
        "codes": np.frombuffer(codes, np.uint8).reshape(len(ids), n_bytes),
        "has_code": np.array(has_code, bool),
        "metadata": _texts("metadata", metadata),
    }
    # not `numpy.savez`: it knows of no comment, by which the file is known again
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, array in arrays.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, array, allow_pickle=False)
        archive.comment = _MARK
    return len(ids)


def _texts(name: str, texts: list[str]) -> np.ndarray:
    longest = max(map(len, texts), default=1)
    if 4 * longest * len(texts) > _MOST_BYTES:
        raise InputError(
            f"{name}: expected texts that fit in an array of {_MOST_BYTES >> 30} GiB, got "
            f"{len(texts)} of up to {longest} letters, each of which takes the room of the "
            "longest; export them as .parquet or .jsonl"
        )
    return np.array(texts, np.str_)


_Format = tuple[Callable[[IO[bytes], Contents], int], Callable[[IO[bytes]], bool]]
#: By suffix: what writes the format, and whether a file is an earlier export in it.
_FORMATS: dict[str, _Format] = {
    ".parquet": (_write_parquet, _is_marked),
    ".jsonl": (_write_lines, _are_lines),
    ".npz": (_write_arrays, _is_marked),
}
