"""Items as steps in order: how rows of features are cut into them, and how steps are walked.

Steps of items of any lengths stand one below the other in one array, without padding, so that no
item's code can depend on the lengths of the others. A walk says which rows of the array meet: in
balanced binary trees (`tree_levels`), or one step of every item after the other (`times`). It holds
for arrays of NumPy and of torch, so that an encoder and the network that it is of walk alike.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hashret.errors import PayloadError
from hashret.sparse import Features, positions_of, require_sparse
from hashret.specs.ordering import Ordering


class Steps(NamedTuple):
    """The steps of n items."""

    values: np.ndarray
    """(n_steps, width) float32 numbers, or (n_steps,) int64 tokens; item after item."""
    lengths: np.ndarray
    """(n,) int64: the number of steps of each item."""


def steps_of(features: Features, ordering: Ordering) -> Steps:
    """The steps of n rows of features.

    Raises PayloadError for dense features, for numbers that are not finite, for tokens that are
    none of the ordering's, and for a row that ends within a step.
    """
    try:
        rows = require_sparse(features, "steps in order")
    except TypeError as error:
        raise _unfit(str(error)) from None
    values, counts = rows.values, rows.nnz_per_row
    if ordering.first:
        is_step = rows.indices >= ordering.first
        before = np.append(0, np.cumsum(is_step))
        counts = before[rows.indptr[1:]] - before[rows.indptr[:-1]]
        values = values[is_step]
    if not np.isfinite(values).all():
        raise PayloadError(
            "features: expected finite numbers, got NaN or infinity; leave the item out"
        )
    lengths, rest = np.divmod(counts, ordering.width)
    if rest.any():
        raise _unfit(f"features: expected whole steps of {ordering.width} numbers, got a part")
    if not ordering.n_tokens:
        return Steps(values.reshape(-1, ordering.width), lengths)
    most = ordering.n_tokens
    if values.size and not 0 <= values.min() <= values.max() <= most:
        raise _unfit(f"features: expected tokens from 0 to {most}, got others")
    tokens = values.astype(np.int64)
    if (tokens != values).any():
        raise _unfit("features: expected whole numbers of tokens, got fractions")
    return Steps(tokens, lengths)


def _unfit(what: str) -> PayloadError:
    return PayloadError(f"{what}; use the featurizer that was fitted with this model")


class Level(NamedTuple):
    """One level of balanced binary trees, as rows of the array of the level below.

    The array of this level is what each `left` and `right` row become, and below these the rows
    that go up `alone`.
    """

    left: np.ndarray
    right: np.ndarray
    alone: np.ndarray


def tree_levels(lengths: np.ndarray) -> tuple[list[Level], np.ndarray]:
    """The levels of a tree over each item's steps, and where in the last array the roots are.

    At each level the nodes of an item are joined in pairs, the first with the second and so on; the
    last one of an odd number goes up alone. So a tree has ceil(log2(length)) levels. The roots are
    those of the items with steps, in their order.
    """
    starts = np.cumsum(lengths) - lengths
    place = np.arange(int(lengths.sum()))  # of the nodes of a level, item by item, in its array
    found = []
    while len(lengths) and lengths.max() > 1:
        pairs, odd = lengths // 2, lengths % 2
        _, of_pairs = positions_of(np.zeros_like(pairs), pairs)
        left = np.repeat(starts, pairs) + 2 * of_pairs
        last = (starts + lengths - 1)[odd > 0]
        found.append(Level(place[left], place[left + 1], place[last]))
        lengths = pairs + odd
        starts = np.cumsum(lengths) - lengths
        place = np.empty(int(lengths.sum()), np.int64)
        place[np.repeat(starts, pairs) + of_pairs] = np.arange(len(left))
        place[(starts + pairs)[odd > 0]] = len(left) + np.arange(len(last))
    return found, place[starts[lengths > 0]]


class Times(NamedTuple):
    """Which steps come at each time, items ordered from the longest to the shortest."""

    order: np.ndarray
    """(n,): the items, the longest first."""
    rows: list[np.ndarray]
    """For each time t, the rows of the steps number t of the first items in `order`, which are all
    that have one."""


def times(lengths: np.ndarray) -> Times:
    """The steps of all items, one time after the other; no item waits for a longer one."""
    order = np.argsort(-lengths, kind="stable")
    starts = (np.cumsum(lengths) - lengths)[order]
    longest = int(lengths.max()) if len(lengths) else 0
    counts = np.searchsorted(-lengths[order], -np.arange(longest), side="left")
    return Times(order, [starts[:n] + t for t, n in enumerate(counts.tolist())])
