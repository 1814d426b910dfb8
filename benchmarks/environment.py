"""The conditions of a measurement: how many threads, on what, with which versions."""

from __future__ import annotations

import os
import platform
import resource
import sys
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
_PACKAGES = ("numpy", "scipy", "scikit-learn", "torch", "faiss-cpu")
_OPTIONAL = ("numba", "usearch")


def set_threads(n: int) -> None:
    """Let this process and its children compute with `n` threads; call it before importing NumPy.

    The libraries read their environment once, when they are loaded, so it is too late afterwards.
    """
    if "numpy" in sys.modules:
        raise RuntimeError("set_threads: expected to run before numpy is imported; call it first")
    for name in _THREADS:
        os.environ[name] = str(n)


def describe() -> dict[str, Any]:
    """Processor, cores, threads asked for, and the versions of what computes."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count(),
        "threads": int(os.environ.get("OMP_NUM_THREADS", "0")),
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        **{name: _version_or_none(name) for name in _OPTIONAL},
    }


def _version_or_none(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "none"


def resident_bytes() -> int:
    """The memory of this process that is in use now (Linux)."""
    pages = int(Path("/proc/self/statm").read_text(encoding="ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def peak_bytes() -> int:
    """The most memory that this process has had in use, since `forget_peak` where that works.

    Linux's `getrusage` would give that of the process that started this one, where it was more.
    """
    status = Path("/proc/self/status")
    if status.exists():
        fields = dict(line.split(":", 1) for line in status.read_text().splitlines())
        return int(fields["VmHWM"].split()[0]) * 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


def forget_peak() -> None:
    """Count `peak_bytes` from now on (Linux)."""
    Path("/proc/self/clear_refs").write_text("5", encoding="ascii")


def _processor() -> str:
    facts = Path("/proc/cpuinfo")
    if facts.exists():
        for line in facts.read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
