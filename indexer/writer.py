"""The writer of a collection: fit, add, remove, commit, compact.

Nothing that an `Indexer` does is visible to readers before `commit`. Closing it without a commit,
or a crash at any point, leaves the last commit as it was.
"""

from __future__ import annotations

import os
import sys
import warnings
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import ExitStack
from functools import partial
from os import PathLike
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn, Self

import numpy as np

from hashret.arguments import require_call, require_flag, require_number, whole
from hashret.coder import Coder
from hashret.errors import CollectionError, EmptyCommitWarning, InputError, UnknownItemError
from hashret.items import Id, Item, ids_of
from hashret.kinds import kind_of
from hashret.specs import TextSpec
from hashret.store.catalog.connection import NOT_WRITTEN
from hashret.store.catalog.records import CommitRecord
from hashret.store.catalog.staging import Staging
from hashret.store.catalog.tables import FORMAT_VERSION
from hashret.store.model_files import read_model, sha256_of_arrays, write_model
from hashret.store.segments.stored_items import StoredItems
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.ingest.compact import Compaction, compact
from indexer.ingest.counts import Progress, Stopwatch, Tally, silent
from indexer.ingest.documents import Documents, split
from indexer.ingest.encode import Encoded, encode_all, encode_features
from indexer.ingest.fit import learn, require_learnable
from indexer.ingest.intake import Intake
from indexer.ingest.keeping import Keeping, features_kept, images_kept, texts_kept
from indexer.ingest.prepare import Preparer, default_workers
from indexer.ingest.replacing_model import left_behind, refusal, requiring_all
from indexer.ingest.resume import Unfinished
from indexer.ingest.sample import MAX_TRAINING_ITEMS
from indexer.ingest.segments import Adding, SegmentWriter
from indexer.ingest.stored_codes import StoredCodes
from indexer.ingest.stored_source import StoredSource
from indexer.ingest.writer_session import HeldCollection
from indexer.workers.pool import AVAILABLE

if TYPE_CHECKING:
    from indexer.training import TrainingOptions, TrainingReport

_MOST_WORKERS = 1 << 10  # processes; a machine has no more cores


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
        collection does, and a new one stores none. With `passages`, each text that is given is a
        document, which is split into passages of about so many words (`indexer.corpus.passages`):
        these are the items, with the ids ``id#1``, ``id#2``, ... When a document comes again,
        passages that it has no more are removed; 0: texts stay whole; None: as the collection does,
        and a new one keeps them whole. What a collection does changes only with `fit`. `workers` is
        how many processes decode images, or encode texts and vectors; 1 encodes in this one, None
        leaves a core free. What is written does not depend on it.
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
        _require_options(
            wait_seconds,
            [store_features, store_text, store_images],
            passages,
            workers,
            resume,
            on_progress,
            on_skipped,
            on_note,
        )
        self._workers = workers or default_workers()
        self._progress = on_progress
        self._given_passages = passages
        self._resumes = resume
        self._on_note = on_note
        if os.name == "posix" and not AVAILABLE:
            on_note(
                f"workers: no Python was found to start them with, besides {sys.executable}; all "
                "is done in this process"
            )
        self.tally = Tally(on_skipped=on_skipped)
        self.stopwatch = Stopwatch()
        self._staging: Staging | None = None
        self._refitted = self._pruned = self._was_given = False
        self._removed: set[str] = set()
        self._exit = ExitStack()
        self._held = HeldCollection(
            path, kind, address=catalog, wait_seconds=wait_seconds, resumes=resume
        )
        self._exit.callback(self._held.close)
        self._layout, self._catalog = self._held.layout, self._held.catalog
        try:
            self._keep = Keeping(
                self._catalog, features=store_features, texts=store_text, images=store_images
            )
            self._load()
        except BaseException:
            self._exit.close()
            raise

    def _load(self) -> None:
        """Load the model of the last commit, and make the preparer of its items."""
        if self._given_passages and not kind_of(self.kind).stores_texts:
            raise InputError(
                f"passages: expected a collection of texts, got one of {self.kind} items; leave it "
                "out"
            )
        self._model_name = self._catalog.last_commit().model
        self._coder: Coder | None = None
        self.description: dict[str, Any] = {}
        if self._model_name is not None:
            record = self._catalog.model(self._model_name)
            self.description, tensors = read_model(self._layout, record)
            self._coder = Coder.from_description(self.description, tensors)
        self._were_split = bool(self.made_with_passages)
        self._documents = Documents()
        self._unfinished = Unfinished(self._layout)
        if former := self._catalog.rewritten_from:
            self._on_note(
                f"{self._layout.root}: rewritten from format {former} to {FORMAT_VERSION}, which "
                "earlier releases of hashret can't open"
            )
            self._unfinished.forget_encoding()  # what was staged was not taken over
        self._preparer = Preparer(self.kind, self._workers)
        self._exit.callback(self._preparer.close)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        if self._resumes and isinstance(error, KeyboardInterrupt | OSError | MemoryError):
            self._held.leave_nothing, self._staging = False, None  # the next run resumes from here
        self.close()

    def close(self) -> None:
        """Discard what was not committed and release the collection."""
        if not self._held.is_own:
            return  # a fork: what stands is for the process that opened it
        if self._staging is not None and self._held.is_there:
            self._unfinished.forget_encoding()
            self._staging.abandon()
        self._staging = None
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
        return self._coder

    def _require_usable(self) -> None:
        """Raise CollectionError if it is closed, or its folder was replaced."""
        self._catalog.require_open()
        self._catalog.folder.require_unchanged(NOT_WRITTEN)

    @property
    def keeps_features(self) -> bool | None:
        """Whether the last commit stores its items' features; None if it has no item."""
        return features_kept(self._catalog)

    @property
    def keeps_texts(self) -> bool | None:
        """Whether the last commit stores its items' texts; None if it has no item."""
        return texts_kept(self._catalog)

    @property
    def made_with_passages(self) -> int:
        """The words of the passages into which the model's texts are split; 0: they are whole."""
        return int(self.description.get("passages", 0))

    @property
    def _passages(self) -> int:
        given = self._given_passages
        return self.made_with_passages if given is None else given

    def keeps_images(self) -> bool | None:
        """Whether the last commit stores its images for another model; None if none is encoded."""
        return images_kept(self._catalog)

    @property
    def _staged(self) -> Staging:
        if self._staging is None:
            digest = ""
            if self._resumes and self._model_name is not None:
                digest = self._catalog.model(self._model_name).sha256
            return self._begin(self._model_name or "", digest, refitted=False)
        return self._staging

    def _begin(self, model: str, digest: str, *, refitted: bool) -> Staging:
        """Start staging with a model, or resume if an interrupted run staged with the same one."""
        self._doing = {
            "commit": self._catalog.last_commit().commit + 1,
            "model": [model, digest],
            "refitted": refitted,
            "features": self._keep.features,
            "images": self._keep.images,
            "passages": self._passages,
        }
        self._staging = self._unfinished.staging(
            self._catalog, self._doing, resumes=self._resumes, on_note=self._on_note
        )
        keep = self._staging.kept
        anew = self._staging.n_kept_anew() if keep and not refitted else 0
        self.tally.replaced += anew
        self.tally.added -= anew
        return self._staging

    # learning

    def fit(
        self,
        items: Iterable[Item | Skipped] | None = None,
        options: TrainingOptions | None = None,
        *,
        spec: Any = None,
        max_items: int = MAX_TRAINING_ITEMS,
    ) -> TrainingReport:
        """Learn features and codes from `items`, leaving out those that can't be used.

        Without `items`, from what the collection holds: texts, images, and what was added before
        anything was learned; where it holds none of these, from stored features of texts or
        vectors, and `spec` stays what it was. At most `max_items`, a seeded sample, are kept in
        memory and learned from. `spec` chooses the features (a `TextSpec`, `ImageSpec` or
        `VectorSpec`). Of packed bits (``VectorSpec(packed=True)``) without `options`, or with ones
        for as many bits and no preset, the bits are the codes and nothing is learned.

        What was added before anything was learned, or all that the collection holds where no
        `items` are given, is encoded by the new model at once; what that can't encode stays
        without a code, which `on_note` is told. If the collection has a model already and `items`
        are given, what it holds leaves with that model: add it again before `commit`. Raises
        CollectionError where there is nothing to learn from, `EmptyCorpusError` if not one item can
        be used, and `TrainingError`; the collection is then as it was.
        """
        self._require_usable()
        require_learnable(self.kind, options, spec, max_items)
        stored = self._held_before(all_of_it=items is None)
        if stored is not None and self._passages != self.made_with_passages:
            raise CollectionError(
                f"{self._layout.root}: expected the documents again to split them anew, got items "
                "that the collection holds; index them into another one"
            )
        self._was_given = True
        if items is not None and self._passages:
            items = split(taken(items), self._passages)
        coder, report = learn(
            stored or () if items is None else items,
            self.kind,
            options,
            spec=spec,
            max_items=max_items,
            former=self._coder,
            preparer=self._preparer,
            stopwatch=self.stopwatch,
            unfinished=self._unfinished,
            resumes=self._resumes,
            on_progress=self._progress,
            on_note=self._on_note,
        )
        self._adopt(coder, report)
        if stored is not None:
            self._encode_again(stored)
        return report

    def _held_before(self, *, all_of_it: bool) -> StoredSource | None:
        """What to encode by the new model without its source: everything, or what has no model."""
        if not all_of_it and self._coder is not None:
            return None
        segments = self._catalog.segments(self._catalog.last_commit().commit)
        items = self._staging.items if self._staging is not None else None
        held = StoredItems(self._layout, items.segments if items is not None else segments)
        if not all_of_it and not len(held):
            return None
        return StoredSource(self._layout, self.kind, held, self._coder)

    def _encode_again(self, stored: StoredSource) -> None:
        """Encode by the new model what the collection holds; no item of it counts as new."""
        again = Tally()
        coder, adding = self._require_coder(), self._adding(again)
        prepare = partial(self._preparer.prepare, spec=coder.featurizer.spec)
        batches = stored.batches(prepare, self._staged.items.find)
        if stored.features is None:
            adding.encoded(batches, lambda blocks: stored.none_refused(self._encode(blocks)), None)
        else:
            encode = partial(encode_features, coder, with_features=self._keep.features)
            adding.encoded(batches, encode, None)
        self.tally.encoded_again += again.added
        self._staged.forget_seen()
        if stored.refused:
            self._on_note(
                f"{len(stored.refused)} stored items stay without a code, because the new model "
                f"can't encode them (the first: {stored.refused[0]})"
            )

    def requiring_all(self, items: Iterable[Item | Skipped]) -> Iterator[Item | Skipped]:
        """The same `items`, for a `fit` that is to replace a model.

        At their end, before anything is learned, raises CollectionError if an item of the
        collection was not among them, which `commit` would refuse.
        """
        return requiring_all(items, self._catalog, were_split=self._were_split)

    def _adopt(self, coder: Coder, report: TrainingReport) -> None:
        description, tensors = coder.describe()
        description["training"] = report.to_json()
        if self._passages:
            description["passages"] = self._passages
        refitted = self._coder is not None or self._holds_pending
        if self._resumes and self._staging is None:
            name = f"m{self._catalog.last_commit().commit + 1:06d}"
            staging = self._begin(name, sha256_of_arrays(tensors), refitted=refitted)
        else:
            staging = self._staged
        name = f"m{staging.commit:06d}"
        if staging.kept:  # the model is the same, and was written before the codes
            self._refitted = refitted
            self._model_name, self._coder, self.description = name, coder, description
            return
        self._require_usable()
        with self.stopwatch.stage("write"):
            if refitted:
                staging.drop_all_segments()
                self._refitted = True
            record = write_model(self._layout, name, description, tensors, coder.n_bits)
            staging.add_model(record)
        self._model_name, self._coder, self.description = name, coder, description

    @property
    def _holds_pending(self) -> bool:
        """Whether there are items that were added before anything was learned."""
        if self._staging is not None:
            return bool(len(self._staging.items))
        return self._model_name is None and self._catalog.last_commit().n_items > 0

    # writing

    def add(self, items: Iterable[Item | Skipped], *, total: int | None = None) -> Tally:
        """Add new items, replace those whose content or metadata changed, skip unchanged ones.

        A `Skipped` among the items is counted with its reason, and so is what is no item, can't be
        used or has an id that came before in this run; a former version of it then stays. `total`,
        if known, is for progress only. Before `fit` items are stored without a code, and encoded
        by it: texts, vectors, and images at up to 32 x 32 pixels. Raises CollectionError for texts
        that are not to be stored, and TypeError for what is no iterable of items.
        """
        self._require_usable()
        are_texts = kind_of(self.kind).stores_texts
        if self._coder is None and are_texts and not self._keep.texts:
            raise CollectionError(
                f"{self._layout.root}: expected a collection with a model, or one that stores "
                "texts, got neither; call fit before add"
            )
        if self._passages != self.made_with_passages:
            raise CollectionError(
                f"{self._layout.root}: expected passages of {self.made_with_passages} words as its "
                f"model was made with (0: whole texts), got {self._passages}; call fit before add"
            )
        if total is not None:
            whole("total", total)
        items = taken(items)
        if not self._passages:
            return self._add(items, total)
        tally = self._add(self._documents.split(items, self._passages), total)
        left_over = self._documents.left_over(self._staged.items, self._unseen()).tolist()
        self._staged.remove(left_over)
        tally.left_over += len(left_over)
        tally.removed += len(left_over)
        return tally

    def _unseen(self) -> np.ndarray:
        """The rows of former commits that were not seen in this run, increasing."""
        return np.array([row for rows in self._staged.unseen() for row in rows], np.int64)

    def _add(self, items: Iterable[Item | Skipped], total: int | None) -> Tally:
        """Add items as they are."""
        self._was_given = True
        known = self._stored_codes()
        adding = self._adding(self.tally, known)
        if self._coder is not None:
            spec = self._coder.featurizer.spec
        else:
            spec = TextSpec() if kind_of(self.kind).stores_texts else None
        intake = Intake(
            self.kind,
            spec,
            self._staged,
            self._preparer,
            self.stopwatch,
            keeps_texts=self._keep.texts,
            keeps_payloads=self._keep.images or spec is None,
            known=known,
        )
        if self._coder is None:
            adding.pending(intake.batches(items))
        else:
            adding.encoded(intake.batches(items), self._encode, total)
        return self.tally

    def _adding(self, tally: Tally, known: StoredCodes | None = None) -> Adding:
        """What fills segments of the model in use, and counts in this tally."""
        staging = self._staged
        if self._resumes:
            self._unfinished.encoding(self._doing)
        n_bits = 8 if self._coder is None else self._coder.n_bits
        segments = SegmentWriter(
            self._layout,
            staging,
            self._model_name or "",
            n_bits,
            keeps_payloads=self._keep.images,
        )
        return Adding(segments, tally, self.stopwatch, self._progress, known)

    def _encode(self, blocks: Iterable[list[Any]]) -> Generator[Encoded]:
        return encode_all(
            self._require_coder(),
            blocks,
            layout=self._layout,
            model=self._catalog.model(self._model_name or ""),
            with_features=self._keep.features,
            # most of the time of a file is its decoding, which the preparer's workers do
            workers=1 if kind_of(self.kind).decodes_files else self._workers,
        )

    def _require_coder(self) -> Coder:
        if self._coder is None:
            raise CollectionError(f"{self._layout.root}: expected a model, got none; call fit")
        return self._coder

    def _stored_codes(self) -> StoredCodes | None:
        """The codes that need not be made again; None where no text is stored with one."""
        if self._coder is None or not self._keep.texts:
            return None
        return StoredCodes(
            self._layout,
            self._staged.items,
            self._model_name or "",
            n_kept=self._coder.n_kept,
            with_features=self._keep.features,
            of_documents=self._passages > 0,
        )

    def remove(self, ids: Id | Iterable[Id], *, missing_ok: bool = False) -> int:
        """Hide the items of these ids, or of this one, from the next commit on.

        All or none: an unknown id leaves every one of them, unless with `missing_ok`, which passes
        it over. Returns how many were removed. Raises `UnknownItemError`, and TypeError for what is
        no id (`hashret.items.id_of`).
        """
        require_flag("missing_ok", missing_ok)
        asked = list(dict.fromkeys(ids_of(ids)[0]))
        staging = self._staged
        known = staging.items.find(asked)
        missing = next((one for one in asked if one not in known), None)
        if missing is not None and not missing_ok:
            raise UnknownItemError(
                f"id: expected one of the {len(staging.items)} items of {self._layout.root}, "
                f"got {missing!r}; `hashret list` shows the ids"
            )
        staging.remove(list(known.values()))
        self._removed.update(known)
        self.tally.removed += len(known)
        return len(known)

    def prune(self) -> int:
        """Remove every item that was not among those given to `add` since the last commit.

        Passages of a document that was skipped stay. After `fit`, which took all of a former
        model's, those that were not added again count.
        """
        staging = self._staged
        self._pruned = True
        removed = left_behind(self._catalog, staging, self._removed)[0] if self._refitted else 0
        unseen = self._unseen()
        rows = np.setdiff1d(unseen, self._documents.withheld(staging.items, unseen)).tolist()
        staging.remove(rows)
        removed += len(rows)
        self.tally.removed += removed
        return removed

    def commit(self) -> CommitRecord:
        """Make everything since the last commit visible to readers, durably, all at once.

        Warns (`EmptyCommitWarning`) if after a `fit` or an `add` there is no item.
        """
        self._require_usable()
        if self._model_name is None and not self._holds_pending:
            raise CollectionError(
                f"{self._layout.root}: expected a collection with a model or items, got a new one; "
                "call fit and add before commit"
            )
        if self._refitted and not self._pruned:
            missing, example = left_behind(
                self._catalog,
                self._staged,
                self._removed,
                self._documents.read,
                were_split=self._were_split,
            )
            if missing:
                raise refusal(self._catalog, missing, example)
        with self.stopwatch.stage("write"):
            self._staged.forget_unseen()
            record = self._staged.finish(self._model_name or "")
        self._unfinished.forget()
        self._staging = None
        self._held.leave_nothing = self._refitted = self._pruned = False
        self._removed.clear()
        self._documents, self._were_split = Documents(), bool(self.made_with_passages)
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
        self._require_usable()
        if self._staging is not None:
            raise CollectionError(
                f"{self._layout.root}: expected nothing to commit, got changes; commit them first"
            )
        if not self._catalog.last_commit().commit:
            raise CollectionError(
                f"{self._layout.root}: expected a commit to compact, got none; make one first"
            )
        n_kept = 0 if self._coder is None else self._coder.n_kept
        with self.stopwatch.stage("write"):
            return compact(self._layout, self._catalog, n_kept)


def _require_options(
    wait_seconds: float,
    stored: list[bool | None],
    passages: int | None,
    workers: int | None,
    resume: bool,
    *calls: Any,
) -> None:
    """Raise TypeError or ValueError for an option of another type; before anything is made."""
    require_number("wait_seconds", wait_seconds)
    if not 0 <= wait_seconds < float("inf"):
        raise ValueError(f"wait_seconds: expected 0 or more, got {wait_seconds}; leave it out")
    for name, flag in zip(("store_features", "store_text", "store_images"), stored, strict=True):
        if flag is not None:
            require_flag(name, flag)
    if passages is not None and whole("passages", passages) < 0:
        raise ValueError(
            f"passages: expected 0 words or more, got {passages}; 200 is a good number"
        )
    require_flag("resume", resume)
    for name, call in zip(("on_progress", "on_skipped", "on_note"), calls, strict=True):
        if name != "on_skipped" or call is not None:
            require_call(name, call)
    if workers is not None and not 1 <= whole("workers", workers) <= _MOST_WORKERS:
        bound = "at least 1" if workers < 1 else f"at most {_MOST_WORKERS}"
        raise ValueError(f"workers: expected {bound}, got {workers}; leave it out for the default")
