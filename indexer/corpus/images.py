"""Read a folder of image files: one item for each. `hashret.features.image` decodes them later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashret.items import Item
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import files
from indexer.corpus.folders import archives
from indexer.corpus.reading import Reading

#: The suffixes of image files.
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp")
#: The largest image file that is read, in bytes: enough for the most pixels, uncompressed.
MAX_BYTES = 512 << 20
#: The largest one in an archive, in bytes: it is held in memory until it is decoded.
MAX_ARCHIVED = 64 << 20


def is_image(path: Path) -> bool:
    """Whether a file has the suffix of an image."""
    return path.suffix.lower() in SUFFIXES


def read_folder(source: Path, how: Reading) -> Iterator[Item | Skipped]:
    """Every image file of a folder or an archive, and every other entry as `Skipped`."""
    for entry in archives.entries(source, how, lambda path: MAX_ARCHIVED * is_image(path)):
        if isinstance(entry, Skipped):
            yield entry
        else:
            yield read_file(entry, follow=how.follow_links)


def read_file(entry: files.Entry, *, follow: bool) -> Item | Skipped:
    """The item of one image file, with its path or its bytes as payload; nothing is decoded yet.

    `follow` says whether its path may be a symbolic link.
    """
    try:
        if not is_image(entry.path):
            got = repr(entry.path.suffix) if entry.path.suffix else "no suffix"
            raise Refused("other-type", f"expected an image ({', '.join(SUFFIXES)}), got {got}")
        if entry.data is None:
            require_image_file(entry.path, follow=follow)
        else:
            _require_some(entry.data)
    except Refused as refused:
        return refused.skipped(entry.id)
    return Item(entry.id, entry.path if entry.data is None else entry.data, entry.metadata)


def require_image_file(path: Path, *, follow: bool = False) -> None:
    """Raise `Refused` unless `path` is a readable regular file, not empty and not too large."""
    _require_some(files.read_head(path, 1, limit=MAX_BYTES, follow=follow))


def _require_some(data: bytes) -> None:
    if not data:
        raise Refused("empty-file", "expected an image, got a file of zero bytes")
