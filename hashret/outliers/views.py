"""What of an item is compared with usual ones: rows of numbers whose distance says how unlike.

A text is seen by its words, weighted by their rarity among the usual texts and of unit length; a
vector by its numbers; an image by its pixels, and apart from these by its filter responses where
the model has filters; a series by its course, and tokens by which follow which. What that tells is
measured in docs/family.md.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, Self

import numpy as np

from hashret.coder import Coder
from hashret.sparse import (
    Features,
    SparseRows,
    by_layout,
    dense_rows,
    require_sparse,
    rows_between,
    to_scipy,
    with_values,
)

#: A function from features (n, n_features) to other rows (n, m).
Map = Callable[[Features], Features]
#: Columns that tokens and pairs of them are spread over, and a prime by which.
_COLUMNS, _SPREAD = 1 << 20, 1_000_003


class View:
    """n rows, (n, width), and how far they are from those of another view of the same kind."""

    def __init__(self, rows: Features):
        self._rows = rows
        self._squares = by_layout(rows, _unit_squares, lambda dense: np.square(dense).sum(axis=1))

    def __len__(self) -> int:
        return len(self._squares)

    def between(self, start: int, stop: int) -> View:
        """The rows from `start` to before `stop`."""
        return View(rows_between(self._rows, start, stop))

    def distances(self, other: View) -> np.ndarray:
        """The squared Euclidean distance of each row to each of the other's, (n, m) float32."""
        products = by_layout(
            self._rows,
            lambda rows: (to_scipy(rows) @ to_scipy(_sparse(other._rows)).T).toarray(),
            lambda rows: rows @ dense_rows(other._rows).T,
        )
        products *= -2.0
        products += self._squares[:, None].astype(np.float32)
        products += other._squares.astype(np.float32)
        return np.asarray(np.maximum(products, 0.0, out=products))


class Sight:
    """How items are seen beside the usual ones; fitted on the features of these."""

    def __init__(
        self,
        usual: Features,
        responses: Map | None = None,
        compared: Map = lambda features: features,
    ):
        """`responses` are the model's to features of images, if it has filters.

        `compared` makes of features what can be compared, row for row.
        """
        self._responses = responses
        self._compared = compared
        self._rarity = by_layout(compared(usual), _rarity, lambda dense: None)

    @classmethod
    def by(cls, coder: Coder, usual: Features) -> Self:
        """The sight for items that this coder encodes."""
        has_filters = getattr(coder.encoder.spec, "n_responses", 0) > 0
        responses: Map | None = coder.encoder.responses if has_filters else None
        featurizer: Any = coder.featurizer
        steps = getattr(featurizer.spec, "unit", "")
        if steps:
            of_numbers = steps == "numbers"
            return cls(usual, responses, featurizer.compared if of_numbers else counted)
        # of a text whose words stand in order its bag of words comes before them
        first = getattr(coder.encoder.spec, "first", 0)
        return cls(usual, responses, partial(_before, first)) if first else cls(usual, responses)

    def views(self, features: Features) -> list[View]:
        """One or two views of the items with these features, row for row."""
        compared = self._compared(features)
        if self._rarity is not None:
            return [View(_weighted(_sparse(compared), self._rarity))]
        found = [View(dense_rows(compared))]
        if self._responses is not None:
            found.append(View(dense_rows(self._responses(features))))
        return found


def _sparse(features: Features) -> SparseRows:
    return require_sparse(features, "a view of words")


def _unit_squares(rows: SparseRows) -> np.ndarray:
    """1 for each row: one without a known word is as one whose words no other text has."""
    return np.ones(len(rows))


def _rarity(rows: SparseRows) -> np.ndarray:
    """How rare each word is among the rows, (n_features,) float64."""
    holders = np.bincount(rows.indices, minlength=rows.n_features)
    return np.asarray(np.log((1.0 + len(rows)) / np.maximum(holders, 1)))


def _weighted(rows: SparseRows, weights: np.ndarray) -> Features:
    """The rows times the weights of their words, of unit length."""
    values = rows.values * weights[rows.indices]
    owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)
    lengths = np.sqrt(np.bincount(owner, np.square(values), len(rows)))
    unit = values / np.maximum(lengths, 1e-12)[owner]
    return with_values(rows, unit.astype(np.float32))


def counted(steps: Features) -> SparseRows:
    """Rows of tokens in order as rows of 1 + the logarithm of how often each token is there.

    Also of how often two are there in a row, so that order counts. Tokens are 1 and more, and 0 is
    an unknown one. A token or a pair has one of `_COLUMNS` columns, which few others have too.
    """
    rows = _sparse(steps)
    tokens = np.rint(rows.values).astype(np.int64)
    owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)
    is_known = tokens > 0
    in_a_row = is_known[:-1] & is_known[1:] & (owner[:-1] == owner[1:])
    pairs = tokens[:-1][in_a_row] * _SPREAD + tokens[1:][in_a_row]
    columns = np.concatenate([tokens[is_known], pairs]) % _COLUMNS
    cells = np.concatenate([owner[is_known], owner[:-1][in_a_row]]) * _COLUMNS + columns
    kept, counts = np.unique(cells, return_counts=True)
    of, columns = np.divmod(kept, _COLUMNS)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(rows)))])
    values = (1.0 + np.log(counts)).astype(np.float32)
    return SparseRows(indptr, columns.astype(np.int32), values, _COLUMNS)


def _before(first: int, features: Features) -> SparseRows:
    """The columns before `first`."""
    rows = _sparse(features)
    is_before = rows.indices < first
    owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)[is_before]
    indptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(rows)))])
    return SparseRows(indptr, rows.indices[is_before], rows.values[is_before], first)
