"""Which ids came in this run, and what is known of them: for a writer, and for its rehearsal."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence

import numpy as np

from hashret.errors import PayloadError
from hashret.store.segments.stored_items import StoredItems
from hashret.unicode_text import is_storable


class Seen:
    """The ids that came in, as marks on the rows of `items`, which the writer adds to meanwhile.

    That takes a byte a row; only ids that have no row (yet) are kept themselves.
    """

    def __init__(
        self, items: StoredItems, kept_from: int = sys.maxsize, next_row: int = sys.maxsize
    ):
        """Rows before `kept_from` are of former commits, those from `next_row` on of this run.

        Those between were staged by a run that was interrupted, and this one goes on from it.
        """
        self._items = items
        self.kept_from = kept_from
        self._next_row = next_row
        self._rows: dict[str, np.ndarray] = {}  # by segment
        self._ids: set[str] = set()

    def see(self, ids: Sequence[str]) -> tuple[set[str], dict[str, tuple[int, bytes]]]:
        """Mark ids as seen.

        Returns those of them that had been seen before, and the row and digest of each that stands
        in the collection and was seen by a model. Raises `PayloadError` for an id that cannot be
        stored (a lone surrogate, a NUL).
        """
        for item_id in ids:
            if not is_storable(item_id):
                raise PayloadError(
                    f"id: expected Unicode text without NUL, got {item_id!r}; give it another id"
                )
        rows = self._items.find(ids)
        before = set()
        for item_id in dict.fromkeys(ids):
            row = rows.get(item_id)
            if row is None:
                if item_id in self._ids:
                    before.add(item_id)
                self._ids.add(item_id)
            elif row >= self._next_row or self._was_seen(row):
                before.add(item_id)
        return before, self._items.known(rows)

    def _was_seen(self, row: int) -> bool:
        """Whether a row was seen before; now it was."""
        segment, offset = self._items.place(row)
        seen = self._rows.setdefault(segment.name, np.zeros(segment.n_rows, bool))
        was, seen[offset] = bool(seen[offset]), True
        return was

    def have_rows(self, ids: Iterable[str]) -> None:
        """Items of these ids were added."""
        self._ids.difference_update(ids)

    def begin(self, next_row: int) -> None:
        """Take what was staged up to now for what the collection held before, and not seen yet."""
        self.kept_from = self._next_row = next_row
        self._rows.clear()
        self._ids.clear()

    def unseen(self) -> np.ndarray:
        """The live rows of former commits that were not seen, increasing."""
        return self._unseen(0, self.kept_from)

    def unseen_kept(self) -> np.ndarray:
        """The live rows that an interrupted run staged and that were not seen, increasing."""
        return self._unseen(self.kept_from, self._next_row)

    def _unseen(self, start: int, stop: int) -> np.ndarray:
        parts = [np.empty(0, np.int64)]
        for segment in self._items.segments:
            if start <= segment.first_row < stop:
                live = segment.live(segment.n_rows)
                if segment.name in self._rows:
                    live = live[~self._rows[segment.name][live]]
                parts.append(segment.first_row + live)
        return np.concatenate(parts)
