"""What a collection holds, as items to learn from or to encode again: no source is needed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashret.errors import CollectionError
from hashret.items import Item
from hashret.store.segments.stored_items import StoredItems


class StoredSource:
    """The items of some segments with their texts, which can be read any number of times."""

    def __init__(self, root: Path, items: StoredItems):
        """`root` is the collection's folder.

        Raises CollectionError where there is no item, or the text of one is not stored.
        """
        if not len(items):
            raise CollectionError(
                f"{root}: expected items to learn from, got none; pass them to fit, or add them"
            )
        if any(segment.texts is None for segment in items.segments):
            raise CollectionError(
                f"{root}: expected the text of every item to learn from, got items without; give "
                "the source again, as `hashret index SOURCE --retrain` does"
            )
        self._items = items

    def __iter__(self) -> Iterator[Item]:
        for row in self._items.rows():
            record = self._items.record(row)
            yield Item(record.id, self._items.text(row) or "", record.metadata)
