"""Segments: ranges of rows in immutable files, the truth that every index is built from.

The first `n_coded` rows of a segment have codes (and features, where the collection keeps them);
the rows after them are items that no code could be made of.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np

from hashret.codes import Codes
from hashret.store.disk.damage import INDEX_AGAIN, damaged
from hashret.store.disk.files import FileRecord, require_sound, write_file
from hashret.store.disk.refusals import plainly
from hashret.store.disk.untrusted import open_plain
from hashret.store.layout import PARTS, Layout

_MAX_HEADER = 4096  # bytes
NOTHING = np.empty(0, np.uint32)


@dataclass(frozen=True, slots=True)
class Segment:
    """Rows `first_row` to ``first_row + n_rows - 1`` of a collection, at one commit."""

    name: str
    first_row: int
    n_rows: int
    n_coded: int
    n_bits: int
    model: str
    """The model that its items were encoded by, "" where none has seen them yet."""
    codes: FileRecord | None = None
    """None where no row has a code."""
    records: FileRecord | None = None
    """The file of ids and metadata (`record_schema`); None in a collection of format 2."""
    texts: FileRecord | None = None
    """The file of the texts, where they are kept (`value_files`)."""
    features: FileRecord | None = None
    """The file of the coded rows' input features, where they are kept (`feature_files`)."""
    thumbnails: FileRecord | None = None
    """The file of the thumbnails of images, where they are kept (`value_files`)."""
    removed: np.ndarray = field(default_factory=lambda: NOTHING, compare=False)
    """The rows of the segment, counted from 0, that the commit does not show, sorted uint32."""

    @property
    def is_pending(self) -> bool:
        """Whether no model has seen its items yet."""
        return not self.model

    @property
    def stop(self) -> int:
        """The row after the last."""
        return self.first_row + self.n_rows

    @property
    def n_live(self) -> int:
        """The number of items that the commit shows."""
        return self.n_rows - len(self.removed)

    @property
    def removed_codes(self) -> np.ndarray:
        """Those of the removed rows that have a code."""
        return self.removed[: int(np.searchsorted(self.removed, self.n_coded))]

    @property
    def n_live_codes(self) -> int:
        """The number of codes of rows that the commit shows."""
        return self.n_coded - len(self.removed_codes)

    @property
    def files(self) -> dict[str, FileRecord]:
        """The files of the segment, by the names of the fields above."""
        return {part: file for part in PARTS if (file := getattr(self, part)) is not None}

    def hides(self, row: int) -> bool:
        """Whether this row of the segment, counted from 0, is removed."""
        at = int(np.searchsorted(self.removed, row)) if len(self.removed) else 0
        return at < len(self.removed) and bool(self.removed[at] == row)

    def live(self, n: int) -> np.ndarray:
        """The live ones of the first `n` rows of the segment, counted from 0, (m,) int64."""
        shown = np.ones(n, bool)
        shown[self.removed[: int(np.searchsorted(self.removed, n))]] = False
        return np.flatnonzero(shown)


def write_codes(layout: Layout, name: str, codes: Codes) -> FileRecord:
    """Write codes as a plain .npy array of (n, n_bits // 8) uint8."""
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        header, np.lib.format.header_data_from_array_1_0(codes.packed)
    )
    path = layout.part(name, "codes")
    return write_file(path, [header.getvalue(), np.ascontiguousarray(codes.packed).data.cast("B")])


def open_codes(layout: Layout, segment: Segment) -> Codes:
    """The codes of a segment, memory-mapped. Raises `DamagedError` unless every byte is sound."""
    shape = (segment.n_coded, segment.n_bits // 8)
    if segment.codes is None:
        return Codes.empty(segment.n_bits)
    path = layout.segments / segment.codes.name
    require_sound(path, segment.codes)
    with plainly(path, "read"), open_plain(path) as stream:
        begin = _begin_of_codes(stream.read(_MAX_HEADER), shape)
        if begin < 0 or segment.codes.size != begin + shape[0] * shape[1]:
            raise damaged(path, f"uint8 codes of shape {shape}", "another file", INDEX_AGAIN)
        # as a plain array: those of NumPy's own class for a map are slow to cut
        return Codes(np.memmap(stream, np.uint8, "r", begin, shape).view(np.ndarray))


#: Packed codes of the live rows of segments, by the name of each and its removed rows.
PackedParts = dict[tuple[str, bytes], np.ndarray]


def packed_parts(segments: Sequence[Segment], packed: np.ndarray) -> PackedParts:
    """The part of each segment in `packed`, which `live_codes` made of the segments."""
    parts: PackedParts = {}
    at = 0
    for segment in segments:
        if segment.n_coded:
            end = at + segment.n_live_codes
            parts[segment.name, segment.removed_codes.tobytes()] = packed[at:end]
            at = end
    return parts


def live_codes(
    layout: Layout, segments: Sequence[Segment], n_bits: int, known: PackedParts
) -> Codes:
    """The codes of the live rows of all segments, in one array.

    Each segment is mapped, copied and let go of, so the memory is that of the result; of a single
    one with nothing removed the map itself is the result. What is `known` is copied from there.
    Raises `DamagedError` for a damaged segment, and for codes of another length.
    """
    segments = [segment for segment in segments if segment.n_coded]
    if len(segments) == 1 and not len(segments[0].removed_codes) and segments[0].n_bits == n_bits:
        return open_codes(layout, segments[0])
    n_codes = sum(segment.n_live_codes for segment in segments)
    packed = np.empty((n_codes, n_bits // 8), np.uint8)
    at = 0
    for segment in segments:
        if segment.n_bits != n_bits:
            got, remedy = f"{segment.n_bits} in {segment.name}", "`hashret verify` names the damage"
            raise damaged(layout.root, f"codes of {n_bits} bits", got, remedy)
        codes = known.get((segment.name, segment.removed_codes.tobytes()))
        if codes is None:
            codes = open_codes(layout, segment).packed
            if len(segment.removed_codes):
                codes = codes[segment.live(segment.n_coded)]
        packed[at : at + len(codes)] = codes
        at += len(codes)
    return Codes(packed)


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
