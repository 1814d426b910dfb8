"""What is kept of a segment some of whose files are damaged: written anew, as another segment.

Items whose records can be read stay, without a code where the codes are damaged: then no model has
seen them (`Segment.is_pending`), and the next run that meets them, or a new model, encodes them.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np

from hashret.errors import DamagedError
from hashret.store.catalog.staging import Staging
from hashret.store.disk.damage import damaged
from hashret.store.disk.files import FileRecord, open_recorded, write_file
from hashret.store.layout import Layout
from hashret.store.segments.record_batch import batch_of, write_records
from hashret.store.segments.record_schema import DIGEST, ItemRecord
from hashret.store.segments.records import Records
from hashret.store.segments.segment import Segment
from hashret.store.segments.stored_items import StoredItems, open_records
from hashret.unicode_text import preview_of

_CHUNK = 1 << 20  # bytes
# In the place of a row that cannot be read, which is never shown.
_NOTHING = ItemRecord("", bytes(DIGEST), {}, "")


def readable(layout: Layout, segment: Segment) -> tuple[dict[int, ItemRecord], dict[int, str]]:
    """The live items of a segment that are known to be as they were, by row; the ids of the others.

    Rows are counted from 0. An item needs its id and metadata, and, where no model has seen it, its
    payload. An id is what it was if its checksum says so, or its hash that is sound itself. A
    preview is made again of the text; a digest that is lost is none, so that the item counts as
    changed when its source is indexed again. An id that can't be read is told by its row.
    """
    found: dict[int, ItemRecord] = {}
    live = segment.live(segment.n_rows).tolist()
    with suppress(DamagedError):
        records = open_records(layout, segment, streamed=True)
        for row in live:
            with suppress(DamagedError):
                found[row] = records.record(row)
        if len(found) < len(live):
            ids: dict[int, str] = {}
            with suppress(DamagedError):
                ids = dict(_as_it_is(layout, segment).index.vouched(records.index))
            items = StoredItems(layout, [replace(segment, first_row=0)])
            for row in live:
                with suppress(DamagedError):
                    found.setdefault(row, _rescued(records, items, segment, row, ids.get(row)))
    if len(found) == len(live):
        return found, {}
    names: dict[int, str] = {}
    with suppress(DamagedError, OSError):
        names = dict(_as_it_is(layout, segment).index.vouched())
    lost = {
        row: names.get(row, f"(row {segment.first_row + row}, whose id cannot be read)")
        for row in live
        if row not in found
    }
    return found, lost


def _rescued(
    records: Records, items: StoredItems, segment: Segment, row: int, vouched: str | None
) -> ItemRecord:
    """The item of a row some of which is damaged. Raises `DamagedError` for one that is lost."""
    item_id = vouched if vouched is not None else records.id(row)
    metadata, digest, payload = records.metadata(row), bytes(DIGEST), None
    with suppress(DamagedError):
        digest = records.digest(row)
    try:
        payload = records.payload(row)
    except DamagedError:
        if segment.is_pending:
            raise
    try:
        preview = records.preview(row)
    except DamagedError:
        text = items.text(row)
        if text is None:
            raise
        preview = preview_of(text)
    return ItemRecord(item_id, digest, metadata, preview, payload=payload)


def _as_it_is(layout: Layout, segment: Segment) -> Records:
    """A damaged file of records, of which nothing is to be believed."""
    records = segment.records
    if records is None:
        raise damaged(layout.root, f"records of {segment.name}", "none")
    path = layout.segments / records.name
    with open_recorded(path, records) as stream:
        sha256 = hashlib.sha256(stream.read()).hexdigest()
    return Records.open(path, replace(records, sha256=sha256, blocks=b""), segment.n_rows)


def rewrite(layout: Layout, staging: Staging, segment: Segment, lost: Collection[str]) -> None:
    """Stage a segment in the place of one of which the parts of these names are lost.

    Its rows are the same ones; those that can't be read any more are not shown.
    """
    staging.forget_segments([segment.name])
    removed = segment.removed
    items: dict[int, ItemRecord] = {}
    if "records" in lost:
        items, unreadable = readable(layout, segment)
        removed = np.union1d(removed, np.array(sorted(unreadable), np.uint32))
        if not items:
            return
    name, first = staging.new_segment()
    files: dict[str, Any] = {}
    for part, file in segment.files.items():
        is_of_codes = part in ("codes", "features")
        if part in lost or (is_of_codes and "codes" in lost):
            continue
        path = layout.part(name, part)
        files[part] = write_file(path, _chunks(layout, file), file.block)
    if "records" in lost:
        rows = [items.get(row, _NOTHING) for row in range(segment.n_rows)]
        files["records"] = write_records(layout, name, batch_of(rows))
    is_coded = "codes" in files
    n_coded, model = (segment.n_coded, segment.model) if is_coded else (0, "")
    new = Segment(name, first, segment.n_rows, n_coded, segment.n_bits, model, **files)
    staging.add_segment(new, [])
    staging.remove((first + removed.astype(np.int64)).tolist())


def _chunks(layout: Layout, file: FileRecord) -> Iterator[bytes]:
    with open_recorded(layout.segments / file.name, file) as stream:
        while chunk := stream.read(_CHUNK):
            yield chunk
