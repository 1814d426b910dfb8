"""A collection held by its one writer: locked, opened or made, and undone if it got no commit."""

from __future__ import annotations

import os
from contextlib import ExitStack
from os import PathLike

from hashret.arguments import resolve
from hashret.errors import CatalogServerError, InputError
from hashret.features import FEATURIZERS
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.opening import create_catalog, open_catalog
from hashret.store.disk.untrusted import touch_plain
from hashret.store.layout import Layout
from hashret.store.leftovers import delete_unnamed
from hashret.store.lock import writer_lock


def another_kind(what: str, kind: str, collection: str | PathLike[str], got: str) -> InputError:
    """The error for `what` is of another kind of items than the collection, which has `kind`."""
    return InputError(
        f"{what}: expected items of kind {kind} as {collection} has, got {got}; name another "
        "collection for those"
    )


class HeldCollection:
    """The folder and the catalog of a collection, open for writing until `close`.

    A new collection that never had a commit is not left behind as an empty one, but where
    `leave_nothing` was set to False.
    """

    layout: Layout
    catalog: Catalog

    def __init__(
        self,
        path: str | PathLike[str],
        kind: str | None,
        *,
        address: str | None = None,
        wait_seconds: float = 0.0,
        resumes: bool = False,
    ):
        """Lock and open the collection at `path`, or make one for items of `kind`.

        `address` is that of the catalog's server. With `resumes`, one that an interrupted run left
        without a commit counts as new. Raises `InputError` for a collection of another kind,
        ValueError for a new one of none, `LockedError`, and what `open_catalog` raises.
        """
        if kind is None and not Layout.exists(path):
            raise ValueError(
                f"kind: expected one of {', '.join(FEATURIZERS)} for a new collection, got none; "
                "say what its items are"
            )
        if kind is not None:
            resolve(FEATURIZERS, kind, "kind")
        self._process = os.getpid()
        self._exit = ExitStack()
        self.layout = Layout.create(path)
        self._exit.enter_context(writer_lock(self.layout, wait_seconds))
        # known only now: another writer may just have made it
        self.leave_nothing = not Layout.exists(path)
        self.layout.forget_empty()
        self._exit.callback(self._discard)
        try:
            self._open(kind, address, wait_seconds, resumes)
        except BaseException:
            self._exit.close()
            raise

    def _open(self, kind: str | None, address: str | None, wait: float, resumes: bool) -> None:
        if kind is None:
            self.catalog = open_catalog(self.layout, write=True, address=address, wait_seconds=wait)
        else:
            self.catalog = create_catalog(self.layout, kind, address=address, wait_seconds=wait)
        self._exit.enter_context(self.catalog)
        touch_plain(self.layout.readers)  # none was made by a hashret that knew of no readers
        if resumes and self.catalog.last_commit().commit == 0:
            self.leave_nothing = True  # as the run that was interrupted would have left
        self._exit.callback(self._discard_catalog)
        if kind not in (None, self.catalog.kind):
            raise another_kind("kind", self.catalog.kind, self.layout.root, str(kind))

    def close(self) -> None:
        """Release the collection."""
        if self.is_own:
            self._exit.close()

    @property
    def is_own(self) -> bool:
        """Whether this process opened it, and not one that it was forked from."""
        return self._process == os.getpid()

    @property
    def is_there(self) -> bool:
        """Whether the folder is the one that was opened."""
        return self.catalog.folder.change() is None

    def _discard_catalog(self) -> None:
        if not self.is_there:
            self.leave_nothing = False  # what stands there is another's
        if self.leave_nothing:
            delete_unnamed(self.layout, (), ())  # first: codes without a catalog would be damage
            try:
                self.catalog.discard()
            except CatalogServerError:  # lost: the next writer finds what is there
                self.leave_nothing = False

    def _discard(self) -> None:
        if self.leave_nothing:
            self.layout.discard()
