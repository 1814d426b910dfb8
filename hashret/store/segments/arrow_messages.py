"""The messages of an Arrow IPC file: where they lie, and what reading a record batch would take.

Each is read by itself, its block checked before, so a file is opened at the price of its first
bytes. pyarrow decompresses a buffer to whatever size the file says. A stranger's file may say any,
so that is looked at first. The footer and the heads of messages are FlatBuffers, of which a few
numbers are read. The numbers of fields are those of Arrow's `File.fbs` and `Message.fbs`.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pyarrow as pa

from hashret.errors import HashretError
from hashret.store.disk.checked import CheckedFile
from hashret.store.disk.damage import damaged

#: Where the first message of a file stands, in bytes: after "ARROW1" and two more.
FIRST = 8
_END = 10  # bytes: the footer's size, "ARROW1"
_PREFIX = 8  # bytes of a message: its mark, and the length of its head
_FOOTER_BATCHES, _MESSAGE_HEADER = 3, 2
_BATCH_BUFFERS, _BATCH_COMPRESSION = 2, 3

#: What pyarrow raises for a file that is not as it was written: an EOFError for one cut short.
_UNREADABLE = (pa.ArrowException, ValueError, TypeError, KeyError, EOFError, OSError, MemoryError)


@contextmanager
def reading(path: Path, expected: str) -> Iterator[None]:
    """Within it, what pyarrow can't read of the file at `path` is a `DamagedError`."""
    try:
        yield
    except HashretError:  # named already, or of a disk that does not answer
        raise
    except _UNREADABLE as error:
        got = f"{type(error).__name__}: {error!s:.200}"
        raise damaged(path, expected, got) from error


def message_at(file: CheckedFile, at: int) -> tuple[pa.ipc.Message, int]:
    """The message at byte `at` of a file, and where the next one begins.

    Its head is checked. Its body is not: `require_buffer` what you are about to read of it. Raises
    ValueError where none is.
    """
    mark, length = _get("<II", _read(file, at, _PREFIX), 0)
    if mark != 0xFFFFFFFF:
        raise ValueError("a file of another version of Arrow")
    file.require(at, at + _PREFIX + length)
    source = pa.BufferReader(pa.py_buffer(file.data))
    source.seek(at)
    return pa.ipc.read_message(source), source.tell()


def require_buffer(file: CheckedFile, buffer: pa.Buffer | None) -> None:
    """Check the bytes of a buffer that lies in the file, as `CheckedFile.require`."""
    if buffer is not None and buffer.size:
        begin = buffer.address - file.address
        file.require(begin, begin + buffer.size)


def batches(file: CheckedFile) -> list[tuple[int, int]]:
    """Where each batch of a file begins, and the length of its head, as its checked footer says.

    Raises ValueError for no Arrow file.
    """
    size = len(file.data)
    length = int.from_bytes(_read(file, size - _END, 4), "little")
    footer = _read(file, size - _END - length, length + _END)
    count, at = _vector(footer, _field(footer, _follow(footer, 0), _FOOTER_BATCHES))
    return [_get("<qi", footer, at + 24 * n) for n in range(count)]


def batch_at(file: CheckedFile, at: int, head: int) -> pa.ipc.Message:
    """The message of one of `batches`. Raises ValueError unless it is as the footer says.

    For pyarrow, which goes by the footer, its body would lie elsewhere.
    """
    message, _ = message_at(file, at)
    if message.type != "record batch" or message.metadata.size + _PREFIX != head:
        raise ValueError(f"no batch at byte {at}")
    return message


def is_compressed(batch: pa.ipc.Message) -> bool:
    """Whether any buffer of a batch is compressed."""
    head = batch.metadata.to_pybytes()
    return bool(_field(head, _batch(head), _BATCH_COMPRESSION))


def unpacked_size(batch: pa.ipc.Message) -> int:
    """The bytes that the compressed buffers of a batch take in memory, by what they say.

    The body has to be checked before. Raises ValueError for buffers that do not lie in it.
    """
    if not is_compressed(batch):
        return 0
    head, body, n_bytes = batch.metadata.to_pybytes(), memoryview(batch.body), 0
    count, at = _vector(head, _field(head, _batch(head), _BATCH_BUFFERS))
    for n in range(count):
        offset, length = _get("<qq", head, at + 16 * n)
        if length:  # before what is compressed stands its size, or -1 where it is not compressed
            n_bytes += max(0, *_get("<q", body, offset))
    return n_bytes


def _batch(head: bytes) -> int:
    """Where the table of a batch stands in the head of its message."""
    return _follow(head, _field(head, _follow(head, 0), _MESSAGE_HEADER))


def _read(file: CheckedFile, start: int, n_bytes: int) -> bytes:
    file.require(start, start + n_bytes)  # a ValueError beyond the file
    return file.data[start : start + n_bytes].tobytes()


def _get(form: str, data: bytes | memoryview, at: int) -> tuple[Any, ...]:
    if not 0 <= at <= len(data) - struct.calcsize(form):
        raise ValueError(f"a number at byte {at} of {len(data)}")
    return struct.unpack_from(form, data, at)


def _follow(data: bytes, at: int) -> int:
    """The place that the offset at `at` leads to."""
    return at + int(_get("<I", data, at)[0])


def _field(data: bytes, table: int, n: int) -> int:
    """Where field `n` of a table stands; 0 where it has none."""
    fields = table - int(_get("<i", data, table)[0])
    at = 4 + 2 * n
    if at >= _get("<H", data, fields)[0]:
        return 0
    offset = int(_get("<H", data, fields + at)[0])
    return table + offset if offset else 0


def _vector(data: bytes, at: int) -> tuple[int, int]:
    """The length of a vector whose offset stands at `at`, and where its elements begin."""
    if not at:
        return 0, 0
    begin = _follow(data, at)
    count = int(_get("<I", data, begin)[0])
    if count > len(data):
        raise ValueError(f"a vector of {count} elements")
    return count, begin + 4
