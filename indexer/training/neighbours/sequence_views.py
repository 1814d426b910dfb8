"""What a code of steps in order is to explain: which there are, and in which order.

Of tokens it is how often each occurs, and each pair of neighbours, and each token in each eighth of
the item; of numbers it is their course, in equal parts.
"""

from __future__ import annotations

import numpy as np

from hashret.models.steps import Steps
from hashret.sparse import SparseRows, positions_of

#: Columns for pairs of tokens and tokens in a part; different ones may share a column.
ORDER_COLUMNS = 2048
#: The number of equal parts of an item in which its tokens are counted.
_PARTS = 8
#: Odd numbers that spread what is hashed over all bits (of SplitMix64; Steele et al., 2014).
_MIX = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB], np.uint64)


def token_counts(steps: Steps, n_tokens: int) -> SparseRows:
    """How often each token occurs, (n, n_tokens): 1 + ln(count). Unknown tokens don't count."""
    owners = np.repeat(np.arange(len(steps.lengths)), steps.lengths)
    is_known = steps.values > 0
    return _counted(owners[is_known], steps.values[is_known] - 1, len(steps.lengths), n_tokens)


def order_counts(steps: Steps) -> SparseRows:
    """How often each pair of neighbours occurs, and each token in each eighth of the item.

    (n, `ORDER_COLUMNS`): 1 + ln(count) in a column that is hashed from the tokens.
    """
    tokens, lengths = steps
    owners = np.repeat(np.arange(len(lengths)), lengths)
    _, places = positions_of(np.zeros_like(lengths), lengths)
    has_next = places + 1 < lengths[owners]
    (firsts,) = np.nonzero(has_next)
    parts = _PARTS * places // np.maximum(lengths[owners], 1)
    columns = np.concatenate(
        [_hashed(tokens[firsts], tokens[firsts + 1], 0), _hashed(tokens, parts, 1)]
    )
    return _counted(np.concatenate([owners[firsts], owners]), columns, len(lengths), ORDER_COLUMNS)


def resampled(steps: Steps, n_parts: int) -> np.ndarray:
    """The mean of each of `n_parts` equal parts of an item, (n, n_parts x width) float32.

    A step that lies in two parts counts in each by its share. Zeros for an item without steps.
    """
    values, lengths = steps
    # sums up to each step, of all items in one; between steps they grow in a straight line
    sums = np.zeros((len(values) + 1, values.shape[1]))
    np.cumsum(values, axis=0, dtype=np.float64, out=sums[1:])
    starts = np.cumsum(lengths) - lengths
    ends = starts[:, None] + lengths[:, None] * np.linspace(0.0, 1.0, n_parts + 1)
    below = np.minimum(ends.astype(np.int64), np.maximum(len(values) - 1, 0))
    share = (ends - below)[..., None]
    if not len(values):
        return np.zeros((len(lengths), n_parts * values.shape[1]), np.float32)
    at = (1.0 - share) * sums[below] + share * sums[below + 1]  # (n, n_parts + 1, width)
    means = np.diff(at, axis=1) * (n_parts / np.maximum(lengths, 1))[:, None, None]
    return means.reshape(len(lengths), -1).astype(np.float32)


def _hashed(first: np.ndarray, second: np.ndarray, salt: int) -> np.ndarray:
    mixed = first.astype(np.uint64) * _MIX[0] + (second.astype(np.uint64) * 2 + salt) * _MIX[1]
    mixed ^= mixed >> np.uint64(31)
    mixed *= _MIX[2]
    mixed ^= mixed >> np.uint64(29)
    return (mixed % np.uint64(ORDER_COLUMNS)).astype(np.int64)


def _counted(owners: np.ndarray, columns: np.ndarray, n: int, width: int) -> SparseRows:
    keys, counts = np.unique(owners * width + columns, return_counts=True)
    rows, found = np.divmod(keys, width)
    indptr = np.zeros(n + 1, np.int64)
    np.cumsum(np.bincount(rows, minlength=n), out=indptr[1:])
    values = (1.0 + np.log(counts)).astype(np.float32)
    return SparseRows(indptr, found.astype(np.int32), values, width)
