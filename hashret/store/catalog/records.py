"""A row of the catalog as a record, believed only if its types and its checksum are right.

Every row of every table carries a checksum over all its values; which segments and removed rows a
commit shows is covered by the commit's `state`, and which commit is the last one by a row of
`meta`. They find damage, not malice: who changes a row on purpose can change its checksum too.
"""

from __future__ import annotations

import hashlib
import json
import re
from base64 import b64decode, b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from hashret.errors import DamagedError
from hashret.store.catalog.tables import FORMAT_VERSION
from hashret.store.disk.damage import INDEX_AGAIN, damaged
from hashret.store.disk.files import FileRecord
from hashret.store.layout import PARTS, Layout
from hashret.store.model_files import ModelRecord
from hashret.store.segments.segment import Segment

#: Keys of `meta`: the checksum of what never changes, that of the newest commit's row, and the
#: folders that were indexed.
FIXED, LAST, FOLDERS = "checksum", "last", "folders"
#: The folders that are remembered, the latest first.
MOST_FOLDERS = 16
MAX_ROW = 1 << 48
MAX_ROWS = 1 << 32  # of one segment
MAX_BITS = 1 << 16
# Bytes that the records of an item take at least: a digest, a hash, its row and two offsets.
_LEAST = 36
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,99}")
_REPAIR = "`hashret verify` names the damage, `hashret repair` rescues what is sound"
#: What is expected of a row, and what is got, where it is not as it was written.
DISAGREES = "its checksum to agree", "another"


@dataclass(frozen=True, slots=True)
class CommitRecord:
    """A commit: its number, when it was made (ISO, UTC), how many items it shows, its model."""

    commit: int
    created_at: str
    n_items: int
    n_uncoded: int = 0
    """How many of these items have no code."""
    model: str | None = None
    state: int = 0
    """Over its segments and removed rows (`state_of`)."""


class SourceFolder(NamedTuple):
    """A folder that was indexed, an absolute path, and what stands before its items' ids."""

    path: str
    prefix: str = ""


def checksum(*values: Any) -> int:
    """The first 8 bytes, signed, of BLAKE2b over the values in order: str, int, bytes or None."""
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        part = value if type(value) is bytes else str(value).encode()
        digest.update(len(part).to_bytes(8, "little") + part)
    return int.from_bytes(digest.digest(), "little", signed=True)


def state_of(segments: Iterable[Segment]) -> int:
    """A checksum over the segments, in order, and the rows of each that are not shown."""
    return checksum(
        *(checksum(s.name, s.first_row, s.n_rows, s.n_coded, s.removed.tobytes()) for s in segments)
    )


def unlike(layout: Layout, what: str, expected: str, got: object) -> DamagedError:
    """The error for a catalog that says something else of `what` than was written."""
    return damaged(f"{layout.catalog}: {what}", expected, got, _REPAIR)


def sealed(*values: Any) -> tuple[Any, ...]:
    """A whole row of a table: its values, and their checksum."""
    return (*values, checksum(*values))


def row_of_segment(segment: Segment, added: int, removed: int | None = None) -> tuple[Any, ...]:
    """The whole row of `segments`, as `segment_of` reads it."""
    s = segment
    files = {
        part: [file.size, file.sha256, b64encode(file.blocks).decode()]
        for part, file in s.files.items()
    }
    about = (s.name, s.first_row, s.n_rows, s.n_coded, s.n_bits, s.model)
    return sealed(*about, json.dumps(files), added, removed)


def segment_of(layout: Layout, row: Sequence[Any], next_row: int) -> Segment:
    """The segment of a whole row of `segments`, not before `next_row`. Raises `DamagedError`."""
    _require_checksum(layout, row, "segment")
    name, first, n, coded, bits, model, files = row[:7]
    require_name(name, "segment")
    require_types((first, n, coded, bits, model), int, int, int, int, str)
    require_number(first, next_row, MAX_ROW, "rows in order")
    require_number(coded, 0, n, "a number of codes")
    require_number(bits, 8, MAX_BITS, "a number of bits")
    found: dict[str, Any] = {}  # of FileRecord
    for part, stored in require_object(files).items():
        if part not in PARTS:
            raise unlike(layout, f"segment {name}", "files of hashret", repr(part)[:80])
        found[part] = _file_of(layout, f"{name}{PARTS[part]}", stored)
    most = found["records"].size // _LEAST if "records" in found else 0
    require_number(n, 1, min(MAX_ROWS, most), "a number of rows")
    if ("codes" in found) != bool(coded) or "records" not in found:
        raise unlike(layout, f"segment {name}", "codes and records", ", ".join(found))
    return Segment(name, first, n, coded, bits, model, **found)


def row_of_removal(segment: str, added: int, cause: str, rows: np.ndarray) -> tuple[Any, ...]:
    """The whole row of `removals`, as `removal_of` reads it."""
    return sealed(segment, added, cause, rows.astype("<u4").tobytes())


def removal_of(layout: Layout, row: Sequence[Any]) -> tuple[str, np.ndarray]:
    """The segment and its removed rows, (n,) uint32, of a whole row of `removals`."""
    segment, added, cause, rows, stated = row
    rows = bytes(rows) if isinstance(rows, memoryview) else rows
    require_types((segment, added, cause, rows), str, int, str, bytes)
    _require_checksum(layout, (segment, added, cause, rows, stated), "removal")
    if len(rows) % 4:
        raise unlike(layout, f"removal of {segment!r:.80}", "rows", f"{len(rows)} bytes")
    return segment, np.frombuffer(rows, "<u4")


def model_of(layout: Layout, row: Sequence[Any]) -> ModelRecord:
    """The model of a whole row of `models`. Raises `DamagedError`."""
    _require_checksum(layout, row, "model")
    name, n_bits, stored_files = row[:3]
    require_name(name, "model")
    require_number(n_bits, 8, MAX_BITS, "a number of bits")
    files = require_object(stored_files).items()
    found = {file: _file_of(layout, require_name(file, "file"), stored) for file, stored in files}
    return ModelRecord(name, n_bits, found)


def _file_of(layout: Layout, name: str, stored: Any) -> FileRecord:
    """A file by its size and SHA-256, and for one of a segment the digests of its blocks."""
    given = stored if isinstance(stored, list) else [stored]
    require_types(given, int, str, *[str] * (len(given) - 2))
    size, sha256, *blocks = given
    try:
        return FileRecord(name, size, sha256, b64decode("".join(blocks)))
    except ValueError as error:
        raise unlike(layout, f"file {name}", "base64", error) from error


def row_of_commit(record: CommitRecord) -> tuple[Any, ...]:
    """The whole row of `commits`, as `commit_of` reads it."""
    r = record
    return sealed(r.commit, r.created_at, r.n_items, r.n_uncoded, r.model or "", r.state)


def commit_of(row: Sequence[Any]) -> CommitRecord:
    """The commit of a whole row of `commits`. Raises `DamagedError`."""
    require_types(row, int, str, int, int, str, int, int)
    if checksum(*row[:-1]) != row[-1]:
        raise damaged(f"catalog: commit {row[0]}", *DISAGREES)
    require_number(row[0], 1, MAX_ROW, "a commit")
    commit, created_at, n_items, n_uncoded, model, state = row[:-1]
    if model:  # its folder is named so
        require_name(model, "model")
    return CommitRecord(commit, created_at, n_items, n_uncoded, model or None, state)


def rows_of_meta(kind: str, last: str = "") -> list[dict[str, str]]:
    """The rows of `meta`; `last` is the checksum of the last commit, "" before the first."""
    rows = {"format": str(FORMAT_VERSION), "kind": kind, LAST: last}
    rows[FIXED] = str(checksum(rows["format"], kind))
    return [{"key": key, "value": value} for key, value in rows.items()]


def value_of_folders(folders: Sequence[SourceFolder]) -> str:
    """The folders as a value of `meta`, as `folders_of` reads it."""
    return json.dumps({"folders": folders, "checksum": _of_folders(folders)})


def folders_of(value: str) -> tuple[SourceFolder, ...] | None:
    """The folders of a value of `meta`; None where it is damaged."""
    try:
        found = json.loads(value)
        folders = tuple(SourceFolder(*pair) for pair in found["folders"])
        if found["checksum"] == _of_folders(folders):
            return folders
    except (ValueError, TypeError, LookupError, RecursionError):
        pass
    return None


def _of_folders(folders: Sequence[SourceFolder]) -> int:
    return checksum(*(json.dumps(part) for folder in folders for part in folder))


def _require_checksum(layout: Layout, row: Sequence[Any], noun: str) -> None:
    """Of a whole row whose last column is its checksum."""
    if checksum(*row[:-1]) != row[-1]:
        raise unlike(layout, f"{noun} {row[0]!r:.80}", *DISAGREES)


def require_name(name: Any, what: str) -> str:
    """The name of a file of the collection; raises `DamagedError` for one that leads elsewhere."""
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise damaged("catalog", f"the name of a {what}", f"{name!r:.80}")
    return name


def require_number(value: Any, low: int, high: int, what: str) -> int:
    """An integer from `low` to `high`, both inclusive; raises `DamagedError` for anything else."""
    if type(value) is not int or not low <= value <= high:
        raise damaged("catalog", f"{what} from {low} to {high}", f"{value!r:.80}")
    return value


def require_types(row: Iterable[Any], *types: type) -> None:
    """Raise `DamagedError` unless the values of a row have these types: SQLite promises none."""
    values = list(row)
    if len(values) != len(types):
        raise damaged("catalog", f"{len(types)} values", len(values))
    for value, expected in zip(values, types, strict=True):
        if type(value) is not expected:
            got = f"{type(value).__name__} {value!r:.40}"
            raise damaged("catalog", expected.__name__, got)


def require_object(text: str) -> dict[str, Any]:
    """The JSON object that a text of the catalog is; raises `DamagedError` for anything else."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise damaged("catalog", "JSON", error, INDEX_AGAIN) from error
    if not isinstance(found, dict):
        raise damaged("catalog", "a JSON object", repr(text[:40]), INDEX_AGAIN)
    return found
