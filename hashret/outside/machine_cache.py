"""What only saves time, kept in the user's cache folder: the costs of searching, and large arrays.

It is not kept in a collection, which is copied from one machine to another, is read by people who
may not write to it, and may come from a stranger: costs kept in it would be another machine's,
missing, or made up. Nothing but time depends on what is kept; so a file that can't be read, is
damaged, or was written elsewhere is as none, and one that can't be written is left out.
"""

from __future__ import annotations

import json
import os
import platform
import shutil
import time
from collections.abc import Mapping
from hashlib import file_digest, sha256
from pathlib import Path

import numpy as np

from hashret._version import __version__
from hashret.store.disk.file_systems import network_mount

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


#: All arrays together take at most this part, a quarter, of what would be free on the disk without
#: them. A table of 100 million codes has 2 GB: where 20 GB are free, two of these are kept.
SHARE = 4
#: Seconds after which arrays go that nobody wanted meanwhile: 30 days. A collection that changes
#: leaves the table of each of its states behind.
UNWANTED = 30 * 24 * 3600
_SUMS = "sums.json"  # the name of the arrays, and the SHA-256 of each file
#: What a file holds, by the end of its name: numbers of one type and nothing else, because NumPy's
#: files begin with Python literals, and what reading made-up ones raises is not said anywhere.
_TYPES = {".u1": "|u1", ".u4": "<u4", ".u8": "<u8"}


def read_arrays(name: str) -> dict[str, np.ndarray]:
    """The arrays kept under this name, read-only and mapped; {} if there are none.

    And {} if a byte of them is not as it was written: every file is read once, a second or less a
    gigabyte, and compared with its checksum.
    """
    try:
        path = _folder() / name
        if network_mount(path) is not None:
            return {}
        with (path / _SUMS).open("rb") as file:
            if json.loads(file.read(_LIMIT)) != _sums(path, name):
                return {}
        found = {file.stem: _mapped(file) for file in _files(path)}
        os.utime(path)  # wanted now
    except (OSError, RuntimeError, ValueError, RecursionError):
        return {}
    return found


def has_arrays(name: str) -> bool:
    """Whether arrays are kept under this name, without a look at them."""
    try:
        return (_folder() / name / _SUMS).is_file()
    except (OSError, RuntimeError):
        return False


def _files(path: Path) -> list[Path]:
    return [file for file in path.iterdir() if file.suffix in _TYPES and file.is_file()]


def _sums(path: Path, name: str) -> dict[str, str]:
    """What `_SUMS` is to say of these files."""
    sums = {"name": name}
    for kept in _files(path):
        with kept.open("rb") as file:
            sums[kept.name] = file_digest(file, "sha256").hexdigest()
    return sums


def _mapped(file: Path) -> np.ndarray:
    if not file.stat().st_size:  # nothing can't be mapped
        return np.empty(0, _TYPES[file.suffix])
    # as a plain array: those of NumPy's own class for it are slow to cut
    return np.memmap(file, _TYPES[file.suffix], "r").view(np.ndarray)


def write_arrays(name: str, arrays: Mapping[str, np.ndarray]) -> None:
    """Keep arrays, (n,) uint8, uint32 or uint64, for the next process, where there is room.

    They take the place of any of this name, and of those that were not wanted for longest where
    more room is needed. Who has mapped what goes keeps it.
    """
    try:
        path = _folder() / name
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        if network_mount(path) is not None:
            return
        shutil.rmtree(path, ignore_errors=True)
        if not _made_room(sum(array.nbytes for array in arrays.values())):
            return
        part = path.with_name(f"{name}.{os.getpid()}.part")
        try:
            part.mkdir(exist_ok=True)
            for key, array in arrays.items():
                end = f".{array.dtype.kind}{array.itemsize}"
                array.astype(_TYPES[end], copy=False).tofile(part / f"{key}{end}")
            (part / _SUMS).write_text(json.dumps(_sums(part, name)), encoding="utf-8")
            part.replace(path)
        finally:
            shutil.rmtree(part, ignore_errors=True)
    except (OSError, RuntimeError):
        return


def _folder() -> Path:
    return folder() / "arrays"


def _made_room(size: int) -> bool:
    """Whether there is room for so many more bytes, once what is kept too much has been deleted."""
    kept = sorted((path.stat().st_mtime, path) for path in _folder().iterdir())
    sizes = [sum(file.stat().st_size for file in path.glob("*")) for _, path in kept]
    most = (shutil.disk_usage(_folder()).free + sum(sizes)) // SHARE
    if size > most:
        return False
    left, oldest = size + sum(sizes), time.time() - UNWANTED
    for bytes_, (wanted, path) in zip(sizes, kept, strict=True):
        if left > most or wanted < oldest:
            shutil.rmtree(path, ignore_errors=True)
            left -= bytes_
    return True
