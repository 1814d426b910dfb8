"""Rehearse indexing: count what it would do, without writing anything."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from hashret.coder import Coder
from hashret.errors import EmptyCorpusError, HashretError, TrainingError
from hashret.features.base import Featurizer
from hashret.items import Item
from hashret.specs import VectorSpec
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.opening import open_if_made
from hashret.store.layout import Layout
from hashret.store.segments.stored_items import StoredItems
from hashret.workers.refusals import Refused
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.fitting.features import fit_features, note_on, spec_for
from indexer.fitting.options import options_for
from indexer.ingest.counts import Stopwatch, Tally
from indexer.ingest.documents import Documents, names_of, split
from indexer.ingest.encode import usable_features
from indexer.ingest.intake import Intake
from indexer.ingest.keeping import features_kept, images_kept, texts_kept
from indexer.ingest.model_in_use import Model, last_items, refusal, requiring_all
from indexer.ingest.prepare import Preparer
from indexer.ingest.sample import MAX_TRAINING_ITEMS, sampled_with_labels
from indexer.ingest.stored_codes import StoredCodes
from indexer.training.options import AS_GIVEN, TrainingOptions
from indexer.training.report import few_warnings
from indexer.training.vectors.packed import packing_warnings
from indexer.training.watching import Watcher


class LastCommit:
    """A `Lookup` that reads the last commit of a collection, if there is one, and writes nothing.

    The ids that were seen, and which of them the collection has, are kept in memory.
    """

    kept_from = sys.maxsize  # nothing is staged

    def __init__(self, catalog: Catalog | None):
        self.catalog = catalog
        self.items = None if catalog is None else last_items(catalog)
        self.n_items = 0 if self.items is None else len(self.items)
        self.found: set[str] = set()
        """The ids that were seen and are those of items of the collection."""
        self.is_anew = False
        """Whether a new model is made, of which no item has a code yet."""
        self._seen: set[str] = set()

    def see(self, ids: Sequence[str]) -> tuple[set[str], dict[str, tuple[int, bytes]]]:
        """Mark ids as seen in this run.

        Returns those of them that had been seen before, and the row and digest of those that stand
        in the collection, encoded by the model in use.
        """
        before = self._seen.intersection(ids)
        self._seen.update(ids)
        if self.items is None:
            return before, {}
        rows = self.items.find(ids)
        self.found.update(rows)
        if self.is_anew:
            return before, {}
        return before, self.items.known(rows)

    def unseen(self, items: StoredItems) -> np.ndarray:
        """The rows of `items`, those of the commit, that were not seen, increasing."""
        rows = [row for row in items.rows() if items.id(row) not in self.found]
        return np.array(rows, np.int64)


class Rehearsal:
    """An `Indexer` that only counts: its `fit`, `add`, `prune` and `commit` write nothing.

    Every item goes through the same steps as in a run, up to the features for the collection's
    model, or for the one that would be learned. Only training and encoding are left out.
    """

    def __init__(
        self,
        path: Path,
        kind: str,
        *,
        catalog: str | None = None,
        passages: int | None = None,
        workers: int | None = None,
        on_skipped: Callable[[Skipped], None] | None = None,
    ):
        """A rehearsal for the collection of `kind` at `path`, which need not exist."""
        self.tally = Tally(on_skipped=on_skipped)
        self.warnings: list[str] = []
        self.keeps_features: bool | None = None
        self.keeps_texts: bool | None = None
        self.keeps_images: bool | None = None
        self._model = Model()
        self._given_passages = passages
        self._documents = Documents()
        self._kind = kind
        self._spec: Any = None
        self._featurizer: Featurizer | None = None  # none where nothing can be learned from
        self._unlearned: HashretError | None = None
        self._pruned = False
        self._came: set[str] = set()  # what would be an item, where documents were split
        self._again: set[str] = set()  # the collection's items that would have a code again
        with ExitStack() as opening:
            layout = Layout.require_place(path)
            found = open_if_made(layout, address=catalog)
            if found is not None:
                self._open(opening.enter_context(found))
            self._last = LastCommit(found)
            self._were_split = bool(self.made_with_passages)
            self._preparer = Preparer(kind, workers)
            opening.callback(self._preparer.close)
            self._exit = opening.pop_all()

    def _open(self, catalog: Catalog) -> None:
        self.keeps_features, self.keeps_texts = features_kept(catalog), texts_kept(catalog)
        self.keeps_images = images_kept(catalog)
        self._model = Model.in_use(catalog)
        if self.coder is not None:
            self._featurizer, self._spec = self.coder.featurizer, self.coder.featurizer.spec

    @property
    def coder(self) -> Coder | None:
        """As of an `Indexer`."""
        return self._model.coder

    @property
    def description(self) -> dict[str, Any]:
        """As of an `Indexer`."""
        return self._model.description

    @property
    def made_with_passages(self) -> int:
        """As of an `Indexer`."""
        return self._model.passages

    @property
    def _passages(self) -> int:
        given = self._given_passages
        return self.made_with_passages if given is None else given

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
        catalog = self._last.catalog
        if catalog is None:
            return iter(items)
        return requiring_all(items, catalog, were_split=self._were_split)

    def fit(
        self,
        items: Iterable[Item | Skipped],
        options: TrainingOptions | None = None,
        *,
        spec: Any = None,
        watchers: Sequence[Watcher] = (),
    ) -> None:
        """Learn features, but no codes; every item counts as one to add from now on.

        There is no training for the `watchers` to be told of.

        Where `Indexer.fit` would refuse to learn, `commit` says so, after all is counted.
        `warnings` gets the warnings that are known before the training.
        """
        seed = (options or TrainingOptions()).seed
        parts = split(taken(items), self._passages) if self._passages else taken(items)
        given = (item for item in parts if isinstance(item, Item))
        field = options.label if options else None
        payloads, labels = sampled_with_labels(given, MAX_TRAINING_ITEMS, seed, field)
        self._last.is_anew = True
        self._spec = spec_for(payloads, spec, self._preparer)
        if isinstance(self._spec, VectorSpec):
            self.warnings = packing_warnings(payloads, self._spec)
        try:
            self._featurizer, features, rows = fit_features(
                payloads, self._kind, self._spec, self._preparer
            )
        except EmptyCorpusError as error:
            self._unlearned = error
            return
        if note := note_on(payloads, self._featurizer.spec):
            self.warnings.append(note)
        if len(features) < 2:
            self._unlearned = TrainingError(
                f"items: expected at least 2 to learn from, got {len(features)}; add more items"
            )
        elif options_for(self._featurizer, options).preset != AS_GIVEN:
            self.warnings += few_warnings(len(features))
            if labels is not None:
                labels = labels.take(rows)
                labels.require_learnable()
                self.warnings += labels.warnings()

    def add(self, items: Iterable[Item | Skipped]) -> Tally:
        """Count what `Indexer.add` would do with `items`."""
        parts = taken(items)
        if self._passages:
            parts = self._documents.split(parts, self._passages)
        known = self._stored_codes()
        intake = Intake(
            self._kind, self._spec, self._last, self._preparer, Stopwatch(), known=known
        )
        for batch in intake.batches(parts):
            refused: dict[int, Refused] = {}
            if self._featurizer is not None and batch.prepared:
                rows, _, refused = usable_features(self._featurizer, batch.prepared)
                self.tally.uncoded += len(batch.prepared) - len(rows) - len(refused)
                refused = {batch.to_encode[row]: why for row, why in refused.items()}
            batch.count(self.tally, refused)
            coded = {one.id for row, one in enumerate(batch.pending) if row not in refused}
            self._came |= coded if self._were_split else set()
            again = coded & self._last.found
            replaced = 0 if self._last.is_anew else len(again)
            self.tally.replaced += replaced
            self.tally.added += len(coded) - replaced
            self._again |= again
        there = self._last.items
        if self._passages and there is not None and not self._last.is_anew:
            left_over = self._documents.left_over(there, self._last.unseen(there))
            self.tally.left_over = self.tally.removed = len(left_over)
        return self.tally

    def _stored_codes(self) -> StoredCodes | None:
        last = self._last
        if self.coder is None or last.is_anew or last.items is None or last.catalog is None:
            return None
        if not self.keeps_texts:
            return None
        return StoredCodes(
            last.catalog.layout,
            last.items,
            self._model,
            with_features=bool(self.keeps_features),
            of_documents=self._passages > 0,
        )

    def prune(self) -> int:
        """Count the items that would be removed."""
        self._pruned = True
        stay = self._again if self._last.is_anew else self._last.found
        self.tally.removed = self._last.n_items - len(stay)
        items = self._last.items
        if items is not None and not self._last.is_anew:
            self.tally.removed -= len(self._documents.withheld(items, self._last.unseen(items)))
        return self.tally.removed

    def commit(self) -> None:
        """Raise the errors of `Indexer`: too few items, or items that a new model would lose."""
        if self._unlearned is not None:
            raise self._unlearned
        if self._last.catalog is None or not self._last.is_anew or self._pruned:
            return
        there = last_items(self._last.catalog)
        rows = {item_id: row for item_id, row in there.by_id() if item_id not in self._again}
        names = names_of(there, list(rows.values()), were_split=self._were_split)
        again = self._documents.read | self._came
        lost = [one for one, name in zip(rows, names, strict=True) if name not in again]
        if lost:
            raise refusal(self._last.catalog, len(lost), lost[0])
