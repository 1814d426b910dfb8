"""Kernels compiled by Numba (the extra `hashret[fast]`), which do what NumPy does, faster.

Importing this package loads nothing. An index asks `loaded()` before every answer, a single look-up
only until they are, and takes its NumPy path if that is None; so kernels are for the whole process
or for none of it. `enable()` takes half a second, and where nobody has compiled them yet half a
minute or more, once: who calls it must expect to save more than that, as the planner
does ([ADR 12](docs/adr/0012-compiled-kernels.md)).
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace


class Kernels(SimpleNamespace):
    """The compiled modules, each under its name."""

    def __getattr__(self, name: str) -> ModuleType:
        raise AttributeError(f"kernels: expected a module of {__name__}, got {name!r}; add it")


_loaded: Kernels | None = None
_refused = False


def available() -> bool:
    """Whether `enable` may succeed: Numba is installed, and has not failed in this process."""
    return _loaded is not None or (not _refused and _installed())


@lru_cache(maxsize=1)
def _installed() -> bool:
    # told not to compile, Numba runs functions as Python, in which kernels mean nothing
    may_compile = os.environ.get("NUMBA_DISABLE_JIT", "0") in {"", "0"}
    return may_compile and find_spec("numba") is not None


@lru_cache(maxsize=1)
def are_kept() -> bool:
    """Whether what Numba compiled is seen beside the kernels, so that loading them is quick."""
    return any((Path(__file__).parent / "__pycache__").glob("multi_index.search-*.nbi"))


def loaded() -> Kernels | None:
    """The kernels if they are loaded, else None."""
    return _loaded


def enable() -> Kernels | None:
    """Load the kernels, compiling them if nobody has; None where Numba can't be used.

    Numba can't be used if it is missing, is told not to compile, does not suit NumPy's version or
    finds no folder to keep what it compiled in.
    """
    global _loaded, _refused
    if _loaded is None and available():
        try:
            names = [file.stem for file in Path(__file__).parent.glob("[!_]*.py")]
            modules = {name: import_module(f"{__name__}.{name}") for name in sorted(names)}
            _loaded = Kernels(**modules)
        except (ImportError, RuntimeError):
            _refused = True
    return _loaded
