"""Read the rows of Parquet and Arrow files (Feather version 2 is one), batch by batch.

pyarrow checks what it decodes, but a hostile file can have it take all memory or end the process:
only a worker calls this (`binary`).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import IO, Any

import pyarrow as pa

from hashret.workers.refusals import Refused
from indexer.corpus.tables.rows import Lost

# Rows that become Python objects together, at most, and their size in bytes. A batch of an Arrow
# file is decoded whole, as it was written; that of a Parquet file has this size by its own account.
_ROWS, _BATCH_BYTES = 1000, 8 << 20
_STREAM_BUFFER = 1 << 20  # bytes of a Parquet column that are read at a time
_FILE_MAGIC = b"ARROW1"
_FORMER_FEATHER = b"FEA1"


def parquet_rows(stream: IO[bytes], start: int) -> Iterator[dict[str, Any]]:
    """The rows of a Parquet file from row `start` on, from 0; closes it at the end."""
    import pyarrow.parquet as pq

    pa.set_memory_pool(pa.system_memory_pool())  # the others reserve more than a worker may have
    with (
        stream,
        pq.ParquetFile(
            stream, buffer_size=_STREAM_BUFFER, pre_buffer=False, page_checksum_verification=True
        ) as file,
    ):
        sizes = [file.metadata.row_group(i) for i in range(file.num_row_groups)]
        group = 0
        while group < len(sizes) and start >= sizes[group].num_rows:
            start -= sizes[group].num_rows
            group += 1
        n_bytes = sum(max(0, one.total_byte_size) for one in sizes)
        per_row = max(1, n_bytes // max(1, file.metadata.num_rows))
        batches = file.iter_batches(
            batch_size=max(1, min(_ROWS, _BATCH_BYTES // per_row)),
            row_groups=list(range(group, len(sizes))),
            use_threads=False,
        )
        yield from _rows(batches, file.schema_arrow, start)


def arrow_rows(stream: IO[bytes], start: int) -> Iterator[dict[str, Any]]:
    """The rows of an Arrow IPC file or stream from row `start` on, from 0; closes it at the end.

    Raises `Refused` for the former version of Feather.
    """
    pa.set_memory_pool(pa.system_memory_pool())
    options = pa.ipc.IpcReadOptions(use_threads=False)
    with stream:
        head = stream.read(len(_FILE_MAGIC))
        stream.seek(0)
        if head.startswith(_FORMER_FEATHER):
            raise Refused("other-type", "expected Feather version 2, got version 1; write it again")
        if head == _FILE_MAGIC:
            with pa.ipc.open_file(stream, options=options) as file:
                batches = map(file.get_batch, range(file.num_record_batches))
                yield from _rows(batches, file.schema, start)
        else:
            with pa.ipc.open_stream(stream, options=options) as found:
                yield from _rows(found, found.schema, start)


def _rows(batches: Any, schema: pa.Schema, start: int) -> Iterator[dict[str, Any]]:
    """The rows of record batches, without the first `start`; null values are left out."""
    names = schema.names
    if len(set(names)) < len(names):
        raise Refused("damaged-table", "expected columns with different names; rename some")
    for batch in batches:
        skipped = min(start, batch.num_rows)
        start -= skipped
        # What the offsets of an Arrow file say is not checked when it is read. Text that is not
        # UTF-8 costs a cell only, so texts are taken as bytes first.
        columns = [_bytes_of_texts(column) for column in batch.columns]
        for column in columns:
            column.validate(full=True)
        n_bytes = max(1, sum(column.nbytes for column in columns))
        step = max(1, min(_ROWS, _BATCH_BYTES * batch.num_rows // n_bytes))
        for at in range(skipped, batch.num_rows, step):
            values = [
                _values(column.slice(at, step), one.type)
                for column, one in zip(columns, schema, strict=True)
            ]
            for row in zip(*values, strict=True):
                yield {
                    name: value for name, value in zip(names, row, strict=True) if value is not None
                }


def _bytes_of_texts(column: pa.Array) -> pa.Array:
    if pa.types.is_dictionary(column.type):
        column.validate(full=True)
        column = column.dictionary_decode()
    if pa.types.is_string_view(column.type):
        return column.cast(pa.binary_view())
    if pa.types.is_string(column.type):
        return column.view(pa.binary())
    return column.view(pa.large_binary()) if pa.types.is_large_string(column.type) else column


def _values(column: pa.Array, given: pa.DataType) -> list[Any]:
    """The values of a column, as Python objects near to JSON; `Lost` where there is none."""
    while pa.types.is_dictionary(given):
        given = given.value_type
    is_text = (
        pa.types.is_string(given) or pa.types.is_large_string(given)
        or pa.types.is_string_view(given)
    )  # fmt: skip
    if is_text:
        return [value if value is None else _text(value) for value in column.to_pylist()]
    try:
        return list(column.cast(_plain(column.type), safe=False).to_pylist())
    except (pa.ArrowException, ValueError, OverflowError, KeyError):
        return [_value(column[i]) for i in range(len(column))]


def _text(value: bytes) -> Any:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return Lost()


def _value(scalar: pa.Scalar) -> Any:
    try:
        return scalar.cast(_plain(scalar.type), safe=False).as_py()
    except (pa.ArrowException, ValueError, OverflowError, KeyError):
        return Lost()


def _plain(given: pa.DataType) -> pa.DataType:
    """The nearest type whose values Python has.

    Times have microseconds at most, and are in UTC if their time zone is known; a decimal becomes a
    number, a value of a dictionary the value itself. Only what is too fine is lost by the cast.
    """
    is_type = pa.types
    if is_type.is_timestamp(given):
        unit = "us" if given.unit == "ns" else given.unit
        return pa.timestamp(unit, None if given.tz is None else "UTC")
    if is_type.is_time64(given):
        return pa.time64("us")
    if is_type.is_decimal(given):
        return pa.int64() if given.scale == 0 and given.precision <= 18 else pa.float64()
    if is_type.is_dictionary(given):
        return _plain(given.value_type)
    if is_type.is_struct(given):
        return pa.struct([one.with_type(_plain(one.type)) for one in given])
    if is_type.is_list(given):
        return pa.list_(given.value_field.with_type(_plain(given.value_type)))
    if is_type.is_large_list(given):
        return pa.large_list(given.value_field.with_type(_plain(given.value_type)))
    return given
