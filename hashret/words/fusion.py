"""Join ranked lists into one by their ranks alone, since their scores have nothing in common.

Source: Cormack, Clarke, Büttcher, "Reciprocal rank fusion outperforms Condorcet and individual rank
learning methods", SIGIR 2009: an item's score is the sum of 1 / (60 + rank) over the lists that
have it, ranks counted from 1; here each list has a weight.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

#: The constant of the paper, which no corpus was asked for.
_K = 60.0


def reciprocal_ranks(lists: Sequence[tuple[float, np.ndarray, np.ndarray]], n: int) -> np.ndarray:
    """The fused score of each of n items, (n,) float64, higher is better; 0 of one in no list.

    Given are weights, each with ranked lists of different items: list i is the slice ``limits[i]``
    to ``limits[i + 1]`` of the items, which go by their number, 0 to n - 1, the best first.
    """
    scores = np.zeros(n)
    for weight, limits, items in lists:
        before = np.arange(len(items)) - np.repeat(limits[:-1], np.diff(limits))
        scores[items] += weight / (_K + 1 + before)
    return scores
