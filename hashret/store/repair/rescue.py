"""What is kept of a segment some of whose files are damaged: written anew, as another segment.

Items whose records can be read stay, without a code where the codes are damaged: then no model has
seen them (`Segment.is_pending`), and the next run that meets them, or a new model, encodes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace

import numpy as np

from hashret.errors import DamagedError
from hashret.store.catalog.records import PARTS
from hashret.store.catalog.staging import Staging
from hashret.store.files import FileRecord, open_recorded, write_file
from hashret.store.layout import Layout
from hashret.store.segments.record_batch import DIGEST, ItemRecord, batch_of, write_records
from hashret.store.segments.records import Records
from hashret.store.segments.segment import Segment
from hashret.store.segments.stored_items import open_records

_CHUNK = 1 << 20  # bytes
# In the place of a row that cannot be read, which is never shown.
_NOTHING = ItemRecord("", bytes(DIGEST), {}, "")


def readable(layout: Layout, segment: Segment) -> tuple[dict[int, ItemRecord], dict[int, str]]:
    """The live items of a segment whose records can be read, by row; and the ids of the others.

    Rows are counted from 0. An id that can't be read either is told by its row.
    """
    found: dict[int, ItemRecord] = {}
    live = segment.live(segment.n_rows).tolist()
    with suppress(DamagedError):
        records = open_records(layout, segment)
        for row in live:
            with suppress(DamagedError):
                found[row] = records.record(row)
    if len(found) == len(live):
        return found, {}
    names = _names(layout, segment)
    lost = {
        row: names.get(row, f"(row {segment.first_row + row}, whose id cannot be read)")
        for row in live
        if row not in found
    }
    return found, lost


def _names(layout: Layout, segment: Segment) -> dict[int, str]:
    """The ids that can be read in a damaged file of records, by row: each has its own checksum."""
    with suppress(DamagedError, OSError):
        if segment.records is not None:
            path = layout.segments / segment.records.name
            with open_recorded(path, segment.records) as stream:
                sha256 = hashlib.sha256(stream.read()).hexdigest()
            as_it_is = replace(segment.records, sha256=sha256, blocks=b"")
            return dict(Records.open(path, as_it_is, segment.n_rows).ids_of_hashes())
    return {}


def rewrite(layout: Layout, staging: Staging, segment: Segment, damaged: Collection[str]) -> None:
    """Stage a segment in the place of one whose parts of these names are damaged.

    Its rows are the same ones; those that can't be read any more are not shown.
    """
    staging.forget_segments([segment.name])
    removed = segment.removed
    items: dict[int, ItemRecord] = {}
    if "records" in damaged:
        items, lost = readable(layout, segment)
        removed = np.union1d(removed, np.array(sorted(lost), np.uint32))
        if not items:
            return
    name, first = staging.new_segment()
    files = {}
    for part, suffix in PARTS.items():
        file: FileRecord | None = getattr(segment, part)
        is_of_codes = part in ("codes", "features")
        if file is None or part in damaged or (is_of_codes and "codes" in damaged):
            continue
        files[part] = write_file(layout.segments / f"{name}{suffix}", _chunks(layout, file))
    if "records" in damaged:
        rows = [items.get(row, _NOTHING) for row in range(segment.n_rows)]
        files["records"] = write_records(layout, name, batch_of(rows))
    is_coded = "codes" in files
    new = Segment(
        name,
        first,
        segment.n_rows,
        segment.n_coded if is_coded else 0,
        segment.n_bits,
        segment.model if is_coded else "",
        files.get("codes"),
        files["records"],
        files.get("texts"),
        files.get("features"),
    )
    staging.add_segment(new, [])
    staging.remove((first + removed.astype(np.int64)).tolist())


def _chunks(layout: Layout, file: FileRecord) -> Iterator[bytes]:
    with open_recorded(layout.segments / file.name, file) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
