"""What of an item is compared with usual ones: rows of numbers whose distance says how unlike.

A text is seen by its words, weighted by their rarity among the usual texts and of unit length; a
vector by its numbers; an image by its pixels, and apart from these by its filter responses where
the model has filters. Which rows do what is measured in docs/family.md.
"""

from __future__ import annotations

import numpy as np

from hashret.coder import Coder
from hashret.sparse import (
    Features,
    SparseRows,
    by_layout,
    dense_rows,
    require_sparse,
    to_scipy,
    with_values,
)


class View:
    """n rows, (n, width), and how far they are from those of another view of the same kind."""

    def __init__(self, rows: Features):
        self._rows = rows
        self._squares = by_layout(rows, _unit_squares, lambda dense: np.square(dense).sum(axis=1))

    def __len__(self) -> int:
        return len(self._squares)

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

    def __init__(self, coder: Coder, usual: Features):
        self._coder = coder
        self._rarity = by_layout(self._told(usual), _rarity, lambda dense: None)

    def views(self, features: Features) -> list[View]:
        """One or two views of the items with these features, row for row."""
        told = self._told(features)
        if self._rarity is not None:
            return [View(_weighted(_sparse(told), self._rarity))]
        found = [View(dense_rows(told))]
        if getattr(self._coder.encoder.spec, "n_responses", 0):
            found.append(View(self._coder.encoder.responses(features)))
        return found

    def _told(self, features: Features) -> Features:
        """The features, without their order where they are the steps of a sequence of tokens."""
        n_tokens = getattr(self._coder.encoder.spec, "n_tokens", None)
        if n_tokens is None:
            return features
        return _counted(_sparse(features), n_tokens) if n_tokens else dense_rows(features)


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


def _counted(rows: SparseRows, n_tokens: int) -> SparseRows:
    """Each row's tokens with 1 + the logarithm of how often they stand there."""
    owner = np.repeat(np.arange(len(rows)), rows.nnz_per_row)
    tokens = np.rint(rows.values).astype(np.int64)
    keys = (owner * (n_tokens + 1) + tokens)[tokens > 0]  # 0 stands for an unknown token
    kept, counts = np.unique(keys, return_counts=True)
    of, tokens = np.divmod(kept, n_tokens + 1)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(of, minlength=len(rows)))])
    values = (1.0 + np.log(counts)).astype(np.float32)
    return SparseRows(indptr, tokens.astype(np.int32) - 1, values, n_tokens)
