"""Where things are in a collection's folder.

::

    COLLECTION/
      catalog.sqlite              items, segments, models, commits
      catalog.json                or the address of a server that has them
      segments/NAME.npy           packed codes, immutable
      segments/NAME.safetensors   the input features of the same rows, where they are kept
      models/NAME/model.json      what the model is, and the report of its training
      models/NAME/model.safetensors   its arrays
      writer.lock, writer.json    the writer, and who it is
      readers.lock                which commits are being read (`store.leases`); always empty
      unfinished/NAME.checkpoint  what an interrupted run had reached, until the next commit
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Self

from hashret.errors import NotACollectionError
from hashret.store.files import sync_folder
from hashret.store.untrusted import require_plain

_BESIDE = ("journal", "wal", "shm")  # what SQLite puts, or would read, beside the catalog


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one collection."""

    root: Path

    @property
    def sqlite(self) -> Path:
        """The catalog itself, where it is in the folder."""
        return self.root / "catalog.sqlite"

    @property
    def server(self) -> Path:
        """Where the catalog is, if it is on a server."""
        return self.root / "catalog.json"

    @property
    def catalog(self) -> Path:
        """The file of the folder that is the catalog, or says where it is."""
        return self.server if self.server.is_file() else self.sqlite

    @property
    def segments(self) -> Path:
        """The folder of code files."""
        return self.root / "segments"

    @property
    def models(self) -> Path:
        """The folder of models."""
        return self.root / "models"

    @property
    def unfinished(self) -> Path:
        """The folder of checkpoints."""
        return self.root / "unfinished"

    @property
    def lock(self) -> Path:
        """The file that the writer holds."""
        return self.root / "writer.lock"

    @property
    def readers(self) -> Path:
        """The file in which readers hold their commits."""
        return self.root / "readers.lock"

    @classmethod
    def exists(cls, path: str | PathLike[str]) -> bool:
        """Whether there is a collection at `path`."""
        return cls(Path(path)).catalog.is_file()

    @classmethod
    def find(cls, path: str | PathLike[str]) -> Self:
        """The collection at `path`. Raises `NotACollectionError` where there is none.

        The same for one with links among its own names: they could lead anywhere.
        """
        layout = cls(Path(path))
        root = layout.root
        if root.is_file():
            raise NotACollectionError(
                f"{root}: expected a collection, which is a folder, got a file; make one of it "
                f"with `hashret index {root} --to FOLDER`"
            )
        layout._require_not_below_a_file()
        layout._require_plain()
        if not layout.catalog.is_file():
            got = "a folder without a catalog" if root.exists() else "no such folder"
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
        layout = cls(Path(path))
        root = layout.root
        layout._require_not_below_a_file()
        if not cls.exists(root):
            # a writer that died before its first commit leaves only its own names
            ours = {"segments", "models", "unfinished", "writer.lock", "writer.json"}
            ours.add("readers.lock")
            ours |= {"catalog.sqlite-journal", "catalog.json.tmp"}
            if root.exists() and (
                not root.is_dir() or any(entry.name not in ours for entry in root.iterdir())
            ):
                raise NotACollectionError(
                    f"{root}: expected a collection, an empty folder or nothing, got other files; "
                    "choose another path"
                )
        layout._require_plain()
        return layout

    @classmethod
    def create(cls, path: str | PathLike[str]) -> Self:
        """Make the folders of a collection at `path`; fine where it is one already.

        Raises `NotACollectionError` as `require_place`.
        """
        layout = cls.require_place(path)
        root = layout.root
        missing = [folder for folder in (root, *root.parents) if not folder.exists()]
        layout.segments.mkdir(parents=True, exist_ok=True)
        layout.models.mkdir(exist_ok=True)
        if not cls.exists(root):  # a commit in a folder whose name is not durable is not durable
            layout.readers.touch()
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
        beside = [self.sqlite.with_name(f"{self.sqlite.name}-{part}") for part in _BESIDE]
        own = [self.lock, self.lock.with_suffix(".json"), self.readers]
        files = [self.sqlite, self.server, *own, *beside]
        require_plain(files, [self.segments, self.models, self.unfinished])
        if self.sqlite.exists() and self.server.exists():
            raise NotACollectionError(
                f"{self.root}: expected one catalog, got {self.sqlite.name} and "
                f"{self.server.name}; move the one that does not belong to it away"
            )

    def discard(self) -> None:
        """Delete a collection that never had a commit: only its own names, then empty folders."""
        for path in self.unfinished.glob("*.checkpoint*"):
            path.unlink()
        own = [self.lock, self.lock.with_suffix(".json"), self.readers]
        for path in (self.sqlite, self.server, *own):
            path.unlink(missing_ok=True)
        for folder in (self.segments, self.models, self.unfinished, self.root):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def sizes(self) -> dict[str, int]:
        """Bytes on disk by part, without the catalog: segments, models."""
        return {
            "segments": _size(self.segments),
            "models": _size(self.models),
        }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
