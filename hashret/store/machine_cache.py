"""What searching costs on this machine, kept in the user's cache folder and not in a collection.

A collection is copied from one machine to another, is read by people who may not write to it, and
may come from a stranger: costs kept in it would be another machine's, missing, or made up. Nothing
but time depends on them; so a file that can't be read, is damaged, or was written elsewhere is as
none, and one that can't be written is left out.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
from collections.abc import Mapping
from hashlib import sha256
from pathlib import Path

import numpy as np

from hashret import __version__
from hashret.store.file_systems import network_mount

PROCESSORS = Path("/proc/cpuinfo")
_LIMIT = 1 << 16  # bytes; a sound file has a few hundred


def signature() -> str:
    """What makes costs differ: processor, number of cores, versions; 16 hexadecimal digits."""
    facts = (platform.machine(), _processor(), os.cpu_count(), np.__version__, __version__)
    return sha256(repr(facts).encode()).hexdigest()[:16]


def _processor() -> str:
    try:
        lines = PROCESSORS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    named = [line for line in lines if line.startswith("model name")]
    return named[0] if named else platform.processor()


def folder() -> Path:
    """Where the costs are kept. Raises RuntimeError for a user without a home."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hashret"


def _path(name: str) -> Path:
    return folder() / f"costs-{signature()}-{name}.json"


def read_costs(name: str) -> dict[str, float]:
    """The numbers kept under `name` ("numpy", "kernels") on this machine; {} if there are none."""
    try:
        with _path(name).open("rb") as file:
            numbers = json.loads(file.read(_LIMIT))
    except (OSError, RuntimeError, ValueError, RecursionError):
        return {}
    if not isinstance(numbers, dict):
        return {}
    return {str(field): value for field, value in numbers.items() if isinstance(value, float)}


def write_costs(name: str, numbers: dict[str, float]) -> None:
    """Keep numbers for the next process; where that can't be, it measures again."""
    try:
        path = _path(name)
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(f".{os.getpid()}.part")
        part.write_text(json.dumps(numbers), encoding="utf-8")
        part.replace(path)
    except (OSError, RuntimeError):
        return


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
