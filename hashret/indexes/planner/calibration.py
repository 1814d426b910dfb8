"""Measure what the steps of each path cost on this machine, in half a second."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable
from dataclasses import fields, replace
from time import process_time

import numpy as np

from hashret.codes import Codes, ball_size
from hashret.indexes import kernels
from hashret.indexes.multi_index.index import MultiIndex
from hashret.indexes.planner import cost_model
from hashret.indexes.planner.cost_model import Costs
from hashret.indexes.scan import ScanIndex
from hashret.indexes.table.index import TableIndex

_CODES, _FEW_CODES = 1 << 19, 1 << 13  # the former are beyond the second cache, as real ones are
_TURNS = 3
_LEAST = 1e-3  # ns; a difference of two measurements may come out below nothing


def measure(n_codes: int = _CODES) -> Costs:
    """The costs of what this process now answers with: kernels if they are loaded, else NumPy.

    On random codes of 64 bits, on one thread. Raises nothing and keeps nothing.
    """
    rng = np.random.default_rng(0)
    codes = Codes(rng.integers(0, 256, (n_codes, 8), dtype=np.uint8))
    queries = Codes(rng.integers(0, 256, (4096, 8), dtype=np.uint8))
    known = cost_model.NUMPY if kernels.loaded() is None else cost_model.COMPILED
    found = {
        **_scan(codes, queries),
        **_table(TableIndex(codes), queries),
        **_multi(MultiIndex(codes, budget=n_codes), queries, known),
    }
    # what random codes don't show, or is not worth loading: as much slower or faster than expected
    # as the scan
    like_scan = ["clusters_cluster", "clusters_query", "clusters_word", "clusters_pair"]
    if "faiss" in sys.modules:
        found |= _flat(codes, queries)
    else:
        like_scan += ["flat_word", "flat_query"]
    ratio = found["scan_word"] / known.scan_word
    found |= {name: ratio * getattr(known, name) for name in like_scan}
    return replace(known, **{name: max(_LEAST, value) for name, value in found.items()})


def _scan(codes: Codes, queries: Codes) -> dict[str, float]:
    few = ScanIndex(codes[:_FEW_CODES])
    index = ScanIndex(codes)
    call, each_of_few = _line(lambda n: few.search(queries[:n], 10), 16)
    _, each = _line(lambda n: index.search(queries[:n], 10), 16)
    word = (each - each_of_few) / max(1, len(codes) - len(few))
    return {"scan_call": call, "scan_query": each_of_few - word * len(few), "scan_word": word}


def _table(index: TableIndex, queries: Codes) -> dict[str, float]:
    call, query = _line(lambda n: index.within(queries[:n], 0), len(queries))
    ball = ball_size(64, 2)
    many = 4 * (len(index) // (10 * ball) > 0)  # else the table would rather compare
    probe = _line(lambda n: index.within(queries[:n], 2), many)[1] / ball if many else query
    return {"table_call": call, "table_query": query - probe, "table_probe": probe}


def _multi(index: MultiIndex, queries: Codes, known: Costs) -> dict[str, float]:
    near, far, n = 1, 6, 64
    call, each = _line(lambda n: index.within(queries[:n], near), n)
    far_call, far_each = _line(lambda n: index.within(queries[:n], far), n)
    works = [index.within(queries[:n], radius).work.effort / n for radius in (near, far)]
    work = (far_each - each) / max(1.0, works[1] - works[0])
    step = (far_call - call) / (far - near) if known.multi_step else 0.0
    return {
        "multi_call": call - (near + 1) * step,
        "multi_step": step,
        "multi_query": each - work * works[0],
        "multi_work": work,
    }


def _flat(codes: Codes, queries: Codes) -> dict[str, float]:
    from hashret.indexes.faiss_binary import FaissFlatIndex

    few, index = FaissFlatIndex(codes[:_FEW_CODES]), FaissFlatIndex(codes)
    call, each_of_few = _line(lambda n: few.search(queries[:n], 10), 16)
    each = _line(lambda n: index.search(queries[:n], 10), 16)[1]
    word = (each - each_of_few) / max(1, len(codes) - len(few))
    return {"flat_call": call, "flat_query": each_of_few - word * len(few), "flat_word": word}


def _line(ask: Callable[[int], object], n: int) -> tuple[float, float]:
    """ns of a call and of each of its queries: a line through one query and through n."""
    one, many = _ns(ask, 1), _ns(ask, n)
    each = (many - one) / max(1, n - 1)
    return one - each, each


def _ns(ask: Callable[[int], object], n: int) -> float:
    ask(n)  # what is made on first use is made now
    taken = []
    for _ in range(_TURNS):
        start = process_time()
        ask(n)
        taken.append(process_time() - start)
    return 1e9 * min(taken)  # processor time, and the least: what else runs is not to count


def from_numbers(numbers: dict[str, float]) -> Costs | None:
    """Costs as they were kept; None unless every field is there and is a positive number.

    `multi_step` may be 0 too: kernels take all steps at once.
    """
    names = {field.name for field in fields(Costs)}
    if set(numbers) != names or not all(
        isinstance(value, float) and (0 < value < math.inf or (name, value) == ("multi_step", 0.0))
        for name, value in numbers.items()
    ):
        return None
    return Costs(**numbers)
