"""Probe the hash table in the order of confidence: the least certain bits are flipped first.

Sets of flipped bits are generated in ascending order of the sum of their bits' certainties, only as
many as are needed: each set has two successors, one with the next bit added and one with the next
bit in place of its last. Source: Lv, Josephson, Wang, Charikar, Li, "Multi-probe LSH: efficient
indexing for high-dimensional similarity search", VLDB 2007, section 4.4 (query-directed probing
sequence).
"""

from __future__ import annotations

from collections.abc import Iterator
from heapq import heappop, heappush
from typing import NamedTuple

import numpy as np

from hashret.indexes.table.index import TableIndex


class Probed(NamedTuple):
    """The rows found, probe by probe; the number of probes; whether they hold the k best rows."""

    rows: np.ndarray
    n_probes: int
    complete: bool


def flips_by_cost(costs: list[int]) -> Iterator[tuple[int, int]]:
    """(cost, flips) of every set of bits, cheapest first: bit j of `flips` is set if j is flipped.

    `costs`: what flipping each bit costs, at least 0. Memory grows with the sets taken.
    """
    order = sorted(range(len(costs)), key=costs.__getitem__)
    each = [costs[bit] for bit in order]
    masks = [1 << bit for bit in order]
    yield 0, 0
    # (cost, the last of the ordered bits that is flipped, flips)
    heap = [(each[0], 0, masks[0])] if order else []
    while heap:
        cost, last, flips = heappop(heap)
        yield cost, flips
        after = last + 1
        if after < len(each):
            more = cost + each[after]
            heappush(heap, (more, after, flips | masks[after]))
            heappush(heap, (more - each[last], after, flips ^ masks[last] ^ masks[after]))


def probe_by_confidence(
    table: TableIndex, code: np.ndarray, costs: np.ndarray, k: int, budget: int
) -> Probed:
    """The rows of the first `budget` buckets around a code, or of as many as hold the k best.

    `code` (n_bits // 8,) uint8; `costs` (n_bits,) integers: how certain each of its bits is. Rows
    come in the order of the cost of their flips. So once k are found, and all that cost as much as
    the k-th, no other row can be better, and the answer is complete.
    """
    n_bytes = len(code)
    centre = int.from_bytes(code.tobytes(), "little")
    found: list[np.ndarray] = []
    n_found, n_probes, last = 0, 0, 0
    for cost, flips in flips_by_cost(costs.tolist()):
        if n_found >= k and cost > last:
            return Probed(_joined(found), n_probes, True)
        if n_probes >= budget:
            return Probed(_joined(found), n_probes, n_found == len(table))
        rows = table.bucket((centre ^ flips).to_bytes(n_bytes, "little"))
        n_probes += 1
        if len(rows):
            found.append(rows)
            n_found += len(rows)
            last = cost
    return Probed(_joined(found), n_probes, True)


def _joined(found: list[np.ndarray]) -> np.ndarray:
    return np.concatenate([np.empty(0, np.uint32), *found])
