"""Where things are in a collection's folder.

::

    COLLECTION/
      catalog.sqlite              items, segments, models, commits
      segments/NAME.npy           packed codes, immutable
      models/NAME/model.json      what the model is, and the report of its training
      models/NAME/model.safetensors   its arrays
      writer.lock, writer.json    the writer, and who it is
"""

from __future__ import annotations

from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Self

from hashret.errors import NotACollectionError


@dataclass(frozen=True, slots=True)
class Layout:
    """The paths of one collection."""

    root: Path

    @property
    def catalog(self) -> Path:
        """The SQLite catalog."""
        return self.root / "catalog.sqlite"

    @property
    def segments(self) -> Path:
        """The folder of code files."""
        return self.root / "segments"

    @property
    def models(self) -> Path:
        """The folder of models."""
        return self.root / "models"

    @property
    def lock(self) -> Path:
        """The file that the writer holds."""
        return self.root / "writer.lock"

    @classmethod
    def exists(cls, path: str | PathLike[str]) -> bool:
        """Whether there is a collection at `path`."""
        return cls(Path(path)).catalog.is_file()

    @classmethod
    def find(cls, path: str | PathLike[str]) -> Self:
        """The collection at `path`. Raises `NotACollectionError` where there is none."""
        layout = cls(Path(path))
        if not layout.catalog.is_file():
            root = layout.root
            got = (
                "no such folder"
                if not root.exists()
                else ("a folder without a catalog" if root.is_dir() else "a file")
            )
            raise NotACollectionError(
                f"{root}: expected a collection, got {got}; make one with "
                f"`hashret index SOURCE --to {root}`"
            )
        return layout

    @classmethod
    def create(cls, path: str | PathLike[str]) -> Self:
        """Make the folders of a collection at `path`; fine where it is one already.

        Raises `NotACollectionError` rather than writing into a file or a folder of other things.
        """
        layout = cls(Path(path))
        root = layout.root
        if not cls.exists(root):
            # a writer that died before its first commit leaves only its own names
            ours = {"segments", "models", "writer.lock", "writer.json"}
            if root.exists() and (
                not root.is_dir() or any(entry.name not in ours for entry in root.iterdir())
            ):
                raise NotACollectionError(
                    f"{root}: expected a collection, an empty folder or nothing, got other files; "
                    "choose another path"
                )
        layout.segments.mkdir(parents=True, exist_ok=True)
        layout.models.mkdir(exist_ok=True)
        return layout

    def discard(self) -> None:
        """Delete a collection that never had a commit: only its own names, then empty folders."""
        for path in (self.catalog, self.lock, self.lock.with_suffix(".json")):
            path.unlink(missing_ok=True)
        for folder in (self.segments, self.models, self.root):
            if folder.is_dir() and not any(folder.iterdir()):
                folder.rmdir()

    def sizes(self) -> dict[str, int]:
        """Bytes on disk by part: catalog, segments, models."""
        return {
            "catalog": self.catalog.stat().st_size,
            "segments": _size(self.segments),
            "models": _size(self.models),
        }


def _size(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
