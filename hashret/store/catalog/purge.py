"""Delete for good what no commit shows any more that somebody may read."""

from __future__ import annotations

from sqlalchemy import delete, or_, select

from hashret.store.catalog import tables as t
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.leases import out_of_reach
from hashret.store.catalog.staging import forget_staged
from hashret.store.disk.file_systems import network_mount


def purge(catalog: Catalog) -> int | None:
    """Delete rows, commits and files that were replaced before any commit that is being read.

    For the holder of the writer lock, with nothing staged. Returns the oldest commit that can
    be read now: the last one where nobody reads an older one, None where nobody says what is read
    and nothing was deleted. A kill leaves files that the next writer deletes.
    """
    if not catalog.is_local or network_mount(catalog.layout.root) is not None:
        return None  # readers on other machines are out of sight
    with out_of_reach(catalog.layout, catalog.last_commit().commit) as oldest:
        if oldest and _forget_before(catalog, oldest):
            forget_staged(catalog)  # and with it the files that no row names any more
            catalog.shrink()
    return oldest


def _forget_before(catalog: Catalog, oldest: int) -> bool:
    """Delete the rows of every commit before `oldest` that `oldest` does not need; if there are."""
    with catalog.transaction() as connection:
        gone = [
            connection.execute(delete(t.segments).where(t.segments.c.removed <= oldest)),
            connection.execute(delete(t.commits).where(t.commits.c.commit < oldest)),
        ]
        there = select(t.segments.c.name)
        gone.append(
            connection.execute(delete(t.removals).where(t.removals.c.segment.not_in(there)))
        )
        named = [select(table.c.model) for table in (t.commits, t.segments)]
        unnamed = ~or_(*(t.models.c.name.in_(names) for names in named))
        gone.append(connection.execute(delete(t.models).where(unnamed)))
    return any(result.rowcount for result in gone)
