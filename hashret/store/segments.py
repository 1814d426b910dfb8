"""Segments: immutable files of packed codes, the truth that every index is built from."""

from __future__ import annotations

import io
from dataclasses import dataclass

import numpy as np

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.store.files import FileRecord, require_sound, write_file
from hashret.store.layout import Layout


@dataclass(frozen=True, slots=True)
class SegmentRecord:
    """The codes of rows `first_row` to ``first_row + n_rows - 1`` and the file they are in."""

    name: str
    first_row: int
    n_rows: int
    n_bits: int
    file: FileRecord


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
    packed = np.load(path, mmap_mode="r", allow_pickle=False)
    expected = (record.n_rows, record.n_bits // 8)
    if packed.shape != expected or packed.dtype != np.uint8:
        raise DamagedError(
            f"{path}: expected uint8 codes of shape {expected}, got {packed.dtype} of shape "
            f"{packed.shape}; index the collection again"
        )
    return Codes(packed)
