"""What is there of an item's payload? What the collection keeps of it, or the file it came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from hashret.errors import CollectionError
from hashret.features.base import item_digest
from hashret.items import Item
from hashret.kinds import kind_of
from hashret.store.originals import read_original

if TYPE_CHECKING:
    from hashret.features.centred import CentredFeaturizer
    from hashret.snapshot.snapshot import Snapshot


def kept_payload(snapshot: Snapshot, row: int) -> Any:
    """The text of a row, or the small image, as the model's featurizer takes it; None if not kept.

    Raises `DamagedError`.
    """
    if kind_of(snapshot.kind).stores_texts:
        return snapshot.text_of(row)
    with snapshot.folder.reading():
        data = snapshot.items.record(row).payload
    featurizer = cast("CentredFeaturizer[Any]", snapshot.coder.featurizer)
    return None if data is None else featurizer.kept(data)


def original(snapshot: Snapshot, item_id: str) -> bytes:
    """The file that an item was indexed from; see `Snapshot.original`."""
    (row,) = snapshot.require_rows([item_id])
    with snapshot.folder.reading():
        _, metadata, _ = snapshot.items.shown(row)
        digest = snapshot.items.digest(row)
    root = snapshot.layout.root
    if not snapshot.folders:
        raise CollectionError(
            f"{root}: expected the folder that was indexed, got none recorded; index its folder "
            "again"
        )
    for folder in snapshot.folders:
        content = read_original(folder, item_id)
        if content is not None:
            found = item_digest(Item(item_id, content, metadata), snapshot.kind)
            if found.startswith(digest):
                return content
    raise CollectionError(
        f"{root}: expected the file of {item_id!r:.200} as it was indexed, got none or another; "
        "index its folder again"
    )
