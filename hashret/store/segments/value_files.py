"""One value of each of a segment's items, its text or its thumbnail, in an Arrow IPC file.

The file has one column, in record batches of 64 rows: to read one value, no more than its batch is
read, and of texts decompressed. Every read is checked block by block (`store.disk.checked`).
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from hashret.store.disk.checked import CheckedFile
from hashret.store.disk.files import FileRecord, write_file
from hashret.store.layout import Layout
from hashret.store.segments.arrow_messages import (
    batch_at,
    batches,
    reading,
    require_buffer,
    unpacked_size,
)

#: Rows of a batch: 64 posts of a newsgroup are decompressed in a twentieth of a millisecond, and
#: take a tenth more space than in batches of 1,024; 64 thumbnails are a quarter of a megabyte.
_ROWS = 64
#: Bytes of the values of a batch, at most: the texts of a whole segment are at most 2**27
#: characters, of up to four bytes, and one text.
_MOST_BYTES = 1 << 30


@dataclass(frozen=True, slots=True)
class ValueForm:
    """What the values of a file are: which part of a segment, its column, their type."""

    part: str
    column: str
    type: pa.DataType
    compression: str | None

    @property
    def schema(self) -> pa.Schema:
        """That of the file."""
        return pa.schema([pa.field(self.column, self.type)])


#: The texts of the items, as they were given.
TEXTS = ValueForm("texts", "text", pa.string(), "zstd")
#: The thumbnails of images: WebP files, which no compression makes smaller.
THUMBNAILS = ValueForm("thumbnails", "thumbnail", pa.binary(), None)


def write_values(
    layout: Layout, name: str, form: ValueForm, values: Sequence[str | bytes | None]
) -> FileRecord:
    """Write the values of a segment's rows, in their order."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression=form.compression)
    with pa.ipc.new_file(sink, form.schema, options=options) as writer:
        for start in range(0, len(values), _ROWS):
            column = pa.array(values[start : start + _ROWS], form.type)
            writer.write_batch(pa.RecordBatch.from_arrays([column], schema=form.schema))
    return write_file(layout.part(name, form.part), [memoryview(sink.getvalue())])


class Values:
    """The values of one form of one segment; any number of threads may read them at once."""

    def __init__(self, form: ValueForm, path: Path, record: FileRecord, n_rows: int):
        """Raises `DamagedError` unless the file is as it was written, of `n_rows` values."""
        self._form = form
        self._path = path
        self._n_rows = n_rows
        self._lock = Lock()  # of pyarrow's reader
        self._last: tuple[int, Any] = -1, None  # the batch read last: who reads on finds it
        with self._reading():
            self._file = CheckedFile(path, record)
            self._batches = batches(self._file)
            options = pa.ipc.IpcReadOptions(use_threads=False)
            self._reader = pa.ipc.open_file(pa.py_buffer(self._file.data), options=options)
            is_whole = len(self._batches) == -(-n_rows // _ROWS)
            if not is_whole or self._reader.schema != form.schema:
                raise ValueError("other columns")

    def value(self, row: int) -> Any:
        """The value of a row; None where there is none, as for an item of another source."""
        with self._reading(), self._lock:
            number, values = self._last
            if number != row // _ROWS:
                number, values = self._last = row // _ROWS, self._column(row // _ROWS)
            return values[row % _ROWS].as_py()

    def _column(self, n: int) -> pa.Array:
        """The values of a batch."""
        message = batch_at(self._file, *self._batches[n])
        require_buffer(self._file, message.body)
        if (n_bytes := unpacked_size(message)) > _MOST_BYTES:
            raise ValueError(f"a batch of {n_bytes} bytes")
        batch = self._reader.get_batch(n)
        batch.validate(full=True)
        if batch.num_rows != min(_ROWS, self._n_rows - n * _ROWS):
            raise ValueError(f"a batch of {batch.num_rows} rows")
        return batch.column(0)

    def require_all(self) -> None:
        """Raise `DamagedError` unless every value can be read."""
        with self._reading(), self._lock:
            for n in range(len(self._batches)):
                self._column(n)

    def _reading(self) -> AbstractContextManager[None]:
        return reading(self._path, f"the {self._form.part} of {self._n_rows} items")
