"""May a verb that reads sources write its output there? Not over what it reads, or a collection."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO

from hashret.outside.outputs import no_place, require_place

#: Bytes. So much of a file is inspected before it is replaced: more than any line of a report.
_HEAD = 1 << 20


def require_output(
    path: Path,
    what: str,
    former: re.Pattern[str],
    sources: Sequence[Path],
    kind: str,
    *,
    to: Path | None = None,
    inputs: Iterable[Path | None] = (),
) -> None:
    """Raise `InputError` if writing `what` to `path` would overwrite or disturb other files.

    `path` must not be inside a collection (`to` or another), nor one of the `inputs`, nor a file
    that the `sources` of `kind` would be read from. A file that is already there must begin as the
    pattern `former` says: it is then an earlier output of the same sort.
    """
    from indexer.corpus import Source

    try:
        for source in sources:
            if Source(source, kind).would_read(path):
                raise no_place(path, what, f"what would be read with the source {source}")
        for one in inputs:
            if one is not None and path.exists() and one.exists() and path.samefile(one):
                raise no_place(path, what, f"the file {one}, which is read")
        if (folder := _collection_around(path, to)) is not None:
            raise no_place(path, what, f"a place in the collection {folder}")
    except OSError as error:
        raise no_place(path, what, error.strerror) from error
    require_place(path, what, lambda stream: former.match(_beginning(stream)) is not None)


def _beginning(stream: IO[bytes]) -> str:
    return stream.read(_HEAD).decode("utf-8", "replace")


def _collection_around(path: Path, to: Path | None) -> Path | None:
    """The collection whose folder contains `path`, `to` among them; None if there is none."""
    from indexer.corpus import files

    place = Path(os.path.realpath(path))
    if to is not None and (place == Path(os.path.realpath(to)) or files.is_below(path, to)):
        return to
    return next(filter(files.is_collection, place.parents), None)
