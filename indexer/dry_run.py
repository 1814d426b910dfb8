"""What indexing would do, found out without writing anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path

from hashret.errors import PayloadError
from hashret.items import Item
from hashret.store.catalog import Catalog
from hashret.store.layout import Layout
from indexer.corpus import Skipped
from indexer.corpus.files import refusal_of
from indexer.corpus.skipped import Refused
from indexer.intake import BATCH, DUPLICATE, item_digest
from indexer.prepare import Preparer
from indexer.tally import Tally


def rehearse(
    items: Iterable[Item | Skipped], to: Path, kind: str, tally: Tally, catalog: str | None = None
) -> Tally:
    """Count into `tally` what `Indexer.add` would make of `items`.

    Every payload is read and checked; nothing is learned or encoded, so an item that turns out
    to have no known feature still counts as one to add.
    """
    spec = None
    seen: set[str] = set()
    with closing(Preparer(kind)) as preparer:
        for page, known in _pages(items, to, catalog):
            if spec is None:
                spec = preparer.suggest_spec([i.payload for i in page if isinstance(i, Item)])
            changed = list(_changed(page, known, kind, seen, tally))
            results = preparer.prepare([item.payload for item in changed], spec)
            for item, result in zip(changed, results, strict=True):
                if isinstance(result, Refused):
                    tally.skip(result.skipped(item.id))
                elif item.id in known:
                    tally.replaced += 1
                else:
                    tally.added += 1
    return tally


def _changed(
    page: Iterable[Item | Skipped],
    known: dict[str, bytes],
    kind: str,
    seen: set[str],
    tally: Tally,
) -> Iterator[Item]:
    """The items of a page that would be encoded; the others are counted."""
    for item in page:
        if isinstance(item, Skipped):
            tally.skip(item)
        elif item.id in seen:
            tally.skip(Skipped(item.id, DUPLICATE, "duplicate-id"))
        else:
            seen.add(item.id)
            try:
                digest = item_digest(item, kind)
            except PayloadError as error:
                tally.skip(Skipped(item.id, str(error), error.error_class))
            except OSError as error:
                tally.skip(refusal_of(error).skipped(item.id))
            else:
                if known.get(item.id) == digest:
                    tally.unchanged += 1
                else:
                    yield item


def _pages(
    items: Iterable[Item | Skipped], to: Path, address: str | None
) -> Iterator[tuple[list[Item | Skipped], dict[str, bytes]]]:
    """Pages of items with the content hashes that the collection, if there is one, knows."""
    stream = iter(items)
    if not Layout.exists(to):
        while page := list(islice(stream, BATCH)):
            yield page, {}
        return
    with Catalog.open(Layout.find(to), address=address) as catalog:
        commit = catalog.last_commit().commit
        while page := list(islice(stream, BATCH)):
            rows = catalog.rows([item.id for item in page], commit)
            records = catalog.items(rows.values())
            yield page, {item_id: records[row].content_hash for item_id, row in rows.items()}
