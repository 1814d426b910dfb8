"""The model in use, and the items that another one in its place would lose.

Codes of two models can't be compared, so a commit has items of one model only.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Set
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hashret._backports import chunks
from hashret.coder import Coder
from hashret.errors import CollectionError
from hashret.items import Item
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.staging import Staging
from hashret.store.model_files import read_model
from hashret.store.segments.stored_items import StoredItems
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.ingest.documents import names_of

_PAGE = 1024  # items looked up at a time


@dataclass(frozen=True, slots=True)
class Model:
    """A model under the name that its commit knows it by; "" and no coder: none was learned yet."""

    name: str = ""
    coder: Coder | None = None
    description: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def in_use(cls, catalog: Catalog) -> Model:
        """That of the last commit."""
        name = catalog.last_commit().model
        if name is None:
            return cls()
        description, tensors = read_model(catalog.layout, catalog.model(name))
        return cls(name, Coder.from_description(description, tensors), description)

    @property
    def passages(self) -> int:
        """The words of the passages into which its texts are split; 0: they are whole."""
        return int(self.description.get("passages", 0))

    @property
    def n_kept(self) -> int:
        """How many features of an item are stored, where these are."""
        return 0 if self.coder is None else self.coder.n_kept


def last_items(catalog: Catalog) -> StoredItems:
    """The items of the last commit."""
    return catalog.items_of(catalog.last_commit())


def requiring_all(
    items: Iterable[Item | Skipped], catalog: Catalog, *, were_split: bool
) -> Iterator[Item | Skipped]:
    """Yield the same; at their end CollectionError if an item of the last commit was not there.

    Says before a training what `left_behind` says after it, but for items that can't be used. In
    memory of a byte a row. Where documents `were_split`, an item of the last commit is a passage
    of one of the `items`, whose ids are then kept in memory.
    """
    there = last_items(catalog)
    if were_split:
        given: set[str] = set()
        for one in taken(items):
            if isinstance(one, Item):
                given.add(one.id)
            yield one
        rows = list(there.rows())
        names = names_of(there, rows, were_split=True)
        lost = [row for row, name in zip(rows, names, strict=True) if name not in given]
        if lost:
            raise refusal(catalog, len(lost), there.id(lost[0]))
        return
    found = np.zeros(there.segments[-1].stop if there.segments else 0, bool)
    for page in chunks(taken(items), _PAGE):
        here = there.find([one.id for one in page if isinstance(one, Item)])
        found[list(here.values())] = True
        yield from page
    missing = [row for row in there.rows() if not found[row]]
    if missing:
        raise refusal(catalog, len(missing), there.id(missing[0]))


def left_behind(
    catalog: Catalog,
    staging: Staging,
    removed: Set[str],
    read: Set[str] = frozenset(),
    *,
    were_split: bool = False,
) -> tuple[int, str]:
    """How many items of the last commit are neither staged again nor `removed`, and one id.

    Not counted are the passages, if documents `were_split`, or the items, of documents that are
    there again: those that were `read` and split, and those that are items now.
    """
    missing, example = 0, ""
    there = last_items(catalog)
    for rows in chunks(there.rows(), _PAGE):
        ids = {there.id(row): row for row in rows}
        lost = ids.keys() - removed
        lost -= staging.items.find(sorted(lost)).keys()
        if lost and (read or were_split):
            names = names_of(there, [ids[one] for one in lost], were_split=were_split)
            again = read | staging.items.find(sorted(set(names))).keys()
            lost = {one for one, name in zip(lost, names, strict=True) if name not in again}
        if lost:
            missing, example = missing + len(lost), example or min(lost)
    return missing, example


def refusal(catalog: Catalog, missing: int, example: str) -> CollectionError:
    """The error for so many items that a new model would leave behind."""
    return CollectionError(
        f"{catalog.layout.root}: expected every item again for a new model, got all but {missing} "
        f"(as {example!r}); index them too, or prune (--prune) to let them go"
    )
