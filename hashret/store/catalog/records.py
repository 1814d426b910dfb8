"""A row of the catalog as a record, believed only if its types and its checksum are right."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from hashret.errors import DamagedError
from hashret.store.catalog.sums import checksum, removal
from hashret.store.feature_files import SUFFIX as FEATURES
from hashret.store.files import FileRecord
from hashret.store.layout import Layout
from hashret.store.model_files import ModelRecord
from hashret.store.segments import SegmentRecord
from hashret.store.untrusted import require_name, require_number, require_object, require_types

MAX_ROW = 1 << 48
MAX_BITS = 1 << 16


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An item's row: its id, what it is known by, and what is shown of it."""

    row: int
    id: str
    content_hash: bytes
    metadata: dict[str, Any]
    preview: str


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """A commit: its number, when it was made (ISO, UTC), how many items it shows, its model."""

    commit: int
    created_at: str
    n_items: int
    model: str | None
    rows_sum: int = 0
    """Over the rows of these items (`catalog_sums.sum_of_rows`)."""


def damaged(layout: Layout, expected: str, got: str) -> DamagedError:
    """The error of a catalog that says something else than what was written."""
    return DamagedError(
        f"{layout.catalog}: {expected}, got {got}; `hashret verify` names the damage, "
        "`hashret repair` rescues what is sound"
    )


def item_of(layout: Layout, row: Any) -> ItemRecord:
    """The item of a whole row of `items`. Raises `DamagedError`."""
    content = (row.row, row.id, row.content_hash, row.metadata, row.preview, row.added)
    require_types(content, int, str, bytes, str, str, int)
    beside = None
    if row.removed is not None:
        require_types((row.removed,), int)
        beside = removal(row.row, row.removed)
    if checksum(*content) != row.checksum or beside != row.removal:
        raise damaged(layout, f"row {row.row}: expected its checksum to agree", "another")
    metadata = require_object(row.metadata)
    return ItemRecord(row.row, row.id, row.content_hash, metadata, row.preview)


def segment_of(layout: Layout, row: Sequence[Any], next_row: int) -> SegmentRecord:
    """The segment of a whole row of `segments`, not before `next_row`. Raises `DamagedError`."""
    _require_checksum(layout, row, "segment")
    name, first, n, bits, size, sha256, *kept = row[:8]
    require_name(name, "segment")
    require_types((first, n, bits, size, sha256), int, int, int, int, str)
    require_number(first, next_row, MAX_ROW, "rows in order")
    require_number(n, 0, MAX_ROW, "a number of rows")
    require_number(bits, 8, MAX_BITS, "a number of bits")
    features = None
    if kept != [None, None]:
        require_types(kept, int, str)
        features = FileRecord(f"{name}{FEATURES}", *kept)
    codes = FileRecord(f"{name}.npy", size, sha256)
    return SegmentRecord(name, first, n, bits, codes, features)


def model_of(layout: Layout, row: Sequence[Any]) -> ModelRecord:
    """The model of a whole row of `models`. Raises `DamagedError`."""
    _require_checksum(layout, row, "model")
    name, n_bits, stored_files = row[:3]
    require_name(name, "model")
    require_number(n_bits, 8, MAX_BITS, "a number of bits")
    files = {}
    for file, stored in require_object(stored_files).items():
        require_types(stored if isinstance(stored, list) else [stored], int, str)
        files[require_name(file, "file")] = FileRecord(file, *stored)
    return ModelRecord(name, n_bits, files)


def commit_of(row: Sequence[Any]) -> CommitRecord:
    """The commit of a whole row of `commits`. Raises `DamagedError`."""
    require_types(row, int, str, int, str, int, int)
    if checksum(*row[:-1]) != row[-1]:
        raise DamagedError(f"catalog: commit {row[0]}: expected its checksum to agree, got another")
    return CommitRecord(*row[:-1])


def _require_checksum(layout: Layout, row: Sequence[Any], noun: str) -> None:
    """Of a whole row whose last column is its checksum."""
    if checksum(*row[:-1]) != row[-1]:
        expected = f"{noun} {row[0]!r:.80}: expected its checksum to agree"
        raise damaged(layout, expected, "another")
