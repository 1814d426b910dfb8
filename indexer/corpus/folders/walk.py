"""Which files are in a folder of a source? Every entry comes out once, as a file or a refusal.

The folder may come from a stranger. Links inside it are not followed unless that is asked for.
There is no protection against a folder that changes while it is read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from hashret.workers.refusals import Refused, Skipped
from indexer.corpus.files import Entry, entry_of, id_of, is_collection, refusal_of
from indexer.corpus.leaving_out import Rules

_Identity = tuple[int, int] | None  # device and inode of a folder; None if these can't be read


def walk(root: Path, rules: Rules, *, follow: bool = False) -> Iterator[Entry | Skipped]:
    """Every entry under the folder `root`, in the order of the bytes of their relative paths.

    A folder that the rules leave out, that is a collection or that can't be listed is one
    `Skipped`. With `follow`, symbolic links are followed, wherever they lead; only a link to a
    folder that contains it is skipped. Memory grows with the entries of the folders on one path,
    not with those of the tree.
    """
    above = (_identity(root),) if follow else None
    stack = [_listing(_Folder(root, "", above, rules))]
    while stack:
        found = next(stack[-1], None)
        if found is None:
            stack.pop()
        elif isinstance(found, _Folder):
            stack.append(_listing(found))
        else:
            yield found


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder that is to be listed."""

    path: Path
    prefix: str
    above: tuple[_Identity, ...] | None
    """This folder and those that contain it; None if links are not followed."""
    rules: Rules


def _listing(folder: _Folder) -> Iterator[Entry | Skipped | _Folder]:
    """The entries of one folder, in order; subfolders as what is to be listed next."""
    follow = folder.above is not None
    try:
        with os.scandir(folder.path) as entries:
            # A folder is sorted by its name with a "/", so that the tree is listed in the order of
            # relative paths: "a.txt" before "a/b.txt".
            found = sorted(
                (os.fsencode(entry.name) + b"/" * entry.is_dir(follow_symlinks=follow), entry)
                for entry in entries
            )
    except OSError as error:
        yield refusal_of(error).skipped(id_of(folder.prefix.rstrip("/") or folder.path.name))
        return
    names = (entry.name for _, entry in found)
    rules, unusable = folder.rules.within(folder.path, folder.prefix, names)
    for key, entry in found:
        path, relative = folder.path / entry.name, folder.prefix + entry.name
        is_folder = key.endswith(b"/")
        why = unusable.get(entry.name) or rules.left_out(relative, is_folder=is_folder)
        if why is not None:
            yield why.skipped(id_of(relative))
        elif not is_folder:
            try:
                yield entry_of(path, relative, follow=follow)
            except Refused as refused:
                yield refused.skipped(id_of(relative))
        elif is_collection(path):
            yield Skipped(id_of(relative), "a collection of hashret, not a source", "collection")
        elif folder.above is None:
            yield _Folder(path, relative + "/", None, rules)
        elif (inner := _identity(path)) in folder.above:
            yield Skipped(id_of(relative), "a link to a folder that contains it", "symlink")
        else:
            yield _Folder(path, relative + "/", (*folder.above, inner), rules)


def _identity(folder: Path) -> _Identity:
    """The device and inode of a folder, which identify it; None if these can't be read."""
    try:
        status = folder.stat()
    except OSError:
        return None
    return status.st_dev, status.st_ino
