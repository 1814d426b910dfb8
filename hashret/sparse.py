"""Sparse feature rows in the compressed sparse row layout, NumPy only.

SciPy's CSR class has the same three arrays; it is not used here because importing it takes
longer than answering a query. Code that multiplies in bulk builds a `scipy.sparse` matrix
from these arrays without copying.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class SparseRows:
    """n sparse rows of `n_features` float32 features.

    `indptr` (n + 1,) int64; `indices` (nnz,) int32, increasing within a row; `values` (nnz,)
    float32. Row i holds `values[indptr[i]:indptr[i + 1]]` at the same slice of `indices`.
    """

    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    n_features: int

    def __len__(self) -> int:
        return len(self.indptr) - 1

    @property
    def shape(self) -> tuple[int, int]:
        """(n, n_features)."""
        return len(self), self.n_features

    @property
    def nnz_per_row(self) -> np.ndarray:
        """The number of stored features of each row, (n,) int64."""
        return np.diff(self.indptr)

    def rows(self, start: int, stop: int) -> SparseRows:
        """Rows start to stop (exclusive) as views."""
        begin, end = int(self.indptr[start]), int(self.indptr[stop])
        return SparseRows(
            self.indptr[start : stop + 1] - begin,
            self.indices[begin:end],
            self.values[begin:end],
            self.n_features,
        )

    def take(self, rows: np.ndarray) -> SparseRows:
        """The given rows, copied, in the given order."""
        lengths = self.nnz_per_row[rows]
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths, out=indptr[1:])
        positions = np.repeat(self.indptr[:-1][rows] - indptr[:-1], lengths)
        positions += np.arange(indptr[-1])
        return SparseRows(indptr, self.indices[positions], self.values[positions], self.n_features)

    def to_dense(self) -> np.ndarray:
        """The rows as a dense (n, n_features) float32 array."""
        dense = np.zeros(self.shape, np.float32)
        dense[np.repeat(np.arange(len(self)), self.nnz_per_row), self.indices] = self.values
        return dense


#: What a featurizer gives and an encoder takes: sparse rows or a dense (n, n_features) float32.
Features = SparseRows | np.ndarray


def finite_rows(features: Features) -> np.ndarray:
    """Which rows hold only finite numbers, (n,) bool."""
    if isinstance(features, SparseRows):
        bad = ~np.isfinite(features.values)
        sound = np.ones(len(features), bool)
        if bad.any():
            sound[np.repeat(np.arange(len(features)), features.nnz_per_row)[bad]] = False
        return sound
    return np.asarray(np.isfinite(features).all(axis=tuple(range(1, features.ndim))))


def known(features: Features) -> np.ndarray:
    """Which rows have a known feature, (n,) bool: dense rows always, sparse ones if they hold any.

    The code of another row means nothing: nothing of its payload is in the model's vocabulary.
    """
    if isinstance(features, SparseRows):
        return features.nnz_per_row > 0
    return np.ones(len(features), bool)


def take_rows(features: Features, rows: np.ndarray) -> Features:
    """The given rows, copied, in the given order."""
    return features.take(rows) if isinstance(features, SparseRows) else features[rows]


def concatenate(parts: list[SparseRows]) -> SparseRows:
    """The rows of all `parts` (at least one, of equal width), one below the other."""
    ends = np.cumsum([0] + [int(part.indptr[-1]) for part in parts])
    indptr = [part.indptr[:-1] + end for part, end in zip(parts, ends[:-1], strict=True)]
    return SparseRows(
        np.concatenate([*indptr, ends[-1:]]).astype(np.int64),
        np.concatenate([part.indices for part in parts]),
        np.concatenate([part.values for part in parts]),
        parts[0].n_features,
    )


def stacked(parts: list[Features]) -> Features:
    """The rows of all `parts` (at least one, of one kind and width), one below the other."""
    sparse = [part for part in parts if isinstance(part, SparseRows)]
    if not sparse:
        return np.concatenate([np.asarray(part) for part in parts])
    if len(sparse) < len(parts):
        raise TypeError(
            "features: expected all sparse or all dense, got both; take them from one featurizer"
        )
    return concatenate(sparse)
