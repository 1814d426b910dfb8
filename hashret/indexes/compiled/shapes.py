"""The types of what kernels are given: arrays without gaps that they promise not to write to.

With their types said, kernels are compiled when they are imported, for memory maps and arrays
alike, and never in the middle of a question.
"""

from __future__ import annotations

from typing import Any

from numba import types


def _array(element: Any, dimensions: int) -> Any:
    return types.Array(element, dimensions, "C", readonly=True)


BOOL, FLOAT, INT, WORD = types.boolean, types.float64, types.int64, types.uint64
CODE = types.Bytes(types.uint8, 1, "C")
BYTES = _array(types.uint8, 1)
INTS, INTS_2D = _array(types.int64, 1), _array(types.int64, 2)
ROWS, ROWS_2D = _array(types.uint32, 1), _array(types.uint32, 2)
WORDS, WORDS_2D = _array(types.uint64, 1), _array(types.uint64, 2)
