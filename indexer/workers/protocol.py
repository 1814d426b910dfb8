"""What a run and its workers say to each other: values as JSON with arrays beside it, and a mark.

Not pickle: a worker decodes strangers' files, and what comes back from it is only ever data.
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

_MARK = struct.Struct("<qd")
_HEADER = 8  # bytes of each of the lengths before the parts of a message


class Wire:
    """A codec for None, booleans, numbers, strings, bytes, paths, lists, dicts and arrays.

    Arrays hold numbers; tuples become lists. Both ends share `tag`, a word drawn at random, which
    marks what JSON has no form for: no item's metadata can be mistaken for such a mark. Strings
    keep the lone surrogates by which Python writes file names that are not UTF-8.
    """

    def __init__(self, tag: str) -> None:
        self.tag = tag

    def pack(self, value: Any) -> bytes:
        """The bytes of a value. Raises TypeError for one of another type."""
        parts: list[bytes] = []  # counted from 1: part 0 is the JSON text

        def other(found: Any) -> dict[str, Any]:
            if isinstance(found, Path):
                return {self.tag: ["path", str(found)]}
            if isinstance(found, bytes):
                parts.append(found)
                return {self.tag: ["bytes", len(parts)]}
            if isinstance(found, np.ndarray | np.generic) and not found.dtype.hasobject:
                parts.append(found.tobytes())
                return {self.tag: ["array", len(parts), found.dtype.str, list(found.shape)]}
            raise TypeError(f"wire: expected data, got {type(found).__name__}; send it as data")

        text = json.dumps(value, default=other).encode("ascii")
        return b"".join(len(p).to_bytes(_HEADER, "little") + p for p in (text, *parts))

    def unpack(self, data: bytes) -> Any:
        """The value of what `pack` gave. Raises ValueError for anything else."""
        parts = list(_parts(memoryview(data)))

        def known(found: dict[str, Any]) -> Any:
            if len(found) != 1 or self.tag not in found:
                return found
            noun, given, *form = found[self.tag]
            if noun == "path":
                return Path(given)
            if noun == "bytes":
                return bytes(parts[given])
            dtype = np.dtype(form[0])
            if dtype.hasobject:
                raise ValueError("wire: expected an array of numbers, got one of objects")
            return np.frombuffer(parts[given], dtype).reshape(form[1])

        return json.loads(bytes(parts[0]), object_hook=known)


def _parts(data: memoryview) -> Any:
    at = 0
    while at < len(data):
        size = int.from_bytes(data[at : at + _HEADER], "little")
        at += _HEADER
        if at + size > len(data):
            raise ValueError(f"wire: expected {size} bytes more, got {len(data) - at}")
        yield data[at : at + size]
        at += size


class Mark:
    """Shared memory in which a worker notes the item it is at, and since when: no message an item.

    `descriptor` is an open file, the same in both processes. Raises OSError where the disk is full.
    """

    def __init__(self, descriptor: int) -> None:
        # written, not only lengthened: on a full disk that raises, where a page without a place
        # on it would kill whoever notes something there
        os.pwrite(descriptor, bytes(_MARK.size), 0)
        self._memory = mmap.mmap(descriptor, _MARK.size)
        self.set(None)

    def set(self, at: int | None) -> None:
        """Note the item `at`, from now on; None for no item."""
        _MARK.pack_into(self._memory, 0, -1 if at is None else at, time.monotonic())

    @property
    def at(self) -> int | None:
        """The item in hand, None for none."""
        at = int(_MARK.unpack_from(self._memory)[0])
        return None if at < 0 else at

    @property
    def since(self) -> float:
        """Since when, by the clock `time.monotonic` that all processes share."""
        return float(_MARK.unpack_from(self._memory)[1])
