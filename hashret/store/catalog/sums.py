"""Checksums of what the catalog says, so that no damaged row is believed.

Every row of every table carries one over all its values; which rows of `items` are live is covered
by the commit that shows them, and which commit is the last one by a row of `meta`. They find
damage, not malice: who changes a row on purpose can change its checksum too.
"""

from __future__ import annotations

import hashlib
from typing import Any

import numpy as np

#: Keys of `meta`: the checksum of what never changes, and that of the newest commit's row.
FIXED, LAST = "checksum", "last"
#: A prime; a row number times this stays far below 2**63.
_STEP = 32749


def checksum(*values: Any) -> int:
    """The first 8 bytes, signed, of BLAKE2b over the values in order: str, int, bytes or None."""
    digest = hashlib.blake2b(digest_size=8)
    for value in values:
        part = value if type(value) is bytes else str(value).encode()
        digest.update(len(part).to_bytes(8, "little") + part)
    return int.from_bytes(digest.digest(), "little", signed=True)


def removal(row: Any, commit: Any) -> Any:
    """What stands beside `items.removed`: a change of either, or of the row, is noticed.

    For integers, arrays of int64 and columns alike: many rows are removed by one statement.
    """
    return row * _STEP + commit


def sum_of_rows(rows: np.ndarray) -> int:
    """A signed 64-bit sum over a set of row numbers, the same in any order.

    Each is mixed by the finaliser of SplitMix64 (Steele et al., OOPSLA 2014), so that no other
    set of a few rows has the same sum but by accident.
    """
    mixed = rows.astype(np.uint64) + np.uint64(0x9E3779B97F4A7C15)
    for shift, factor in ((30, 0xBF58476D1CE4E5B9), (27, 0x94D049BB133111EB)):
        mixed ^= mixed >> np.uint64(shift)
        mixed *= np.uint64(factor)
    mixed ^= mixed >> np.uint64(31)
    return int(mixed.sum(dtype=np.uint64).astype(np.int64))
