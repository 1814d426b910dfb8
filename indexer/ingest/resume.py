"""The files that let an interrupted run of an `Indexer` be resumed; they go with the commit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from hashret.sparse import Features
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.staging import Staging
from hashret.store.checkpoint_files import CheckpointFiles
from hashret.store.layout import Layout

if TYPE_CHECKING:
    from indexer.training.checkpoints import Checkpoints
    from indexer.training.options import TrainingOptions

_ENCODING = "encoding"


class Unfinished:
    """The checkpoints of one collection's writer: of its training, and of what it encodes.

    What was encoded is staged in the catalog already; all that is kept here is what it was encoded
    with, so that a run that does something else does not go on from it.
    """

    def __init__(self, layout: Layout):
        self._files = CheckpointFiles(layout)

    def training(
        self,
        features: Features,
        kind: str,
        options: TrainingOptions,
        shape: tuple[int, int, int] | None,
        labels: np.ndarray | None = None,
    ) -> Checkpoints:
        """The checkpoints of a training; those of another one are forgotten."""
        from indexer.training.checkpoints import Checkpoints, key_of

        return Checkpoints(self._files, key_of(features, kind, options, shape, labels))

    def is_encoding(self, what: dict[str, Any]) -> bool:
        """Whether the last run was interrupted while it did the same."""
        kept = self._files.read(_ENCODING)
        return kept is not None and kept[0] == what

    def encoding(self, what: dict[str, Any]) -> None:
        """Note what is begun: everything that what is staged depends on."""
        if not self.is_encoding(what):
            self._files.write(_ENCODING, what)

    def staging(
        self,
        catalog: Catalog,
        what: dict[str, Any],
        *,
        resumes: bool,
        on_note: Callable[[str], None],
    ) -> Staging:
        """A commit in the making; with `resumes`, gone on with where the last run did the same."""
        keep = resumes and self.is_encoding(what) and catalog.has_model(*what["model"])
        if keep:
            on_note("going on with what was encoded before the interruption")
        elif self.forget_encoding() and resumes:
            on_note("what was encoded before the interruption was of another model: anew")
        return Staging(catalog, keep=keep, refitted=what["refitted"])

    def forget_encoding(self) -> bool:
        """Before anything staged is deleted; True if a run was interrupted while encoding."""
        return self._files.clear(_ENCODING)

    def forget(self) -> None:
        """All of it: the run has ended."""
        self._files.clear()
