"""Kernels compiled by Numba (the extra `hashret[fast]`): the indexes' inner loops, made faster.

Importing this package loads no kernel. Every index calls `loaded()` before it answers, and takes
its NumPy path if the result is None; so either the whole process uses kernels or none of it does.
`enable()` takes half a second, or half a minute and more on the first call after installation,
when the kernels are compiled. A caller must expect to save more time than that, as the planner does
([ADR 12](docs/adr/0012-compiled-kernels.md)).
"""

from __future__ import annotations

import os
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType, SimpleNamespace


class Kernels(SimpleNamespace):
    """The compiled modules, each an attribute with the module's name."""

    def __getattr__(self, name: str) -> ModuleType:
        raise AttributeError(f"kernels: expected a module of {__name__}, got {name!r}; add it")


_loaded: Kernels | None = None
_refused = False


def available() -> bool:
    """Whether `enable` may succeed: Numba is installed and has not failed in this process."""
    return _loaded is not None or (not _refused and _installed())


@lru_cache(maxsize=1)
def _installed() -> bool:
    # if NUMBA_DISABLE_JIT is set, kernels are plain Python functions, which can't call intrinsics
    may_compile = os.environ.get("NUMBA_DISABLE_JIT", "0") in {"", "0"}
    return may_compile and find_spec("numba") is not None


@lru_cache(maxsize=1)
def are_cached() -> bool:
    """Whether Numba's cache of compiled code is found beside the kernels, so they load quickly."""
    return any((Path(__file__).parent / "__pycache__").glob("multi_index.search-*.nbi"))


def loaded() -> Kernels | None:
    """The kernels if they are loaded, else None."""
    return _loaded


def enable() -> Kernels | None:
    """Load the kernels, and compile them if no cache is found; None if Numba can't be used.

    Numba can't be used if it is not installed, is set not to compile, does not support the version
    of NumPy, or finds no folder that it can write its cache to.
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
