"""Split documents into passages, and know which of their former passages are left over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence, Set

import numpy as np

from hashret.items import Item
from hashret.store.segments.stored_items import StoredItems
from hashret.where.conditions import AnyOf, Field
from indexer.corpus import Skipped
from indexer.corpus.passages import passages_of

#: The field of a passage's metadata that names its document.
DOCUMENT = "document"
_DUPLICATE = (
    "duplicate id: expected each document once, got it again; rename one, or see --id-prefix"
)


def split(items: Iterable[Item | Skipped], words: int) -> Iterator[Item | Skipped]:
    """The passages of the items, of about so many words; what was skipped as it is."""
    for one in items:
        if isinstance(one, Item):
            yield from passages_of(one, words)
        else:
            yield one


class Documents:
    """The documents that came in during a run and were split.

    `read` are the ids of those of which all passages came, `unread` of those that can't be used.
    """

    def __init__(self) -> None:
        self.read: set[str] = set()
        self.unread: set[str] = set()

    def split(self, items: Iterable[Item | Skipped], words: int) -> Iterator[Item | Skipped]:
        """As `split`; a document that came before in this run is skipped as a whole."""
        for one in items:
            if one.id in self.read or one.id in self.unread:
                yield Skipped(one.id, _DUPLICATE, "duplicate-id")
                continue
            n_passages = 0
            for part in split([one], words):
                n_passages += isinstance(part, Item) and part is not one
                yield part
            (self.read if n_passages else self.unread).add(one.id)

    def left_over(self, items: StoredItems, unseen: np.ndarray) -> np.ndarray:
        """Those of the rows not seen in this run that are passages of documents that were read."""
        return _passages(items, self.read, unseen)

    def withheld(self, items: StoredItems, unseen: np.ndarray) -> np.ndarray:
        """Those of the rows not seen in this run whose documents can't be used any more."""
        return _passages(items, self.unread, unseen)


def _passages(items: StoredItems, documents: Set[str], rows: np.ndarray) -> np.ndarray:
    """Those of the rows, increasing, that are passages of these documents."""
    if not len(rows) or not documents:
        return rows[:0]
    of_documents = items.rows_where(AnyOf(Field((DOCUMENT,)), tuple(documents)))
    return np.intersect1d(rows, of_documents, assume_unique=True)


def names_of(items: StoredItems, rows: Sequence[int], *, were_split: bool) -> list[str]:
    """The id of the document of each row: its own where documents were not split."""
    if not were_split:
        return [items.id(row) for row in rows]
    found = (items.shown(row) for row in rows)
    return [metadata.get(DOCUMENT, item_id) for item_id, metadata, _ in found]
