"""Check the items that a program passes in: each is accepted or reported as skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from hashret.errors import PayloadError
from hashret.items import Item, metadata_of
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import ids
from indexer.corpus.passages import Outlined


def taken(items: Iterable[Any]) -> Iterator[Item | Skipped]:
    """Every element of `items`, in order, as an `Item` with a `str` id and JSON metadata.

    An element that is no item, or whose id or metadata is not accepted (`hashret.items.id_of`,
    `metadata_of`), becomes a `Skipped` with the reason; without a usable id, its place is its id,
    such as ``items[17]``. Raises TypeError if `items` is not an iterable of items.
    """
    if isinstance(items, str | bytes | Mapping | Item | Skipped) or not isinstance(items, Iterable):
        raise TypeError(
            f"items: expected an iterable of Item, got {type(items).__name__}; pass a list of Item"
        )
    return (_taken(one, place) for place, one in enumerate(items))


def _taken(one: Any, place: int) -> Item | Skipped:
    if isinstance(one, Skipped):
        return one
    if not isinstance(one, Item):
        reason = f"expected an Item, got {type(one).__name__}; make one as Item(id, payload)"
        return Skipped(f"items[{place}]", reason, "bad-item")
    try:
        item_id = ids.checked(one.id)
    except Refused as refused:
        return refused.skipped(f"items[{place}]")
    try:
        metadata = metadata_of(one.metadata)
        if isinstance(one, Outlined):
            return Outlined(item_id, one.payload, metadata, one.outline)
        return Item(item_id, one.payload, metadata)
    except PayloadError as error:
        return Skipped(item_id, str(error), error.error_class)
