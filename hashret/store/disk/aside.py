"""What is damaged or in the way is moved into the folder `damaged` of its collection.

By renaming, which needs no space and looks at no content: a link is moved as a link, a folder with
all that is in it. What stands in the way there is moved first, and nothing is ever replaced.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from itertools import count
from pathlib import Path

from hashret.store.disk.files import make_folder, sync_folder
from hashret.store.disk.refusals import plainly
from hashret.store.disk.untrusted import is_folder

DAMAGED = "damaged"


def moves_aside(root: Path, paths: Iterable[Path]) -> dict[Path, Path]:
    """Where each of `paths`, all below the collection `root`, goes; in the order of the moves.

    Paths where nothing stands are left out.
    """
    moves: dict[Path, Path] = {}
    for path in paths:
        if not os.path.lexists(path) or any(one in moves for one in (path, *path.parents)):
            continue  # nothing there, or it goes with its folder
        folder, is_new = root, False
        for name in (DAMAGED, *path.relative_to(root).parent.parts):
            folder = folder / name
            if not is_new and os.path.lexists(folder) and not is_folder(folder):
                moves.setdefault(folder, _free(folder, moves))
            is_new = is_new or folder in moves or not os.path.lexists(folder)
        to = folder / path.name
        moves[path] = _free(to, moves, is_new=is_new)
    return moves


def _free(path: Path, moves: Mapping[Path, Path], *, is_new: bool = False) -> Path:
    """A name that nothing has: this one, or with a number behind it."""
    taken = {one for to in moves.values() for one in (to, *to.parents)}
    names = (path.with_name(f"{path.name}.{n}") if n > 1 else path for n in count(1))
    return next(p for p in names if p not in taken and (is_new or not os.path.lexists(p)))


def move(root: Path, moves: Mapping[Path, Path]) -> None:
    """Carry out what `moves_aside` said, durably."""
    for path, to in moves.items():
        make_folder(root, to.parent)
        with plainly(path, "move"):
            path.rename(to)
        sync_folder(to.parent)
        sync_folder(path.parent)
