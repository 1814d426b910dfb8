"""What indexing would do, found out without writing anything."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from hashret.coder import Coder
from hashret.errors import PayloadError, TrainingError
from hashret.items import Item
from hashret.specs import VectorSpec
from hashret.store.catalog.catalog import Catalog
from hashret.store.layout import Layout
from hashret.store.model_files import read_model
from indexer.corpus import Skipped
from indexer.corpus.files import refusal_of
from indexer.corpus.given import taken
from indexer.ingest.counts import Tally
from indexer.ingest.fit import spec_for
from indexer.ingest.intake import BATCH, DUPLICATE, item_digest
from indexer.ingest.packed import packing_warnings
from indexer.ingest.prepare import Preparer
from indexer.ingest.replacing_model import refusal, requiring_all
from indexer.ingest.sample import MAX_TRAINING_ITEMS, reservoir
from indexer.ingest.segments import features_kept
from indexer.refusals import Refused
from indexer.training.options import TrainingOptions


class Rehearsal:
    """An `Indexer` that only counts: its `fit`, `add`, `prune` and `commit` write nothing.

    Every payload is read and checked as the collection's model, or the one that would be learned,
    takes it. Nothing is learned or encoded, so an item that turns out to have no known feature
    still counts as one to add.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        *,
        catalog: str | None = None,
        workers: int | None = None,
        on_skipped: Callable[[Skipped], None] | None = None,
    ):
        """For the collection of items of `kind` at `path`, if there is one."""
        self.tally = Tally(on_skipped=on_skipped)
        self.description: dict[str, Any] = {}
        self.warnings: list[str] = []
        self.keeps_features: bool | None = None
        self.coder: Coder | None = None
        self._kind = kind
        self._catalog: Catalog | None = None
        self._is_anew = self._pruned = False
        self._found: set[str] = set()  # the collection's items that were given to `add`
        self._again: set[str] = set()  # and those that a new model would have
        with ExitStack() as opening:
            layout = Layout.require_place(path)
            if Layout.exists(path):
                self._open(opening.enter_context(Catalog.open(layout, address=catalog)))
            self._preparer = Preparer(kind, workers)
            opening.callback(self._preparer.close)
            self._exit = opening.pop_all()

    def _open(self, catalog: Catalog) -> None:
        self._catalog, last = catalog, catalog.last_commit()
        self._commit, self._n_items = last.commit, last.n_items
        self.keeps_features = features_kept(catalog)
        if last.model is not None:
            self.description, tensors = read_model(catalog.layout, catalog.model(last.model))
            self.coder = Coder.from_description(self.description, tensors)
            self._spec = self.coder.featurizer.spec

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._exit.close()

    def requiring_all(self, items: Iterable[Item | Skipped]) -> Iterator[Item | Skipped]:
        """As `Indexer.requiring_all`."""
        return iter(items) if self._catalog is None else requiring_all(items, self._catalog)

    def fit(
        self,
        items: Iterable[Item | Skipped],
        options: TrainingOptions | None = None,
        *,
        spec: Any = None,
    ) -> None:
        """Find what features would be learned; every item counts as one to add from now on.

        `warnings` says what is doubtful about them.
        """
        options = options or TrainingOptions()
        given = (item for item in taken(items) if isinstance(item, Item))
        payloads = [i.payload for i in reservoir(given, MAX_TRAINING_ITEMS, options.seed)]
        self._spec = spec_for(payloads, spec, self._preparer)
        if isinstance(self._spec, VectorSpec):
            self.warnings = packing_warnings(payloads, self._spec)
        self._is_anew = True

    def add(self, items: Iterable[Item | Skipped]) -> Tally:
        """Count what `Indexer.add` would make of `items`."""
        seen: set[str] = set()
        for page, known in self._pages(taken(items)):
            self._found |= known.keys()
            before = {} if self._is_anew else known
            changed = list(self._changed(page, before, seen))
            results = self._preparer.prepare([item.payload for item in changed], self._spec)
            for item, result in zip(changed, results, strict=True):
                if isinstance(result, Refused):
                    self.tally.skip(result.skipped(item.id))
                    continue
                self.tally.replaced += item.id in before
                self.tally.added += item.id not in before
                if item.id in known:
                    self._again.add(item.id)
        return self.tally

    def prune(self) -> int:
        """Count the items that would leave."""
        self._pruned = True
        if self._catalog is not None:
            kept = self._again if self._is_anew else self._found
            self.tally.removed = self._n_items - len(kept)
        return self.tally.removed

    def commit(self) -> None:
        """Raise what `Indexer` would: too few items, or some that a new model leaves behind."""
        if self._is_anew and self.tally.added < 2:
            raise TrainingError(
                f"items: expected at least 2 to learn from, got {self.tally.added}; add more items"
            )
        if self._catalog is None or not self._is_anew or self._pruned:
            return
        missing = self._n_items - len(self._again)
        if missing:
            pages = self._catalog.item_pages(self._commit)
            ids = (record.id for page in pages for record in page)
            raise refusal(self._catalog, missing, next(i for i in ids if i not in self._again))

    def _changed(
        self, page: Iterable[Item | Skipped], known: dict[str, bytes], seen: set[str]
    ) -> Iterator[Item]:
        """The items of a page that would be encoded; the others are counted."""
        for item in page:
            if isinstance(item, Skipped):
                self.tally.skip(item)
            elif item.id in seen:
                self.tally.skip(Skipped(item.id, DUPLICATE, "duplicate-id"))
            else:
                seen.add(item.id)
                try:
                    digest = item_digest(item, self._kind)
                except PayloadError as error:
                    self.tally.skip(Skipped(item.id, str(error), error.error_class))
                except OSError as error:
                    self.tally.skip(refusal_of(error).skipped(item.id))
                else:
                    if known.get(item.id) == digest:
                        self.tally.unchanged += 1
                    else:
                        yield item

    def _pages(
        self, items: Iterable[Item | Skipped]
    ) -> Iterator[tuple[list[Item | Skipped], dict[str, bytes]]]:
        """Pages of items with the content hashes that the collection, if there is one, knows."""
        stream = iter(items)
        while page := list(islice(stream, BATCH)):
            if self._catalog is None:
                yield page, {}
                continue
            rows = self._catalog.rows([item.id for item in page], self._commit)
            records = self._catalog.items(rows.values())
            yield page, {item_id: records[row].content_hash for item_id, row in rows.items()}
