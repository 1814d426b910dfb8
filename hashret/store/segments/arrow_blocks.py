"""Where the record batches of an Arrow IPC file lie, and what reading one would take.

pyarrow decompresses a buffer to whatever size the file says. A stranger's file may say any, so it
is looked at first: the footer and the messages are FlatBuffers, of which a few numbers are read.
The numbers of fields are those of Arrow's `File.fbs` and `Message.fbs`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any

from hashret.store.checked import CheckedFile

_END = 10  # bytes: the footer's size, "ARROW1"
_FOOTER_BATCHES, _MESSAGE_HEADER, _MESSAGE_BODY = 3, 2, 3
_BATCH_BUFFERS, _BATCH_COMPRESSION = 2, 3
_MAGIC, _PREFIX = 8, 8  # bytes: "ARROW1" and two more; a message's mark and length


@dataclass(frozen=True, slots=True)
class BatchSize:
    """The size in bytes of the buffers of a record batch in memory, and whether any is compressed.

    Those that are not are not counted: they are read where they lie.
    """

    n_bytes: int
    is_compressed: bool


@dataclass(frozen=True, slots=True)
class Block:
    """Where a record batch lies: the first byte of its message, of its body, and after that."""

    message: int
    body: int
    end: int


def batch_blocks(file: CheckedFile) -> list[Block]:
    """Where each batch of a file lies, its footer checked. Raises ValueError for no Arrow file."""
    size = len(file.data)
    length = int.from_bytes(_read(file, size - _END, 4), "little")
    footer = _read(file, size - _END - length, length + _END)
    count, at = _vector(footer, _field(footer, _follow(footer, 0), _FOOTER_BATCHES))
    found = (_get("<qi4xq", footer, at + 24 * n) for n in range(count))
    return [Block(offset, offset + head, offset + head + body) for offset, head, body in found]


def first_block(file: CheckedFile) -> Block:
    """Where the first batch of a file lies, by the messages from its beginning, not by its footer.

    Raises ValueError for no Arrow file.
    """
    ends: list[int] = []
    for _ in range(2):  # the schema, which has no body; the batch
        at = ends[-1] if ends else _MAGIC
        mark, length = _get("<II", _read(file, at, _PREFIX), 0)
        if mark != 0xFFFFFFFF:
            raise ValueError("a file of another version of Arrow")
        ends.append(at + _PREFIX + length)
    data = _read(file, ends[0] + _PREFIX, ends[1] - ends[0] - _PREFIX)
    (body,) = _get("<q", data, _field(data, _follow(data, 0), _MESSAGE_BODY))
    return Block(ends[0], ends[1], ends[1] + body)


def batch_size(file: CheckedFile, block: Block) -> BatchSize:
    """What a batch of a file takes. Raises ValueError where there is none."""
    data = _read(file, block.message, block.body - block.message)
    data = data[8:] if data.startswith(b"\xff\xff\xff\xff") else data[4:]
    batch = _follow(data, _field(data, _follow(data, 0), _MESSAGE_HEADER))
    if not _field(data, batch, _BATCH_COMPRESSION):
        return BatchSize(0, is_compressed=False)
    count, at = _vector(data, _field(data, batch, _BATCH_BUFFERS))
    n_bytes = 0
    for n in range(count):
        offset, length = _get("<qq", data, at + 16 * n)
        if length:  # before what is compressed stands its size, or -1 where it is not compressed
            n_bytes += max(0, *_get("<q", _read(file, block.body + offset, 8), 0))
    return BatchSize(n_bytes, is_compressed=True)


def _read(file: CheckedFile, start: int, n_bytes: int) -> bytes:
    file.require(start, start + n_bytes)  # a ValueError beyond the file
    return file.data[start : start + n_bytes].tobytes()


def _get(form: str, data: bytes, at: int) -> tuple[Any, ...]:
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
