"""Arrays that took long to make, kept in the user's cache folder, and mapped from there.

They lie in a folder of their own by the name that whoever made them gives, a file of NumPy's format
each. Processes that map the same file share its memory, and the system takes it back when it is
short. As with costs (`machine_costs`), nothing but time depends on them: what can't be read is as
none, what can't be written is left out, and whoever reads looks at what it is. Where the folder is
on a network nothing is kept: what one machine deletes would be taken from under another's feet.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from hashret.store.file_systems import network_mount
from hashret.store.machine_costs import folder

#: Bytes kept in all; of more the ones go that were not wanted for longest, but never the last.
MOST = 1 << 30
_ROOM = 4  # so many times the bytes of what is kept must be free


def read_arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays kept under this name, read-only and mapped; {} if there are none."""
    try:
        path = _folder() / name
        if network_mount(path) is not None:
            return {}
        found = {file.stem: _mapped(file) for file in path.glob("*.npy")}
        if found:
            os.utime(path)  # wanted now
    except (OSError, RuntimeError, ValueError, EOFError):
        return {}
    return found


def _mapped(file: Path) -> np.ndarray:
    # as a plain array: those of NumPy's own class for it are slow to cut
    return np.load(file, mmap_mode="r", allow_pickle=False).view(np.ndarray)


def write_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays for the next process, in place of any of this name, where there is room."""
    try:
        size = sum(array.nbytes for array in arrays.values())
        path = _folder() / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        has_room = shutil.disk_usage(path.parent).free >= _ROOM * size
        if not has_room or network_mount(path) is not None:
            return
        part = path.with_name(f"{name}.{os.getpid()}.part")
        try:
            part.mkdir(exist_ok=True)
            for key, array in arrays.items():
                np.save(part / f"{key}.npy", array, allow_pickle=False)
            forget_arrays(name)
            part.replace(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        _make_room()
    except (OSError, RuntimeError):
        return


def forget_arrays(name: str) -> None:
    """Delete what is kept under this name; who has mapped it goes on with it."""
    try:
        shutil.rmtree(_folder() / name, ignore_errors=True)
    except RuntimeError:
        return


def _folder() -> Path:
    return folder() / "arrays"


def _make_room() -> None:
    kept = sorted(_folder().iterdir(), key=lambda path: path.stat().st_mtime)
    sizes = [sum(file.stat().st_size for file in path.glob("*")) for path in kept]
    while len(kept) > 1 and sum(sizes) > MOST:
        sizes.pop(0)
        shutil.rmtree(kept.pop(0), ignore_errors=True)
