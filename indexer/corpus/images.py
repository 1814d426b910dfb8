"""Read a folder of image files: one item for each. `hashret.features.image` decodes them later."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashret.items import Item
from indexer.corpus import files
from indexer.refusals import Refused, Skipped

#: The suffixes of image files.
SUFFIXES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".tif", ".tiff", ".bmp")
#: The largest image file that is read, in bytes: enough for the most pixels, uncompressed.
MAX_BYTES = 512 << 20


def is_image(path: Path) -> bool:
    """Whether a file has the suffix of an image."""
    return path.suffix.lower() in SUFFIXES


def read_folder(root: Path, *, follow: bool = False) -> Iterator[Item | Skipped]:
    """Every image file under `root`, and every other entry as `Skipped`, in a stable order.

    With `follow`, symbolic links are followed, wherever they lead.
    """
    for entry in files.walk(root, follow=follow):
        if isinstance(entry, Skipped):
            yield entry
        else:
            yield read_file(entry.path, entry.relative, follow=follow)


def read_file(path: Path, relative: str, *, follow: bool = False) -> Item | Skipped:
    """The item of one image file, with its path as payload; nothing is decoded yet."""
    item_id = files.id_of(relative)
    try:
        if not is_image(path):
            got = repr(path.suffix) if path.suffix else "no suffix"
            raise Refused("other-type", f"expected an image ({', '.join(SUFFIXES)}), got {got}")
        require_image_file(path, follow=follow)
    except Refused as refused:
        return refused.skipped(item_id)
    return Item(item_id, path, files.id_metadata(relative))


def require_image_file(path: Path, *, follow: bool = False) -> None:
    """Raise `Refused` unless `path` is a readable regular file, not empty and not too large."""
    if not files.read_head(path, 1, limit=MAX_BYTES, follow=follow):
        raise Refused("empty-file", "expected an image, got a file of zero bytes")
