"""The items of a snapshot in one file, for other programs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np

from hashret._backports import chunks
from hashret.snapshot import Snapshot
from hashret.store.exports import Contents, Row, write_export

#: "rows": those with a code row for row with the codes; of each segment those without one follow.
ExportOrder = Literal["rows", "ids"]
_PAGE = 1024  # items whose codes are looked for at a time


def export(snapshot: Snapshot, path: Path, order: ExportOrder, where: str | None) -> int:
    """Write the items that satisfy `where`, or all, to `path`; how many they were.

    Raises ValueError for another order, and what `hashret.store.exports.write_export` raises.
    """
    if order not in ("rows", "ids"):
        raise ValueError(f"order: expected 'rows' or 'ids', got {order!r}; choose one of these")
    rows = snapshot.rows_by_id(where) if order == "ids" else snapshot.rows_in_order(where)
    n_bits = 0 if snapshot.model is None else snapshot.model.n_bits
    with snapshot.folder.reading():
        records = [snapshot.items.records(segment) for segment in snapshot.segments]
    return write_export(path, Contents(_rows(snapshot, rows), n_bits, records))


def _rows(snapshot: Snapshot, rows: Iterable[int]) -> Iterator[Row]:
    items, packed = snapshot.items, snapshot.packed
    for page in chunks(rows, _PAGE):
        for row, position in zip(page, snapshot.rows.find(np.array(page)).tolist(), strict=True):
            with snapshot.folder.reading():
                item = items.record(row, with_text=True)
            yield Row(item, packed[position].tobytes() if position >= 0 else None)
