"""The writer of a collection: fit, add, remove, commit, compact.

Nothing that an `Indexer` does is visible to readers before `commit`. Closing it without a commit,
or a crash at any point, leaves the last commit as it was.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

from hashret.arguments import require_call, require_flag, require_number, whole
from hashret.coder import Coder
from hashret.errors import CollectionError, EmptyCommitWarning
from hashret.items import Id, Item, ids_of
from hashret.store.catalog.records import CommitRecord, SourceFolder
from hashret.store.catalog.tables import FORMAT_VERSION
from hashret.workers.pool import AVAILABLE
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.fitting.learn import learn
from indexer.fitting.options import require_learnable
from indexer.ingest.adding import Adder
from indexer.ingest.compact import Compaction, compact
from indexer.ingest.counts import Progress, Stopwatch, Tally, silent
from indexer.ingest.documents import split
from indexer.ingest.keeping import Keeping, Wishes, features_kept, images_kept, texts_kept
from indexer.ingest.model_in_use import requiring_all
from indexer.ingest.pending_commit import PendingCommit
from indexer.ingest.prepare import Preparer, workers_wanted
from indexer.ingest.sample import MAX_TRAINING_ITEMS
from indexer.ingest.writer_session import HeldCollection

if TYPE_CHECKING:
    from indexer.training import TrainingOptions, TrainingReport, Watcher


class Indexer:
    """Learns a collection's codes and writes its items.

    ``with Indexer(path, kind="text") as indexer: indexer.fit(items); indexer.add(items);
    indexer.commit()``. Only one writer at a time can open a collection (after
    `wait_seconds`, `LockedError` says who has it); readers are not blocked. `tally` counts the
    items that were added, replaced, unchanged and skipped; `stopwatch` has the seconds of each
    stage.
    """

    def __init__(
        self,
        path: str | PathLike[str],
        kind: str | None = None,
        *,
        catalog: str | None = None,
        wait_seconds: float = 0.0,
        store_features: bool | None = None,
        store_text: bool | None = None,
        passages: int | None = None,
        store_images: bool | None = None,
        store_thumbnails: bool | None = None,
        folders: Sequence[SourceFolder] = (),
        workers: int | None = None,
        resume: bool = False,
        on_progress: Progress = silent,
        on_skipped: Callable[[Skipped], None] | None = None,
        on_note: Callable[[str], None] = lambda note: None,
    ):
        """Open the collection at `path` for writing, or create one for items of `kind`.

        `store_features` says whether the input features of what is added are kept beside the
        codes, for ranking a shortlist by them (`Collection.query(rerank=...)`); None: as the
        collection does, and for a new one texts and images, of which they are small. `store_text`
        says the same of the texts themselves (`Hit.text`); None: as the collection does, and a new
        one stores them. `store_images` says it of images, at up to 32 x 32 pixels and in up to 6
        kilobytes, so that another model can be learned without their source; None: as the
        collection does, and a new one stores none. `store_thumbnails` says whether a thumbnail of
        each image, of about 4 kB, is kept for people to look at; None: as the collection did last,
        and a new one does. `folders` are those whose files are given: they are recorded, so that a
        reader on this machine finds an item's original (`Snapshot.original`). With `passages`, each
        text that is given is a document, which is split into passages of about so many words
        (`indexer.corpus.passages`): these are the items, with the ids ``id#1``, ``id#2``, ... When
        a document comes again, passages that it has no more are removed; 0: texts stay whole; None:
        as the collection does, and a new one keeps them whole. What a collection does changes only
        with `fit`, but for thumbnails. `workers` is how many processes decode images, or encode
        texts and vectors; 1 encodes in this one, None leaves a core free. What is written does not
        depend on it.
        `catalog` is the address of a PostgreSQL database, as
        "postgresql+psycopg://user@host/database", that keeps the catalog of a new collection, or
        that has it where the collection records another address; None: a file in the folder, or
        the address recorded. With `resume`, what `fit` and `add` reach is kept on disk until the
        commit, and a run that was interrupted is gone on with where this one does the same
        (`on_note` is told): at the end nothing differs from a run without an interruption. It is
        for one `fit`, if any, one `add` and one `commit`. A collection of the former format is
        rewritten in today's, and `on_note` is told. Raises ValueError if there is no
        collection and no `kind`, or fewer than one worker, `InputError` if there is one of another
        kind, and `CatalogServerError`.
        """
        wishes = Wishes(
            store_features, store_text, store_images, store_thumbnails, passages, folders
        )
        _require_options(wait_seconds, resume, on_progress, on_skipped, on_note)
        workers = workers_wanted(workers)
        self._progress = on_progress
        self._resumes = resume
        self._on_note = on_note
        if os.name == "posix" and not AVAILABLE:
            on_note(
                f"workers: no Python was found to start them with, besides {sys.executable}; all "
                "is done in this process"
            )
        self.tally = Tally(on_skipped=on_skipped)
        self.stopwatch = Stopwatch()
        self._was_given = False
        self._exit = ExitStack()
        self._held = HeldCollection(
            path, kind, address=catalog, wait_seconds=wait_seconds, resumes=resume
        )
        self._exit.callback(self._held.close)
        self._layout, self._catalog = self._held.layout, self._held.catalog
        try:
            keep = Keeping(self._catalog, wishes)
            self._pending = PendingCommit(
                self._catalog, keep, self.tally, resumes=resume, on_note=on_note
            )
            if former := self._catalog.rewritten_from:
                on_note(
                    f"{self._layout.root}: rewritten from format {former} to {FORMAT_VERSION}, "
                    "which earlier releases of hashret can't open"
                )
                self._pending.unfinished.forget_encoding()  # what was staged was not taken over
            self._preparer = Preparer(self.kind, workers)
            self._exit.callback(self._preparer.close)
        except BaseException:
            self._exit.close()
            raise
        self._adder = Adder(self._pending, self._preparer, self.stopwatch, on_progress, workers)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._resumes and isinstance(error, KeyboardInterrupt | OSError | MemoryError):
            self._held.leave_nothing = False  # the next run resumes from here
            self._pending.leave()
        self.close()

    def close(self) -> None:
        """Discard what was not committed and release the collection."""
        if not self._held.is_own:
            return  # a fork: what stands is for the process that opened it
        if self._pending.is_begun and self._held.is_there:
            self._pending.abandon()
        self._pending.leave()
        self._exit.close()

    def __reduce__(self) -> NoReturn:
        raise TypeError(
            f"Indexer of {self._layout.root}: expected one writer, which can't be copied or sent "
            "to another process; open another one there when this one is closed"
        )

    @property
    def kind(self) -> str:
        """What the items are: "text", "image" or "vector"."""
        return self._catalog.kind

    @property
    def coder(self) -> Coder | None:
        """The model in use; None in a new collection before `fit`."""
        return self._pending.model.coder

    @property
    def description(self) -> dict[str, Any]:
        """What the model in use was made with; empty in a new collection before `fit`."""
        return self._pending.model.description

    @property
    def made_with_passages(self) -> int:
        """The words of the passages into which the model's texts are split; 0: they are whole."""
        return self._pending.model.passages

    @property
    def keeps_features(self) -> bool | None:
        """Whether the last commit stores its items' features; None if it has no item."""
        return features_kept(self._catalog)

    @property
    def keeps_texts(self) -> bool | None:
        """Whether the last commit stores its items' texts; None if it has no item."""
        return texts_kept(self._catalog)

    @property
    def keeps_images(self) -> bool | None:
        """Whether the last commit stores its images for another model; None if none is encoded."""
        return images_kept(self._catalog)

    def fit(
        self,
        items: Iterable[Item | Skipped] | None = None,
        options: TrainingOptions | None = None,
        *,
        spec: Any = None,
        max_items: int = MAX_TRAINING_ITEMS,
        watchers: Sequence[Watcher] = (),
    ) -> TrainingReport:
        """Learn features and codes from `items`, leaving out those that can't be used.

        Without `items`, from what the collection holds: texts, images, and what was added before
        anything was learned; where it holds none of these, from stored features of texts or
        vectors, and `spec` stays what it was. At most `max_items`, a seeded sample, are kept in
        memory and learned from. `spec` chooses the features (a `TextSpec`, `ImageSpec` or
        `VectorSpec`). Of packed bits (``VectorSpec(packed=True)``) without `options`, or with ones
        for as many bits and no preset, the bits are the codes and nothing is learned. `watchers`
        are told how the training goes (`indexer.training.Watcher`).

        What was added before anything was learned, or all that the collection holds where no
        `items` are given, is encoded by the new model at once; what that can't encode stays
        without a code, which `on_note` is told. If the collection has a model already and `items`
        are given, what it holds leaves with that model: add it again before `commit`. Raises
        CollectionError where there is nothing to learn from, `EmptyCorpusError` if not one item can
        be used, and `TrainingError`; the collection is then as it was.
        """
        pending = self._pending
        pending.require_usable()
        require_learnable(self.kind, options, spec, max_items)
        before = self.description.get("training", {}).get("options", {}).get("label")
        if before is not None and (options is None or options.label is None):
            self._on_note(
                f"the model before learned from labels too ({before}), this one will not: no label "
                "is named"
            )
        stored = pending.held_before(all_of_it=items is None)
        self._was_given = True
        if items is not None and pending.passages:
            items = split(taken(items), pending.passages)
        learned = learn(
            stored or () if items is None else items,
            self.kind,
            options,
            spec=spec,
            max_items=max_items,
            former=self.coder,
            preparer=self._preparer,
            stopwatch=self.stopwatch,
            unfinished=pending.unfinished,
            resumes=self._resumes,
            on_progress=self._progress,
            on_note=self._on_note,
            watchers=watchers,
        )
        with self.stopwatch.stage("write"):
            report = learned.report.to_json()
            pending.adopt(learned.coder, report, learned.decoder, learned.denoiser)
        if stored is not None:
            self._adder.encode_again(learned.coder, stored, self._on_note)
        return learned.report

    def requiring_all(self, items: Iterable[Item | Skipped]) -> Iterator[Item | Skipped]:
        """The same `items`, for a `fit` that is to replace a model.

        At their end, before anything is learned, raises CollectionError if an item of the
        collection was not among them, which `commit` would refuse.
        """
        return requiring_all(items, self._catalog, were_split=self._pending.were_split)

    def add(self, items: Iterable[Item | Skipped], *, total: int | None = None) -> Tally:
        """Add new items, replace those whose content or metadata changed, skip unchanged ones.

        A `Skipped` among the items is counted with its reason, and so is what is no item, can't be
        used or has an id that came before in this run; a former version of it then stays. `total`,
        if known, is for progress only. Before `fit` items are stored without a code, and encoded
        by it: texts, vectors, and images at up to 32 x 32 pixels. Raises CollectionError for texts
        that are not to be stored, and TypeError for what is no iterable of items.
        """
        self._pending.require_usable()
        self._pending.require_addable()
        if total is not None:
            whole("total", total)
        items = taken(items)
        self._was_given = True
        self._adder.add(items, total)
        return self.tally

    def remove(self, ids: Id | Iterable[Id], *, missing_ok: bool = False) -> int:
        """Hide the items of these ids, or of this one, from the next commit on.

        All or none: an unknown id leaves every one of them, unless with `missing_ok`, which passes
        it over. Returns how many were removed. Raises `UnknownItemError`, and TypeError for what is
        no id (`hashret.items.id_of`).
        """
        require_flag("missing_ok", missing_ok)
        asked = list(dict.fromkeys(ids_of(ids)[0]))
        return self._pending.remove(asked, missing_ok=missing_ok)

    def prune(self) -> int:
        """Remove every item that was not among those given to `add` since the last commit.

        Passages of a document that was skipped stay. After `fit`, which took all of a former
        model's, those that were not added again count.
        """
        return self._pending.prune()

    def commit(self) -> CommitRecord:
        """Make everything since the last commit visible to readers, durably, all at once.

        Warns (`EmptyCommitWarning`) if after a `fit` or an `add` there is no item.
        """
        self._pending.require_usable()
        self._pending.require_complete()
        with self.stopwatch.stage("write"):
            record = self._pending.finish()
        self._held.leave_nothing = False
        was_given, self._was_given = self._was_given, False
        if was_given and not record.n_items:
            warnings.warn(
                f"{self._layout.root}: expected items in commit {record.commit}, got none: "
                f"{self.tally.why_none}",
                EmptyCommitWarning,
                stacklevel=2,
            )
        return record

    def compact(self) -> Compaction:
        """Merge segments, drop the rows of items that are gone, and commit that.

        Nothing that a reader can see changes, and open snapshots go on as they are; what only
        they still need is deleted by the next compaction after they are closed or refreshed.
        Raises CollectionError if there is something to commit first, or no commit yet.
        """
        self._pending.require_usable()
        if self._pending.is_begun:
            raise CollectionError(
                f"{self._layout.root}: expected nothing to commit, got changes; commit them first"
            )
        if not self._catalog.last_commit().commit:
            raise CollectionError(
                f"{self._layout.root}: expected a commit to compact, got none; make one first"
            )
        with self.stopwatch.stage("write"):
            return compact(self._layout, self._catalog, self._pending.model.n_kept)


def _require_options(wait_seconds: float, resume: bool, *calls: Any) -> None:
    """Raise TypeError or ValueError for an option of another type; before anything is made."""
    require_number("wait_seconds", wait_seconds)
    if not 0 <= wait_seconds < float("inf"):
        raise ValueError(f"wait_seconds: expected 0 or more, got {wait_seconds}; leave it out")
    require_flag("resume", resume)
    for name, call in zip(("on_progress", "on_skipped", "on_note"), calls, strict=True):
        if name != "on_skipped" or call is not None:
            require_call(name, call)
