"""Segments: immutable files of packed codes, the truth that every index is built from."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.store.files import FileRecord, require_sound, write_file
from hashret.store.layout import Layout
from hashret.store.refusals import plainly
from hashret.store.untrusted import open_plain

_MAX_HEADER = 4096  # bytes


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """The codes of rows `first_row` to ``first_row + n_rows - 1`` and the file they are in."""

    name: str
    first_row: int
    n_rows: int
    n_bits: int
    file: FileRecord
    features: FileRecord | None = None
    """The file of the rows' input features, where they are kept (`store.feature_files`)."""


def write_segment(layout: Layout, name: str, codes: Codes) -> FileRecord:
    """Write codes as a plain .npy array of (n, n_bits // 8) uint8."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, np.lib.format.header_data_from_array_1_0(codes.packed)
    )
    path = layout.segments / f"{name}.npy"
    return write_file(path, [header.getvalue(), np.ascontiguousarray(codes.packed).data.cast("B")])


def open_segment(layout: Layout, record: SegmentRecord) -> Codes:
    """The codes of a segment, memory-mapped. Raises `DamagedError` unless every byte is sound."""
    path = layout.segments / record.file.name
    require_sound(path, record.file)
    shape = (record.n_rows, record.n_bits // 8)
    with plainly(path, "read"), open_plain(path) as stream:
        begin = _begin_of_codes(stream.read(_MAX_HEADER), shape)
        if begin < 0 or record.file.size != begin + shape[0] * shape[1]:
            raise DamagedError(
                f"{path}: expected uint8 codes of shape {shape}, got another file; "
                "index the collection again"
            )
        if shape[0] == 0:
            return Codes.empty(record.n_bits)
        return Codes(np.memmap(stream, np.uint8, "r", begin, shape))


def _begin_of_codes(head: bytes, shape: tuple[int, int]) -> int:
    """Where the rows begin in an .npy file with this beginning; -1 if it holds something else.

    Not `numpy.load`: whatever a header asks for, no more than its first bytes is looked at.
    """
    stream = io.BytesIO(head)
    try:
        if np.lib.format.read_magic(stream) != (1, 0):
            return -1
        found = np.lib.format.read_array_header_1_0(stream)
    # the parser of a stranger's header raises almost anything (SyntaxError, TokenError, ...)
    except Exception:
        return -1
    return stream.tell() if found == (shape, False, np.dtype(np.uint8)) else -1
