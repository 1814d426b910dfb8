"""Neighbourhoods without labels: which training items are alike.

Similarities are computed in tiles of rows against a pool of items and cut to the k nearest at
once, so memory is linear in the number of items. The pool is the whole corpus up to
`EXACT_ITEMS` items and a random sample of that size above, with k shrunk in proportion, so time
is linear in the number of items too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from indexer.similarities import EXACT_ITEMS, Similarity

#: Of a neighbourhood this many members are kept, at random: their mean stands for the whole.
KEPT_MEMBERS = 128

_TILE_ROWS = 1024


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """`members` (n, m) int32: for each item m rows drawn from its `width` nearest, not itself."""

    members: np.ndarray
    width: int

    def draw(self, rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """`count` members of each given row, (len(rows), count), with replacement."""
        chosen = rng.integers(0, self.members.shape[1], (len(rows), count))
        return self.members[rows[:, None], chosen]


def find_neighbourhoods(
    similarity: Similarity,
    n: int,
    width: int,
    rng: np.random.Generator,
    on_rows: Callable[[int], None] | None = None,
) -> Neighbourhoods:
    """The `width` nearest others of each of n >= 2 items, at most `KEPT_MEMBERS` kept of each.

    `on_rows` is called with the number of items done so far.
    """
    pool = np.sort(rng.choice(n, EXACT_ITEMS, replace=False)) if n > EXACT_ITEMS else None
    n_pool = n if pool is None else len(pool)
    count = max(1, min(n_pool - 1, round(width * n_pool / n)))
    kept = min(count, KEPT_MEMBERS)
    members = np.empty((n, kept), np.int32)
    for start in range(0, n, _TILE_ROWS):
        stop = min(start + _TILE_ROWS, n)
        tile = similarity.tile(start, stop, pool)
        _hide_self(tile, start, pool)
        nearest = torch.topk(tile, count, dim=1, sorted=False).indices.numpy()
        if kept < count:
            nearest = rng.permuted(nearest, axis=1)[:, :kept]
        members[start:stop] = nearest if pool is None else pool[nearest]
        if on_rows:
            on_rows(stop)
    return Neighbourhoods(members, width)


def _hide_self(tile: Tensor, start: int, pool: np.ndarray | None) -> None:
    rows = np.arange(start, start + len(tile))
    columns = rows
    if pool is not None:
        columns = np.searchsorted(pool, rows)
        present = (columns < len(pool)) & (pool[np.minimum(columns, len(pool) - 1)] == rows)
        rows, columns = rows[present], columns[present]
    tile[torch.from_numpy(rows - start), torch.from_numpy(columns)] = -torch.inf
