"""The texts of a segment's items, as they were given: an Arrow IPC file, compressed.

One column ``text``, in record batches of 64 rows, so that reading one text decompresses no more
than its batch. Every read is checked block by block (`hashret.store.checked`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Lock
from typing import Any

import pyarrow as pa

from hashret.errors import DamagedError
from hashret.store.checked import CheckedFile
from hashret.store.files import FileRecord, write_file
from hashret.store.layout import Layout
from hashret.store.segments.arrow_blocks import batch_blocks, batch_size
from hashret.store.untrusted import RESTORE

SUFFIX = ".texts.arrow"
#: Rows of a batch: 64 posts of a newsgroup are decompressed in a twentieth of a millisecond, and
#: take a tenth more space than in batches of 1,024.
_ROWS = 64
#: Bytes of the texts of a batch, at most: those of a whole segment are at most 2**27 characters,
#: of up to four bytes, and one text.
_MOST_BYTES = 1 << 30
_SCHEMA = pa.schema([pa.field("text", pa.string())])


def write_texts(layout: Layout, name: str, texts: Sequence[str | None]) -> FileRecord:
    """Write the texts of a segment's rows, in their order."""
    sink = pa.BufferOutputStream()
    options = pa.ipc.IpcWriteOptions(compression="zstd")
    with pa.ipc.new_file(sink, _SCHEMA, options=options) as writer:
        for start in range(0, len(texts), _ROWS):
            column = pa.array(texts[start : start + _ROWS], pa.string())
            writer.write_batch(pa.RecordBatch.from_arrays([column], schema=_SCHEMA))
    return write_file(layout.segments / f"{name}{SUFFIX}", [memoryview(sink.getvalue())])


class Texts:
    """The texts of one segment; any number of threads may read them at once."""

    def __init__(self, path: Path, record: FileRecord, n_rows: int):
        """Raises `DamagedError` unless the file is as it was written, of `n_rows` texts."""
        self._path = path
        self._n_rows = n_rows
        self._lock = Lock()  # of pyarrow's reader
        self._last: tuple[int, Any] = -1, None  # the batch read last: who reads on finds it
        with self._damage():
            self._file = CheckedFile(path, record)
            self._blocks = batch_blocks(self._file)
            options = pa.ipc.IpcReadOptions(use_threads=False)
            source = pa.BufferReader(pa.py_buffer(self._file.data))
            self._reader = pa.ipc.open_file(source, options=options)
            n_batches = -(-n_rows // _ROWS)
            if self._reader.schema != _SCHEMA or len(self._blocks) != n_batches:
                raise ValueError("other columns")

    def text(self, row: int) -> str | None:
        """The text of a row; None where there is none, as for an item of another source."""
        with self._damage(), self._lock:
            number, texts = self._last
            if number != row // _ROWS:
                number, texts = row // _ROWS, self._column(row // _ROWS)
                texts.validate(full=True)
                self._last = number, texts
            text: str | None = texts[row % _ROWS].as_py()
        return text

    def _column(self, n: int) -> pa.Array:
        """The texts of a batch, whose values are still to be validated."""
        block = self._blocks[n]
        size = batch_size(self._file, block)
        if size.n_bytes > _MOST_BYTES:
            raise ValueError(f"a batch of {size.n_bytes} bytes")
        self._file.require(block.message, block.end)
        batch = self._reader.get_batch(n)
        batch.validate()
        if batch.num_rows != min(_ROWS, self._n_rows - n * _ROWS):
            raise ValueError(f"a batch of {batch.num_rows} rows")
        return batch.column(0)

    def require_all(self) -> None:
        """Raise `DamagedError` unless every text can be read."""
        with self._damage(), self._lock:
            for n in range(len(self._blocks)):
                self._column(n).validate(full=True)

    @contextmanager
    def _damage(self) -> Iterator[None]:
        """Within it, what pyarrow can't read is a `DamagedError`."""
        try:
            yield
        except (pa.ArrowException, ValueError, TypeError, OSError, MemoryError) as error:
            if isinstance(error, DamagedError):
                raise
            got = f"{type(error).__name__}: {error!s:.200}"
            raise DamagedError(
                f"{self._path}: expected the texts of {self._n_rows} items, got {got}; {RESTORE}"
            ) from error
