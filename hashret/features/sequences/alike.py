"""How alike are two sequences, by their features? Rows to be compared, made of each by itself.

- Numbers: the series drawn over one span of time, as many points of it for each (linear
  interpolation, Press and others, "Numerical recipes", section 3.1). Series of different lengths
  are compared from beginning to end; one that is shifted in time is another.
- Tokens: the shares of the tokens and of the pairs of tokens in a row, whose square roots make the
  inner product their Bhattacharyya coefficient (1943): 1 for the same shares, 0 for none in common.
"""

from __future__ import annotations

import numpy as np

from hashret.sparse import SparseRows

#: Points at which a series is compared: more than the steps of most, fewer than of long ones.
POINTS = 64


def drawn(rows: SparseRows, width: int) -> np.ndarray:
    """(n, `POINTS` x width) float32: series of numbers at evenly spaced points of their length.

    Scaled so that a distance is the root of the mean squared difference of two numbers.
    """
    lengths = rows.nnz_per_row // width
    shares = np.linspace(0.0, 1.0, POINTS)
    at = shares * np.maximum(lengths - 1, 0)[:, None]  # (n, POINTS), in steps
    before = np.floor(at).astype(np.int64)
    after = np.minimum(before + 1, np.maximum(lengths - 1, 0)[:, None])
    part = (at - before)[:, :, None]
    columns = rows.indptr[:-1, None, None] + np.arange(width)
    # a row without a step, which no series has, reads what stands there
    last = max(len(rows.values) - 1, 0)
    values = rows.values if len(rows.values) else np.zeros(1, np.float32)
    one, two = (
        values[np.minimum(columns + width * step[:, :, None], last)] for step in (before, after)
    )
    found = (one + part * (two - one)) / np.sqrt(POINTS * width)
    return found.reshape(len(rows), POINTS * width).astype(np.float32)


def pairs(rows: SparseRows) -> SparseRows:
    """Rows of unit length: the roots of the shares of known tokens, and of two of them in a row.

    A column stands for a token or a pair that occurs in some row: only rows of one call can be
    compared.
    """
    tokens = rows.values.astype(np.int64)
    owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)
    base = int(tokens.max(initial=0)) + 1
    known = tokens > 0
    in_a_row = known[:-1] & known[1:] & (owner[:-1] == owner[1:])
    keys = np.concatenate(
        [tokens[known], base + tokens[:-1][in_a_row] * base + tokens[1:][in_a_row]]
    )
    owners = np.concatenate([owner[known], owner[:-1][in_a_row]])
    columns, places = np.unique(keys, return_inverse=True)
    width = max(1, len(columns))
    cells, counts = np.unique(owners * width + places.ravel(), return_counts=True)
    of = cells // width
    totals = np.bincount(of, weights=counts, minlength=len(rows))
    values = np.sqrt(counts / totals[of]).astype(np.float32)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(rows)))])
    return SparseRows(indptr.astype(np.int64), (cells % width).astype(np.int32), values, width)
