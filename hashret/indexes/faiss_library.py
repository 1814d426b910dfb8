"""Faiss, and how many threads it may use: one in a forked process.

Its threads are those of OpenMP, which a fork does not take along: a child that asks for more than
one waits for ever (facebookresearch/faiss#5206).
"""

from __future__ import annotations

import os
import warnings

with warnings.catch_warnings():
    # the types that SWIG makes have no __module__, of which Python 3.12 and newer complain
    warnings.simplefilter("ignore", DeprecationWarning)
    import faiss

__all__ = ["faiss", "use_threads"]

_most_threads: int | None = None


def use_threads(n: int) -> None:
    """Let Faiss use `n` threads, or as few as it may here."""
    faiss.omp_set_num_threads(n if _most_threads is None else min(n, _most_threads))


def _in_child() -> None:
    global _most_threads
    _most_threads = 1
    use_threads(1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_in_child)
