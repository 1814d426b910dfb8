"""What indexing would do, found out without writing anything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path

from hashret.errors import PayloadError
from hashret.features import FEATURIZERS
from hashret.items import Item
from hashret.registry import resolve
from hashret.store.catalog import Catalog
from hashret.store.layout import Layout
from indexer.corpus import Skipped
from indexer.tally import Tally
from indexer.writer import DUPLICATE, item_digest

_PAGE = 1024


def rehearse(items: Iterable[Item | Skipped], to: Path, kind: str, tally: Tally) -> Tally:
    """Count into `tally` what `Indexer.add` would make of `items`.

    Every payload is read and checked; nothing is learned or encoded, so an item that turns out
    to have no known feature still counts as one to add.
    """
    featurizer = resolve(FEATURIZERS, kind, "kind")
    spec = None
    seen: set[str] = set()
    for page, known in _pages(items, to):
        if spec is None:
            spec = featurizer.suggest_spec([i.payload for i in page if isinstance(i, Item)])
        for item in page:
            if isinstance(item, Skipped):
                tally.skip(item)
            elif item.id in seen:
                tally.skip(Skipped(item.id, DUPLICATE, "duplicate-id"))
            else:
                seen.add(item.id)
                try:
                    digest = item_digest(item, kind)
                    if known.get(item.id) == digest:
                        tally.unchanged += 1
                        continue
                    featurizer.prepare(item.payload, spec)
                except (PayloadError, OSError) as error:
                    tally.skip(Skipped(item.id, str(error), "bad-payload"))
                    continue
                if item.id in known:
                    tally.replaced += 1
                else:
                    tally.added += 1
    return tally


def _pages(
    items: Iterable[Item | Skipped], to: Path
) -> Iterator[tuple[list[Item | Skipped], dict[str, bytes]]]:
    """Pages of items with the content hashes that the collection, if there is one, knows."""
    stream = iter(items)
    if not Layout.exists(to):
        while page := list(islice(stream, _PAGE)):
            yield page, {}
        return
    with Catalog.open(Layout.find(to)) as catalog:
        commit = catalog.last_commit().commit
        while page := list(islice(stream, _PAGE)):
            rows = catalog.rows([item.id for item in page], commit)
            records = catalog.items(rows.values())
            yield page, {item_id: records[row].content_hash for item_id, row in rows.items()}
