"""Where things are in a collection's folder.

::

    COLLECTION/
      catalog.sqlite              commits, segments, removed rows, models
      catalog.json                or the address of a server that has them
      segments/NAME.npy           packed codes; like all files of a segment, immutable
      segments/NAME.arrow         ids and metadata of its items (`store.segments.record_schema`)
      segments/NAME.texts.arrow   their texts, where they are kept
      segments/NAME.thumbnails.arrow   the thumbnails of images, where they are kept
      segments/NAME.safetensors   the input features of the coded ones, where they are kept
      models/NAME/model.json      what the model is, and the report of its training
      models/NAME/model.safetensors   its arrays
      models/NAME/decoder.safetensors   those of its decoder, where it has one
      writer.lock, writer.json    the writer, and who it is
      readers.lock                which commits are being read (`catalog.leases`); always empty
      unfinished/NAME.checkpoint  what an interrupted run had reached, until the next commit
      damaged/                    what was put aside (`store.disk.aside`); never read
"""

from __future__ import annotations

import os
import re
from os import PathLike
from pathlib import Path
from typing import Self

from hashret.arguments import shown, unusable_in_path
from hashret.errors import DamagedError, NotACollectionError
from hashret.store.disk.aside import DAMAGED
from hashret.store.disk.files import TEMPORARY, sync_folder
from hashret.store.disk.refusals import plainly
from hashret.store.disk.untrusted import (
    BESIDE,
    file_status,
    is_file,
    is_folder,
    require_plain,
    touch_plain,
)

#: What each file of a segment is for, and how its name ends.
PARTS = {
    "codes": ".npy",
    "records": ".arrow",
    "texts": ".texts.arrow",
    "features": ".safetensors",
    "thumbnails": ".thumbnails.arrow",
}
#: What writers call the files of a segment, and the folder of a model.
SEGMENT_NAME = re.compile(rf"(c[0-9]+-[0-9]+)({'|'.join(map(re.escape, PARTS.values()))})")
MODEL_NAME = re.compile(r"m[0-9]+")
#: What a model is, its arrays, and those of its decoder, in the folder of its name.
MODEL_FILES = ("model.json", "model.safetensors", "decoder.safetensors")
# What file managers and file systems put into any folder: a new collection may stand beside it.
_LITTER = {".DS_Store", ".directory", "@eaDir", "Thumbs.db", "desktop.ini", "lost+found"}


class Layout:
    """The paths of one collection."""

    def __init__(self, root: Path):
        #: Absolute: the process may move to another folder.
        self.root = root
        #: The catalog itself, where it is in the folder.
        self.sqlite = root / "catalog.sqlite"
        #: Where a new catalog is written before it takes the place of another one.
        self.new_sqlite = root / f"catalog.sqlite{TEMPORARY}"
        #: Where the catalog is, if it is on a server.
        self.server = root / "catalog.json"
        #: The files of codes, records, texts, features and thumbnails.
        self.segments = root / "segments"
        self.models = root / "models"
        #: The folder of checkpoints.
        self.unfinished = root / "unfinished"
        #: The file that the writer holds.
        self.lock = root / "writer.lock"
        #: The file in which readers hold their commits.
        self.readers = root / "readers.lock"
        #: What SQLite may have put beside the catalog.
        self.beside = [root / f"catalog.sqlite-{part}" for part in BESIDE]
        self._of_locks = [self.lock, self.lock.with_suffix(".json"), self.readers]
        self._own_files = [self.sqlite, self.server, *self._of_locks, *self.beside]
        self._own_folders = [self.segments, self.models, self.unfinished]

    def part(self, segment: str, part: str) -> Path:
        """The file of a segment of this name that is this part of it."""
        return self.segments / f"{segment}{PARTS[part]}"

    @property
    def catalog(self) -> Path:
        """The file of the folder that is the catalog, or says where it is."""
        candidates = [path for path in (self.server, self.sqlite) if is_file(path)]
        return next(filter(_n_bytes, candidates), (candidates or [self.sqlite])[0])

    @property
    def has_catalog(self) -> bool:
        """Whether there is a catalog or its address; an empty file, left by a kill, is none."""
        return _n_bytes(self.catalog) > 0

    @property
    def has_data(self) -> bool:
        """Whether there are codes or models, by their names; they say nothing without a catalog."""
        models = [path for path in entries(self.models) if MODEL_NAME.fullmatch(path.name)]
        return any(SEGMENT_NAME.fullmatch(path.name) for path in entries(self.segments)) or any(
            is_file(model / name) for model in models for name in MODEL_FILES
        )

    @property
    def is_there(self) -> bool:
        """Whether there is a collection, or was one that has lost its catalog."""
        return self.has_catalog or self.has_data

    def require_catalog(self) -> None:
        """Raise `DamagedError` where codes or models are left, but no catalog."""
        if not self.has_catalog and self.has_data:
            raise self.without_catalog()

    def without_catalog(self) -> DamagedError:
        """The error for codes or models whose catalog is lost."""
        got = "an empty file" if is_file(self.catalog) else "none"
        return DamagedError(
            f"{self.catalog}: expected the catalog of the codes and models beside it, got {got}; "
            f"put it back from a copy, or have `hashret repair {self.root} --apply` move them "
            "aside, and index again"
        )

    @classmethod
    def exists(cls, path: str | PathLike[str]) -> bool:
        """Whether there is a collection at `path`, or was one that has lost its catalog."""
        return cls(_absolute(path)).is_there

    @classmethod
    def find(cls, path: str | PathLike[str]) -> Self:
        """The collection at `path`. Raises `NotACollectionError` where there is none.

        The same for one with links among its own names: they could lead anywhere. One that has
        lost its catalog is found, so that it can be repaired; `open_catalog` refuses it.
        """
        layout = cls(root := _absolute(path))
        with plainly(root, "look at"):
            if root.is_file():
                raise NotACollectionError(
                    f"{root}: expected a collection, which is a folder, got a file; make one of "
                    f"it with `hashret index {root} --to FOLDER`"
                )
            layout._require_not_below_a_file()
            layout._require_plain()
            if not layout.is_there:
                got = "a folder without a catalog" if root.exists() else "no such folder"
                if is_file(layout.catalog):
                    got = "one whose making was interrupted"
                raise NotACollectionError(
                    f"{root}: expected a collection, got {got}; make one with "
                    f"`hashret index SOURCE --to {root}`"
                )
        return layout

    @classmethod
    def require_place(cls, path: str | PathLike[str]) -> Self:
        """The collection that is, or can be made, at `path`; nothing is made.

        Raises `NotACollectionError` rather than have anyone write into a file or a folder of other
        things.
        """
        layout = cls(root := _absolute(path))
        with plainly(root, "look into"):
            layout._require_not_below_a_file()
            if not layout.is_there and root.exists():
                got = "other files" if root.is_dir() else "a file"
                if not root.is_dir() or set(root.iterdir()) - layout._harmless:
                    raise NotACollectionError(
                        f"{root}: expected a collection, an empty folder or nothing, got {got}; "
                        "choose another path"
                    )
            layout._require_plain()
        return layout

    @property
    def _harmless(self) -> set[Path]:
        """What a folder may hold that is to become a collection.

        A writer that died before its first commit leaves only its own names.
        """
        others = {DAMAGED, f"{self.server.name}{TEMPORARY}", self.new_sqlite.name} | _LITTER
        return {self.root / name for name in others}.union(self._own_files, self._own_folders)

    @classmethod
    def create(cls, path: str | PathLike[str]) -> Self:
        """Make the folders of a collection at `path`; fine where it is one already.

        Raises `NotACollectionError` as `require_place`.
        """
        layout = cls.require_place(path)
        root = layout.root
        missing = [folder for folder in (root, *root.parents) if not folder.exists()]
        with plainly(root, "make"):
            layout.segments.mkdir(parents=True, exist_ok=True)
            layout.models.mkdir(exist_ok=True)
        if not layout.is_there:  # a commit in a folder whose name is not durable is not durable
            touch_plain(layout.readers)
            for folder in {root, root.parent, *(folder.parent for folder in missing)}:
                sync_folder(folder)
        return layout

    def _require_not_below_a_file(self) -> None:
        for parent in self.root.parents:
            if parent.is_file():
                raise NotACollectionError(
                    f"{self.root}: expected a path through folders, got the file {parent} in it; "
                    "choose another path"
                )

    def _require_plain(self) -> None:
        require_plain(self._own_files, self._own_folders)
        if _n_bytes(self.sqlite) and _n_bytes(self.server):
            raise NotACollectionError(
                f"{self.root}: expected one catalog, got {self.sqlite.name} and "
                f"{self.server.name}; move the one that does not belong to it away"
            )

    def forget_empty(self) -> None:
        """Delete catalogs of no bytes that a kill left; the caller holds the writer lock."""
        if not self.is_there:
            for path in (self.server, self.sqlite):
                if is_file(path):
                    with plainly(path, "delete"):
                        path.unlink()

    def discard(self) -> None:
        """Delete a collection that never had a commit: only its own names, then empty folders."""
        with plainly(self.root, "delete"):
            checkpoints = [path for path in self.unfinished.glob("*.checkpoint*") if is_file(path)]
            for path in (*checkpoints, self.sqlite, self.server, *self._of_locks):
                path.unlink(missing_ok=True)
            for folder in (*self._own_folders, self.root):
                if is_folder(folder) and not any(folder.iterdir()):
                    folder.rmdir()

    def sizes(self) -> dict[str, int]:
        """Bytes on disk by part, without the catalog: segments, models."""
        return {"segments": _size(self.segments), "models": _size(self.models)}


def _absolute(path: str | PathLike[str]) -> Path:
    """The path as it leads from wherever the process is now. Raises TypeError for what is none."""
    try:
        given = os.fspath(path)
    except TypeError:
        given = None
    if not isinstance(given, str):
        raise TypeError(
            f"path: expected that of a collection's folder, got {shown(path)}; pass a str or a Path"
        )
    if odd := unusable_in_path(given):
        raise NotACollectionError(
            f"{given!r}: expected a path, got one with {odd} in it; look at it"
        )
    with plainly(Path(given), "find"):
        return Path(given).absolute()


def _size(folder: Path) -> int:
    return sum(_n_bytes(path) for path in folder.rglob("*"))


def _n_bytes(path: Path) -> int:
    """The size of a regular file; 0 where none stands."""
    found = file_status(path)
    return 0 if found is None else found.st_size


def entries(folder: Path) -> list[Path]:
    """What stands in a folder; nothing where none stands."""
    return list(folder.iterdir()) if is_folder(folder) else []
