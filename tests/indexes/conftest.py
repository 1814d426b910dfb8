"""Every test of an index runs twice: with NumPy alone, and with compiled kernels."""

import os
import tempfile
from contextlib import nullcontext
from pathlib import Path

import pytest
from filelock import FileLock

from hashret.indexes import kernels as compiled


@pytest.fixture(params=["numpy", "compiled"], autouse=True)
def kernels(request, monkeypatch):
    """Kernels are loaded for the whole process, so they are put in place or hidden from it."""
    monkeypatch.setattr(compiled, "_loaded", None)  # and put back as it was afterwards
    if request.param == "compiled":
        pytest.importorskip("numba", reason="the extra hashret[fast] is not installed")
        # one process of several compiles, where nobody has yet, and the others wait for it
        lock = Path(tempfile.gettempdir()) / f"hashret-kernels-{os.getuid()}.lock"
        with FileLock(lock) if not compiled.are_cached() else nullcontext():
            assert compiled.enable() is not None
    else:
        monkeypatch.setattr(compiled, "_refused", True)
    return request.param
