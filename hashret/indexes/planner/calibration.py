"""Measure what the steps of each exact index cost on this machine, in half a second."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from hashret import kernels
from hashret.codes import Codes
from hashret.indexes.planner.cost_model import GIVEN, PATHS
from hashret.indexes.scan import ScanIndex

_CODES = 1 << 19  # codes to measure on: more than the second-level cache holds, as in real use
_LEAST = 1e-3  # ns; the least cost, since a difference of two measurements can be negative


def measure(n_codes: int = _CODES) -> dict[str, Any]:
    """The costs of each index by name, for kernels if they are loaded, else for NumPy.

    They are measured on random codes of 64 bits, on one thread. Nothing is stored.
    """
    rng = np.random.default_rng(0)
    codes = Codes(rng.integers(0, 256, (n_codes, 8), dtype=np.uint8))
    queries = Codes(rng.integers(0, 256, (4096, 8), dtype=np.uint8))
    given = GIVEN[kernels.loaded() is not None]
    scan = ScanIndex.calibrate(codes, queries, given[ScanIndex.name], 1.0)
    slower = scan.word / given[ScanIndex.name].word
    found = {}
    for name, path in PATHS.items():
        is_scan = path is ScanIndex
        costs = scan if is_scan else path.calibrate(codes, queries, given[name], slower)
        sound = {field: max(_LEAST, value) for field, value in asdict(costs).items()}
        found[name] = replace(costs, **sound)
    return found
