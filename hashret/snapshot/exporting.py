"""Write the items of a commit with their codes into one file, for other programs."""

from __future__ import annotations

from pathlib import Path

from hashret.arguments import require_instance
from hashret.outside.exports import Contents, ExportOrder, rows_of, write_export
from hashret.snapshot.snapshot import Snapshot


def export(snapshot: Snapshot, path: Path, order: ExportOrder, where: str | None) -> int:
    """Write the items that satisfy `where`, or all; how many they were. See `Collection.export`."""
    require_instance("order", order, str)
    if order not in ("rows", "ids"):
        raise ValueError(f"order: expected 'rows' or 'ids', got {order!r}; choose one of these")
    rows = snapshot.rows_by_id(where) if order == "ids" else snapshot.rows_in_order(where)
    n_bits = 0 if snapshot.model is None else snapshot.model.n_bits
    with snapshot.folder.reading():
        records = [snapshot.items.records(segment) for segment in snapshot.segments]
        found = rows_of(snapshot.items, rows, snapshot.rows, snapshot.packed)
        return write_export(path, Contents(found, n_bits, records))
