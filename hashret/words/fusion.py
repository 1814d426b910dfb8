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


def reciprocal_ranks(lists: Sequence[tuple[float, np.ndarray]], n: int) -> np.ndarray:
    """The fused score of each of n items, (n,) float64, higher is better; 0 of one in no list.

    A list is its weight, and the items by their number, 0 to n - 1, best first, each once.
    """
    scores = np.zeros(n)
    for weight, one in lists:
        scores[one] += weight / (_K + np.arange(1, len(one) + 1))
    return scores
