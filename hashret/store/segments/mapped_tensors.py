"""The arrays of a safetensors file, read where they lie in the mapped file.

The library reads a slice of a file in about 10 us, which is too slow for the rows of a shortlist,
and it checks nothing that was read. The layout is simple: 8 bytes with the length of a header, the
header in JSON, then the arrays, one after another
(https://github.com/huggingface/safetensors#format).
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from hashret.store.disk.checked import CheckedFile

#: The longest header in bytes; one of three arrays has about 250.
_MAX_HEADER = 4096
_PREFIX = 8  # bytes that give the length of the header
_TYPES = {"F16": "<f2", "F32": "<f4", "U16": "<u2", "I32": "<i4", "I64": "<i8"}


@dataclass(frozen=True, slots=True)
class MappedTensor:
    """An array of a file: its elements as one row, (n,), and the `shape` that the file gives them.

    `require` those that you are about to read.
    """

    shape: tuple[int, ...]
    elements: np.ndarray
    file: CheckedFile
    begin: int
    """Where the first element lies in the file, in bytes."""

    def require(self, starts: np.ndarray, stops: np.ndarray) -> None:
        """Check elements `starts` to `stops` (exclusive), as `CheckedFile.require_ranges`."""
        if not self.file.all_verified:
            size = self.elements.itemsize
            self.file.require_ranges(starts * size + self.begin, stops * size + self.begin)


def mapped_tensors(file: CheckedFile) -> dict[str, MappedTensor]:
    """The arrays of a file by their names; only its header is checked and read.

    Raises ValueError for a header that no file of this layout has, and DamagedError for one that is
    not as it was written.
    """
    n_bytes = len(file.data)
    if n_bytes < _PREFIX:
        raise ValueError(f"a file of {n_bytes} bytes")
    file.require(0, _PREFIX)
    length = int.from_bytes(file.data[:_PREFIX].tobytes(), "little")
    first = _PREFIX + length
    if length > _MAX_HEADER or first > n_bytes:
        raise ValueError(f"a header of {length} bytes")
    file.require(_PREFIX, first)
    try:
        header = json.loads(file.data[_PREFIX:first].tobytes(), object_pairs_hook=_of_pairs)
    except RecursionError as error:
        raise ValueError("a header of too many levels") from error
    if not isinstance(header, dict):
        raise ValueError("a header that is no JSON object")
    tensors = {name: _tensor(file, first, entry) for name, entry in header.items()}
    end = first
    for tensor in sorted(tensors.values(), key=lambda one: (one.begin, len(one.elements))):
        if tensor.begin != end:
            raise ValueError("arrays that overlap or leave a gap")
        end += tensor.elements.nbytes
    if end != n_bytes:
        raise ValueError("arrays that end before the file")
    return tensors


def _of_pairs(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a header with a name twice")
    return found


def _tensor(file: CheckedFile, first: int, entry: Any) -> MappedTensor:
    if not isinstance(entry, dict) or entry.keys() != {"dtype", "shape", "data_offsets"}:
        raise ValueError("a header that describes no arrays")
    name, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(name, str) or name not in _TYPES:
        raise ValueError("an array of another type")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise ValueError("a header without sizes")
    begin, end = (first + offset for offset in offsets)
    if end - begin != math.prod(shape) * np.dtype(_TYPES[name]).itemsize or end > len(file.data):
        raise ValueError("an array of another size than its place")
    return MappedTensor(tuple(shape), file.data[begin:end].view(_TYPES[name]), file, begin)


def _are_sizes(found: Any) -> bool:
    return isinstance(found, list) and all(type(one) is int and one >= 0 for one in found)
