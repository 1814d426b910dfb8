"""The files that items were, in the folders that a collection was indexed from.

An id may be a stranger's, so a path made of it is opened only if it stays inside its folder after
all links are resolved; whoever asks compares what was read with the item's digest.
"""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path

from hashret.store.catalog.records import SourceFolder

#: Bytes of the largest file that is read: a photo without compression, of 20 megapixels.
MOST_BYTES = 64 << 20
_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)


def file_in(folder: SourceFolder, item_id: str) -> Path | None:
    """The file in the folder that an item of this id would be; None if there is none.

    A file outside of the folder is none, whatever links lead to it. No file is opened.
    """
    if not item_id.startswith(folder.prefix) or "\0" in item_id:
        return None
    with suppress(OSError, ValueError, RuntimeError):
        root = Path(folder.path).resolve(strict=True)
        path = (root / item_id.removeprefix(folder.prefix)).resolve(strict=True)
        if path.is_relative_to(root) and path.is_file():
            return path
    return None


def read_original(folder: SourceFolder, item_id: str) -> bytes | None:
    """What is in `file_in`; None if there is none to read, or if it has more than `MOST_BYTES`."""
    path = file_in(folder, item_id)
    if path is None:
        return None
    with suppress(OSError), os.fdopen(os.open(path, os.O_RDONLY | _FLAGS), "rb") as stream:
        status = os.fstat(stream.fileno())
        if stat.S_ISREG(status.st_mode) and status.st_size <= MOST_BYTES:
            data = stream.read(MOST_BYTES + 1)
            return data if len(data) <= MOST_BYTES else None
    return None
