"""The messages between a run and its workers: values as JSON with arrays beside it.

Pickle is not used: a worker decodes strangers' files, so its results must be plain data. A worker
tells which item it is at not by messages but in shared memory.
"""

from __future__ import annotations

import json
import mmap
import os
import struct
import time
from pathlib import Path
from typing import Any

import numpy as np

_MARK = struct.Struct("<qd")  # the number of an item, -1 for none; seconds of `time.monotonic`
_HEADER = 8  # bytes of the length before each part of a message


class Wire:
    """A codec for None, booleans, numbers, strings, bytes, paths, lists, dicts and arrays.

    Arrays have numbers; tuples become lists. Values that JSON has no form for are written as an
    object whose only key is `tag`. Both ends know this random word, and items don't, so that no
    metadata can be mistaken for such an object. Lone surrogates in strings are preserved, because
    Python uses them for file names that are not UTF-8.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def pack(self, value: Any) -> bytes:
        """The bytes of a value. Raises TypeError for a value of any other type."""
        parts: list[bytes] = []  # numbered from 1, because part 0 is the JSON text

        def other(found: Any) -> dict[str, Any]:
            if isinstance(found, Path):
                return {self.tag: ["path", str(found)]}
            if isinstance(found, bytes):
                parts.append(found)
                return {self.tag: ["bytes", len(parts)]}
            if isinstance(found, np.ndarray | np.generic) and not found.dtype.hasobject:
                parts.append(found.tobytes())
                return {self.tag: ["array", len(parts), found.dtype.str, list(found.shape)]}
            raise TypeError(
                f"wire: expected plain data, got {type(found).__name__}; send numbers, strings, "
                "bytes, paths, lists, dicts or arrays"
            )

        text = json.dumps(value, default=other).encode("ascii")
        return b"".join(len(p).to_bytes(_HEADER, "little") + p for p in (text, *parts))

    def unpack(self, data: bytes) -> Any:
        """The value that `pack` packed. Raises ValueError for anything else."""
        parts = list(_parts(memoryview(data)))

        def known(found: dict[str, Any]) -> Any:
            if len(found) != 1 or self.tag not in found:
                return found
            noun, content, *form = found[self.tag]
            if noun == "path":
                return Path(content)
            if noun == "bytes":
                return bytes(parts[content])
            dtype = np.dtype(form[0])
            if dtype.hasobject:
                raise ValueError("wire: expected an array of numbers, got one of objects")
            return np.frombuffer(parts[content], dtype).reshape(form[1])

        return json.loads(bytes(parts[0]), object_hook=known)


def _parts(data: memoryview) -> Any:
    """The parts of a message, each preceded by its length."""
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + _HEADER], "little")
        at += _HEADER
        if at + size > len(data):
            raise ValueError(f"wire: expected {size} bytes more, got {len(data) - at}")
        yield data[at : at + size]
        at += size


class Mark:
    """Shared memory in which a worker notes which item it is at, and since when.

    `descriptor` is that of one open file in both processes. Raises OSError if the disk is full.
    """

    def __init__(self, descriptor: int) -> None:
        # The file is written and not only extended. On a full disk this raises OSError; writing to
        # a mapped page for which the disk has no space would kill the process.
        os.pwrite(descriptor, bytes(_MARK.size), 0)
        self._memory = mmap.mmap(descriptor, _MARK.size)
        self.set(None)

    def set(self, at: int | None) -> None:
        """Note that the worker is at item `at` from now on; None for no item."""
        _MARK.pack_into(self._memory, 0, -1 if at is None else at, time.monotonic())

    @property
    def at(self) -> int | None:
        """The item that the worker is at; None for none."""
        at = int(_MARK.unpack_from(self._memory)[0])
        return None if at < 0 else at

    @property
    def since(self) -> float:
        """The time since when, by `time.monotonic`, which is the same for all processes."""
        return float(_MARK.unpack_from(self._memory)[1])
