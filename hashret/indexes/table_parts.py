"""What a hash table is made of: built from codes, or looked at whether it is of these codes.

Sorting the keys is most of building; that they are in order is seen in passing over them.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.indexes.linear_hash import LinearHash
from hashret.indexes.sorted_keys import SortedKeys, blocks_of

_LOW, _HALF = np.uint64((1 << 32) - 1), np.uint64(32)
_NONE = np.empty(0, np.uint32)


def built(codes: Codes, hashed: LinearHash) -> tuple[SortedKeys, np.ndarray]:
    """The keys of the codes with their runs, and the rows of the runs of several."""
    keys = hashed(codes.words)
    order = np.argsort(keys, kind="stable")  # stable: rows ascend within a bucket
    keys = keys[order]
    first = np.flatnonzero(np.concatenate([[True], keys[1:] != keys[:-1]])[: len(keys)])
    lengths = np.diff(first, append=len(keys))
    shared = lengths > 1
    begins = np.cumsum(lengths * shared) - lengths
    # of each key the length of its run, and where the run begins, or of one row that itself
    runs = lengths.astype(np.uint64) << _HALF
    runs |= np.where(shared, begins, order[first]).astype(np.uint64)
    rows = order[np.repeat(shared, lengths)].astype(np.uint32)
    return SortedKeys.build(keys[first], runs, hashed.width), rows


def checked(
    codes: Codes, hashed: LinearHash, tensors: Mapping[str, np.ndarray]
) -> tuple[SortedKeys, np.ndarray]:
    """What `built` gives, from tensors. Raises DamagedError unless they are just that."""
    blocks, entries, rows = (tensors.get(name, _NONE) for name in ("blocks", "entries", "rows"))
    types = [(array.ndim, array.dtype.str) for array in (blocks, entries, rows)]
    if types == [(1, "<u8"), (1, "<u8"), (1, "<u4")] and len(entries) % 2 == 0:
        order = _order_of(entries[1::2], rows, len(codes))
        keys = hashed(codes.words)[order] if order is not None else _NONE
        if order is not None and _are_in_order(entries, order, keys):
            found = SortedKeys(entries, blocks, hashed.width)
            if np.array_equal(blocks, blocks_of(entries[::2], hashed.width)):
                return found, rows
    raise DamagedError(
        f"table: expected that of these {len(codes)} codes, got another; build it from them"
    )


def _order_of(runs: np.ndarray, stored: np.ndarray, n: int) -> np.ndarray | None:
    """All n rows, run by run, int64; None where these runs don't have so many."""
    lengths = (runs >> _HALF).view(np.int64)
    begins = (runs & _LOW).view(np.int64)
    shared = lengths > 1
    ends = np.cumsum(lengths[shared])
    sound = (lengths > 0).all() and lengths.sum() == n and lengths[shared].sum() == len(stored)
    if not sound or (begins[shared] != ends - lengths[shared]).any():
        return None
    of_several = np.repeat(shared, lengths)
    order = np.empty(n, np.int64)
    order[of_several] = stored
    order[~of_several] = begins[~shared]
    return order if (order < n).all() else None


def _are_in_order(entries: np.ndarray, order: np.ndarray, keys: np.ndarray) -> bool:
    """Whether the runs have rows of their keys, each row once, ascending as the keys do.

    `keys` are those of the codes in that order.
    """
    lengths = (entries[1::2] >> _HALF).view(np.int64)
    told = entries[::2]
    new = keys[1:] > keys[:-1]
    return bool(
        np.array_equal(np.repeat(told, lengths), keys)
        and (told[1:] > told[:-1]).all()
        and (new | (order[1:] > order[:-1])).all()
    )
