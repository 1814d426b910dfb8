"""Arrays that grow while a kernel fills them, and rows put in order."""

from __future__ import annotations

import numpy as np
from numba import njit

_FEW = 24  # so few are sorted by insertion
_DIGIT = 11  # bits of a pass over many: three passes for 32


@njit(cache=True)
def grown(array: np.ndarray, wanted: int) -> np.ndarray:
    """The array, or a copy at least twice as long, with room for `wanted` elements."""
    if wanted <= len(array):
        return array
    longer = np.empty(max(wanted, 2 * len(array)), array.dtype)
    longer[: len(array)] = array
    return longer


@njit(cache=True)
def sort_rows(rows: np.ndarray, start: int, end: int) -> None:
    """Sort rows[start:end] (int64, below 2**32) in place; ascending ones cost one look."""
    i = start + 1
    while i < end and rows[i - 1] < rows[i]:
        i += 1
    if i >= end:
        return
    if end - start <= _FEW:
        for i in range(start + 1, end):
            row = rows[i]
            j = i
            while j > start and rows[j - 1] > row:
                rows[j] = rows[j - 1]
                j -= 1
            rows[j] = row
        return
    _sort_by_digits(rows[start:end])


@njit(cache=True)
def _sort_by_digits(rows: np.ndarray) -> None:
    """Least significant digit first (Knuth, TAOCP 3, section 5.2.5)."""
    source = rows
    target = np.empty(len(rows), np.int64)
    for shift in range(0, 33, _DIGIT):
        places = np.zeros((1 << _DIGIT) + 1, np.int64)
        for row in source:
            places[((row >> shift) & ((1 << _DIGIT) - 1)) + 1] += 1
        for digit in range(1 << _DIGIT):
            places[digit + 1] += places[digit]
        for row in source:
            digit = (row >> shift) & ((1 << _DIGIT) - 1)
            target[places[digit]] = row
            places[digit] += 1
        source, target = target, source
    if source is not rows:
        rows[:] = source
