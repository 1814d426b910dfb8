"""The commit in the making: its model, and what is staged in it and removed from it so far."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from hashret.coder import Coder
from hashret.decoders.decoder import Decoder
from hashret.decoders.denoiser import Denoiser, with_denoiser
from hashret.errors import CollectionError, UnknownItemError
from hashret.kinds import kind_of
from hashret.specs import to_json
from hashret.store.catalog.catalog import NOT_WRITTEN, Catalog
from hashret.store.catalog.records import CommitRecord
from hashret.store.catalog.staging import Staging
from hashret.store.model_files import sha256_of_arrays, write_model
from hashret.store.segments.stored_items import StoredItems
from indexer.ingest.counts import Tally
from indexer.ingest.documents import Documents
from indexer.ingest.keeping import Keeping
from indexer.ingest.model_in_use import Model, left_behind, refusal
from indexer.ingest.resume import Unfinished
from indexer.ingest.seen import Seen
from indexer.ingest.segments import SegmentWriter
from indexer.ingest.stored_source import StoredSource


class PendingCommit:
    """What a writer makes of the last commit; nothing of it is there for readers before `finish`.

    `model` is the one in use, which `adopt` replaces; `documents` are those that came in and were
    split; `were_split` says whether those of the last commit were.
    """

    def __init__(
        self,
        catalog: Catalog,
        keep: Keeping,
        tally: Tally,
        *,
        resumes: bool,
        on_note: Callable[[str], None],
    ):
        """With `resumes`, an interrupted run is gone on with where this one does the same."""
        self.catalog = catalog
        self.keep = keep
        self.tally = tally
        self.model = Model.in_use(catalog)
        self.unfinished = Unfinished(catalog.layout)
        self._resumes = resumes
        self._on_note = on_note
        self._begin_anew()

    def _begin_anew(self) -> None:
        self._staging: Staging | None = None
        self._refitted = self._pruned = False
        self._removed: set[str] = set()
        self.documents = Documents()
        self.were_split = bool(self.model.passages)

    # what is staged

    @property
    def passages(self) -> int:
        """The words of the passages into which texts are split; 0: they stay whole."""
        given = self.keep.passages
        return self.model.passages if given is None else given

    @property
    def is_begun(self) -> bool:
        """Whether there is something to commit or to abandon."""
        return self._staging is not None

    @property
    def holds_uncoded(self) -> bool:
        """Whether there are items that were added before anything was learned."""
        if self._staging is not None:
            return bool(len(self._staging.items))
        return not self.model.name and self.catalog.last_commit().n_items > 0

    @property
    def staging(self) -> Staging:
        """Where things are staged; the first call begins the commit."""
        if self._staging is None:
            digest = ""
            if self._resumes and self.model.name:
                digest = self.catalog.model(self.model.name).sha256
            return self._begin(self.model.name, digest, "", refitted=False)
        return self._staging

    @property
    def seen(self) -> Seen:
        """Which ids came in; the first call begins the commit."""
        _ = self.staging
        return self._seen

    def _begin(self, model: str, digest: str, decoder: str, *, refitted: bool) -> Staging:
        """Start staging with a model, or resume if an interrupted run staged with the same one.

        `digest` is that of its arrays, `decoder` that of a new decoder's.
        """
        self._doing = {
            "commit": self.catalog.last_commit().commit + 1,
            "model": [model, digest],
            "decoder": decoder,
            "refitted": refitted,
            "features": self.keep.features,
            "images": self.keep.images,
            "thumbnails": self.keep.thumbnails,
            "passages": self.passages,
        }
        self._staging = self.unfinished.staging(
            self.catalog, self._doing, resumes=self._resumes, on_note=self._on_note
        )
        staging = self._staging
        self._seen = Seen(staging.items, staging.kept_from, staging.next_row)
        anew = staging.n_kept_anew() if staging.kept and not refitted else 0
        self.tally.replaced += anew
        self.tally.added -= anew
        return staging

    def new_segments(self) -> SegmentWriter:
        """What writes segments of the model in use."""
        staging, coder = self.staging, self.model.coder
        if self._resumes:
            self.unfinished.encoding(self._doing)
        return SegmentWriter(
            self.catalog.layout,
            staging,
            self.seen,
            self.model.name,
            8 if coder is None else coder.n_bits,
            keeps_payloads=self.keep.images,
            keeps_thumbnails=self.keep.thumbnails,
        )

    def require_usable(self) -> None:
        """Raise CollectionError if the collection is closed, or its folder was replaced."""
        self.catalog.require_open()
        self.catalog.folder.require_unchanged(NOT_WRITTEN)

    def require_addable(self) -> None:
        """Raise CollectionError where `fit` must come before anything is added."""
        root = self.catalog.layout.root
        are_texts = kind_of(self.catalog.kind).stores_texts
        if self.model.coder is None and are_texts and not self.keep.texts:
            raise CollectionError(
                f"{root}: expected a collection with a model, or one that stores texts, got "
                "neither; call fit before add"
            )
        if self.passages != self.model.passages:
            raise CollectionError(
                f"{root}: expected passages of {self.model.passages} words as its model was made "
                f"with (0: whole texts), got {self.passages}; call fit before add"
            )

    # the model

    def held_before(self, *, all_of_it: bool) -> StoredSource | None:
        """What to encode by a new model without its source: everything, or what has no model.

        Raises CollectionError where that was split otherwise than is asked for now.
        """
        if not all_of_it and self.model.coder is not None:
            return None
        layout = self.catalog.layout
        segments = self.catalog.segments(self.catalog.last_commit().commit)
        items = self._staging.items if self._staging is not None else None
        held = StoredItems(layout, items.segments if items is not None else segments)
        if not all_of_it and not len(held):
            return None
        stored = StoredSource(layout, self.catalog.kind, held, self.model.coder)
        if self.passages != self.model.passages:
            raise CollectionError(
                f"{layout.root}: expected the documents again to split them anew, got items that "
                "the collection holds; index them into another one"
            )
        return stored

    def adopt(
        self,
        coder: Coder,
        training: dict[str, Any],
        decoder: Decoder | None = None,
        denoiser: Denoiser | None = None,
    ) -> None:
        """Put a new model, with the report of its training, in the place of the one in use."""
        description, tensors = coder.describe()
        description["training"] = training
        decoding = None
        if decoder is not None:
            decoding = with_denoiser(decoder.tensors(), denoiser)
            description["decoder"] = to_json(decoder.spec)
            if denoiser is not None:
                description["denoiser"] = to_json(denoiser.spec)
        if self.passages:
            description["passages"] = self.passages
        refitted = self.model.coder is not None or self.holds_uncoded
        if self._resumes and self._staging is None:
            name = f"m{self.catalog.last_commit().commit + 1:06d}"
            digests = [sha256_of_arrays(arrays or {}) for arrays in (tensors, decoding)]
            staging = self._begin(name, *digests, refitted=refitted)
        else:
            staging = self.staging
        name = f"m{staging.commit:06d}"
        if staging.kept:  # the model is the same, and was written before the codes
            self._refitted = refitted
        else:
            self.require_usable()
            if refitted:
                staging.drop_all_segments()
                self._refitted = True
            layout = self.catalog.layout
            record = write_model(layout, name, description, tensors, coder.n_bits, decoding)
            staging.add_model(record)
        self.model = Model(name, coder, description)

    # what leaves

    def remove(self, ids: Sequence[str], *, missing_ok: bool) -> int:
        """Remove the items of these ids, all or none; returns how many.

        Raises `UnknownItemError` for an id that there is not, unless with `missing_ok`.
        """
        staging = self.staging
        known = staging.items.find(ids)
        missing = next((one for one in ids if one not in known), None)
        if missing is not None and not missing_ok:
            raise UnknownItemError(
                f"id: expected one of the {len(staging.items)} items of "
                f"{self.catalog.layout.root}, got {missing!r}; `hashret list` shows the ids"
            )
        staging.remove(list(known.values()))
        self._removed.update(known)
        self.tally.removed += len(known)
        return len(known)

    def prune(self) -> int:
        """Remove what was not seen in this run, but for documents that came and can't be used."""
        staging = self.staging
        self._pruned = True
        removed = left_behind(self.catalog, staging, self._removed)[0] if self._refitted else 0
        unseen = self.seen.unseen()
        rows = np.setdiff1d(unseen, self.documents.withheld(staging.items, unseen)).tolist()
        staging.remove(rows)
        removed += len(rows)
        self.tally.removed += removed
        return removed

    # the end

    def require_complete(self) -> None:
        """Raise CollectionError for nothing to commit, and for items that the new model loses."""
        if not self.model.name and not self.holds_uncoded:
            raise CollectionError(
                f"{self.catalog.layout.root}: expected a collection with a model or items, got a "
                "new one; call fit and add before commit"
            )
        if self._refitted and not self._pruned:
            missing, example = left_behind(
                self.catalog,
                self.staging,
                self._removed,
                self.documents.read,
                were_split=self.were_split,
            )
            if missing:
                raise refusal(self.catalog, missing, example)

    def finish(self) -> CommitRecord:
        """Make it the last commit."""
        self.staging.give_up(self.seen.unseen_kept())
        self.catalog.remember_folders(self.keep.folders)
        record = self.staging.finish(self.model.name)
        self.unfinished.forget()
        self._begin_anew()
        return record

    def abandon(self) -> None:
        """Delete what is staged."""
        self.unfinished.forget_encoding()
        self.staging.abandon()

    def leave(self) -> None:
        """Leave what is staged to a run that resumes it."""
        self._staging = None
