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
from hashlib import sha256
from pathlib import Path

import numpy as np

from hashret._version import __version__

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
