"""Arrays that grow while a kernel fills them, and rows put in order."""

from __future__ import annotations

import numpy as np
from numba import njit

_FEW = 48  # so few are sorted by insertion
_SHORT, _DIGIT = 7, 11  # bits of a pass over hundreds and over thousands
_HUNDREDS = 1024


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
    digit_bits = _SHORT if len(rows) <= _HUNDREDS else _DIGIT
    all_bits = np.int64(0)
    for row in rows:
        all_bits |= row
    places = np.empty((1 << digit_bits) + 1, np.int64)
    shift = 0
    while all_bits >> shift:
        places[:] = 0
        for row in source:
            places[((row >> shift) & ((1 << digit_bits) - 1)) + 1] += 1
        for digit in range(1 << digit_bits):
            places[digit + 1] += places[digit]
        for row in source:
            digit = (row >> shift) & ((1 << digit_bits) - 1)
            target[places[digit]] = row
            places[digit] += 1
        source, target = target, source
        shift += digit_bits
    if source is not rows:
        rows[:] = source
