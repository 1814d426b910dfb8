"""Measure what the steps of each path cost on this machine, in half a second."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np

from hashret.codes import Codes
from hashret.indexes import kernels
from hashret.indexes.planner.cost_model import GIVEN, PATHS
from hashret.indexes.scan import ScanIndex

_CODES = 1 << 19  # beyond the second cache, as real ones are
_LEAST = 1e-3  # ns; a difference of two measurements may come out below nothing


def measure(n_codes: int = _CODES) -> dict[str, Any]:
    """The costs of what this process now answers with: kernels if they are loaded, else NumPy.

    By path; on random codes of 64 bits, on one thread. Raises nothing and keeps nothing.
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
