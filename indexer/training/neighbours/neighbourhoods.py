"""Find which training items are neighbours, without labels.

An index of floats (Faiss) holds a pool of items and finds the nearest of each, some rows at a time,
so memory is linear in the number of items. The pool is the whole corpus up to `EXACT_ITEMS` items
and a random sample of that size above, with k shrunk in proportion, so time is linear in the number
of items too.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from hashret.indexes.faiss_library import faiss, use_threads
from indexer.training.neighbours.similarities import EXACT_ITEMS, Points

#: Largest number of members drawn from a neighbourhood; their mean stands for that of all.
MOST_MEMBERS = 128

_TILE_ROWS = 1024  # queries compared at a time: their similarities fit a core's cache


@dataclass(frozen=True, slots=True)
class Neighbourhoods:
    """`members` (n, m) int32: for each item m rows drawn from its `width` nearest, not itself."""

    members: np.ndarray
    width: int
    labels: np.ndarray | None = None
    """(n,): the class of each item, -1 where it is not known, if labels chose members too."""

    def draw(self, rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
        """`count` members of each given row, (len(rows), count), with replacement."""
        chosen = rng.integers(0, self.members.shape[1], (len(rows), count))
        return self.members[rows[:, None], chosen]

    def are_near(self, rows: np.ndarray) -> np.ndarray:
        """Which of some rows, all different, are alike, (b, b) bool; each is like itself.

        Two are alike if either is a member of the other's neighbourhood, or has the same label.
        """
        found = np.eye(len(rows), dtype=bool)
        members = self.members[rows]
        place = np.full(len(self.members), -1)
        place[rows] = np.arange(len(rows))
        owner, which = np.nonzero(place[members] >= 0)
        found[owner, place[members[owner, which]]] = True
        if self.labels is not None:
            own = self.labels[rows]
            found |= (own[:, None] == own) & (own >= 0)
        return found | found.T

    def labelled(self, labels: np.ndarray, rng: np.random.Generator) -> Neighbourhoods:
        """The neighbourhoods in which all members of an item with a label have the same one.

        They are drawn from its class. The only one of its class keeps the members without a label,
        and is itself in the place of the others. An item without a label keeps its members.
        """
        members = self.members.copy()
        width = members.shape[1]
        for name in np.unique(labels[labels >= 0]).tolist():
            rows = np.flatnonzero(labels == name)
            if len(rows) == 1:
                members[rows] = np.where(labels[members[rows]] >= 0, rows, members[rows])
                continue
            others = rng.integers(0, len(rows) - 1, (len(rows), width))
            others += others >= np.arange(len(rows))[:, None]  # of the class without itself
            members[rows] = rows[others]
        return Neighbourhoods(members, self.width, labels)


def find_neighbourhoods(
    points: Points,
    width: int,
    rng: np.random.Generator,
    on_rows: Callable[[int], None] | None = None,
) -> Neighbourhoods:
    """The `width` nearest others of each of n >= 2 items, at most `MOST_MEMBERS` drawn of each.

    `on_rows` is called with the number of items done so far.
    """
    n = len(points.queries)
    pool = np.arange(n)
    if n > EXACT_ITEMS:
        pool = np.sort(rng.choice(n, EXACT_ITEMS, replace=False))
    count = max(1, min(len(pool) - 1, round(width * len(pool) / n)))
    n_members = min(count, MOST_MEMBERS)
    members = np.empty((n, n_members), np.int32)
    use_threads(torch.get_num_threads())
    index = faiss.IndexFlatIP(points.stored.shape[1])
    index.add(points.stored[pool])
    for start in range(0, n, _TILE_ROWS):
        rows = np.arange(start, min(start + _TILE_ROWS, n))
        nearest = pool[index.search(points.queries[rows], count + 1)[1]]
        others = nearest != rows[:, None]
        others[others.all(axis=1), -1] = False  # one too many, where an item did not find itself
        nearest = nearest[others].reshape(len(rows), count)
        if n_members < count:
            nearest = rng.permuted(nearest, axis=1)[:, :n_members]
        members[rows] = nearest
        if on_rows:
            on_rows(int(rows[-1]) + 1)
    return Neighbourhoods(members, width)
