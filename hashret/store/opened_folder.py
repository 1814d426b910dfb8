"""Which folder was opened: is what stands at its path still the same?

A path says nothing: a nightly rebuild renames a new folder into the place of the old, or deletes it
and makes it anew. Devices and inodes tell them apart; the folder is kept open, so that no other one
is given its inode.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from hashret.errors import CollectionError, DamagedError
from hashret.store.disk.refusals import plainly, storage_error
from hashret.store.layout import Layout

_REFRESH = "call refresh() to move to what is there now"
_PUT_BACK = "put it back, or close this"


class OpenedFolder:
    """The folder of a collection, and the file of its catalog, as they were when it was opened."""

    def __init__(self, layout: Layout):
        """Raises `StorageError` where the folder can't be looked at."""
        self.root = layout.root
        self._layout = layout
        self._catalog = layout.catalog
        self._descriptor: int | None = None
        if hasattr(os, "O_DIRECTORY"):  # elsewhere an open folder can't be replaced
            with plainly(layout.root, "open"):
                self._descriptor = os.open(layout.root, os.O_RDONLY | os.O_DIRECTORY)
        self._opened = self._found()

    def close(self) -> None:
        """Let go of the folder."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _found(self) -> list[tuple[int, int] | None]:
        return [_identity(self._layout.root), _identity(self._catalog)]

    def change(self) -> str | None:
        """What became of it since: "deleted" or "replaced"; None if it still stands there."""
        found = self._found()
        if found == self._opened:
            return None
        return "deleted" if found[0] is None or not self._layout.has_catalog else "replaced"

    def require_unchanged(self, remedy: str = _REFRESH) -> None:
        """Raise CollectionError if another folder, or none, stands in its place."""
        if change := self.change():
            raise self._changed(change, remedy)

    def require_own_journal(self) -> None:
        """Raise CollectionError if there is a journal of another folder's catalog.

        SQLite looks for it by the path: it would be played into the file that was opened.
        """
        if os.path.lexists(self._layout.beside[0]):
            self.require_unchanged()

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Within it, what does not fit since the folder was replaced is not called damage.

        What else the system refuses is a `StorageError`.
        """
        try:
            yield
        except (DamagedError, OSError) as error:
            if change := self.change():
                raise self._changed(change, _REFRESH) from error
            if isinstance(error, CollectionError):
                raise
            raise storage_error(self._layout.root, "read", error) from error

    def _changed(self, change: str, remedy: str) -> CollectionError:
        if change == "deleted" and remedy == _REFRESH:
            remedy = _PUT_BACK
        return CollectionError(
            f"{self._layout.root}: expected the collection that was opened, got "
            f"{'none' if change == 'deleted' else 'another'}: the folder was {change} since it was "
            f"opened; {remedy}"
        )


def _identity(path: Path) -> tuple[int, int] | None:
    with suppress(OSError):
        found = path.stat()
        return found.st_dev, found.st_ino
    return None
