"""Before an absence is believed: that no live row is damaged, and that ids lead to their rows.

A row that is read is compared with its checksum, so damage never shows a wrong item. It could hide
one: a condition does not hold of damaged metadata, and a damaged index does not find an id. So
whoever concludes something from not finding a row looks at all of them first, once.
"""

from __future__ import annotations

import numpy as np
from sqlalchemy import select

from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import damaged
from hashret.store.catalog.sums import checksum

_PAGE = 10_000  # rows of a transaction: a writer need not wait for the whole of it


def require_sound_items(catalog: Catalog, live: np.ndarray, after: int = -1) -> None:
    """Raise `DamagedError` unless every row of `live` beyond `after` stands as it was written."""
    live = live[live > after]
    sound = [np.empty(0, np.int64)]
    i = t.items.c
    # a plain tuple of columns, as the checksum takes them: there may be millions
    query = select(i.row, i.id, i.content_hash, i.metadata, i.preview, i.added, i.checksum)
    while True:
        with catalog.transaction() as connection:
            page = query.where(i.row > after).order_by(i.row).limit(_PAGE)
            found = connection.execute(page).all()
        rows = [row for row, *rest, stated in found if checksum(row, *rest) == stated]
        sound.append(np.array(rows, np.int64))
        if len(found) < _PAGE:
            break
        after = found[-1][0]
    missing = np.setdiff1d(live, np.concatenate(sound), assume_unique=True)
    if len(missing):
        raise damaged(
            catalog.layout,
            f"expected {len(live)} rows as they were written",
            f"{len(missing)} others (row {missing[0]})",
        )


def require_sound_index(catalog: Catalog) -> None:
    """Raise `DamagedError` if the database finds something wrong with itself, indexes included."""
    faults = catalog.faults()
    if faults:
        raise damaged(catalog.layout, "expected a sound database", faults[0])
