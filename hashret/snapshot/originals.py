"""The file that an item was indexed from, if it still is what it was."""

from __future__ import annotations

from collections.abc import Sequence

from hashret.errors import CollectionError
from hashret.features.base import item_digest
from hashret.items import Item
from hashret.outside.originals import read_original
from hashret.store.catalog.records import SourceFolder
from hashret.store.layout import Layout
from hashret.store.segments.stored_items import StoredItems


def indexed_file(
    layout: Layout, items: StoredItems, row: int, folders: Sequence[SourceFolder], kind: str
) -> bytes:
    """The content of a row's file in one of the folders, as its digest says it was.

    Raises CollectionError where it is not to be had, and `DamagedError`.
    """
    item_id, metadata, _ = items.shown(row)
    digest = items.digest(row)
    if not folders:
        raise CollectionError(
            f"{layout.root}: expected the folder that was indexed, got none recorded; index its "
            "folder again"
        )
    for folder in folders:
        content = read_original(folder, item_id)
        if content is not None:
            found = item_digest(Item(item_id, content, metadata), kind)
            if found.startswith(digest):
                return content
    raise CollectionError(
        f"{layout.root}: expected the file of {item_id!r:.200} as it was indexed, got none or "
        "another; index its folder again"
    )
