"""Feature rows, sparse or dense: the sparse layout, and the functions that treat both alike.

Sparse rows are in the compressed sparse row (CSR) layout. SciPy's CSR class has the same three
arrays; it is not used here because importing it takes longer than answering a query. Code that
multiplies many rows calls `to_scipy` for a matrix over these arrays. No other file tests whether
its features are sparse or dense: it calls a function from here.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np

if TYPE_CHECKING:
    from scipy.sparse import csr_array

_Result = TypeVar("_Result")
#: Number of dense rows that are projected together: their float64 products fit a core's cache.
_TILE_ROWS = 1024


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
        return np.asarray(self.indptr[1:] - self.indptr[:-1])

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
        starts = self.indptr[:-1][rows]
        indptr, positions = positions_of(starts, self.indptr[1:][rows] - starts)
        indices, values = self.indices.take(positions), self.values.take(positions)
        return SparseRows(indptr, indices, values, self.n_features)

    def to_dense(self) -> np.ndarray:
        """The rows as a dense (n, n_features) float32 array."""
        dense = np.zeros(self.shape, np.float32)
        dense[np.repeat(np.arange(len(self)), self.nnz_per_row), self.indices] = self.values
        return dense


def positions_of(starts: np.ndarray, lengths: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where the elements of rows lie that begin at `starts`, of these `lengths`, (n,) int64.

    Returns the rows' own `indptr` (n + 1,) and the positions (indptr[-1],), both int64.
    """
    indptr = np.zeros(len(starts) + 1, np.int64)
    np.cumsum(lengths, out=indptr[1:])
    positions = np.repeat(starts - indptr[:-1], lengths)
    positions += np.arange(len(positions))
    return indptr, positions


#: What a featurizer returns and an encoder takes: sparse rows, or dense (n, n_features) float32.
Features = SparseRows | np.ndarray


def by_layout(
    features: Features,
    sparse: Callable[[SparseRows], _Result],
    dense: Callable[[np.ndarray], _Result],
) -> _Result:
    """The result of `sparse(features)` or `dense(features)`, according to their layout."""
    return sparse(features) if isinstance(features, SparseRows) else dense(features)


def require_sparse(features: Features, what: str) -> SparseRows:
    """The features if they are sparse; otherwise raise TypeError: `what` needs sparse ones."""
    if not isinstance(features, SparseRows):
        raise TypeError(f"features: expected sparse rows for {what}, got a dense array")
    return features


def require_dense(features: Features, what: str) -> np.ndarray:
    """The features if they are dense; otherwise raise TypeError: `what` needs dense ones."""
    if isinstance(features, SparseRows):
        raise TypeError(f"features: expected a dense array for {what}, got sparse rows")
    return features


def values_of(features: Features) -> np.ndarray:
    """Every stored number as one array; sparse rows store only those that are not 0."""
    return features.values if isinstance(features, SparseRows) else features


def arrays_of(features: Features) -> list[np.ndarray]:
    """The arrays that hold the features: three if sparse, one if dense (see `of_arrays`)."""
    if isinstance(features, SparseRows):
        return [features.indptr, features.indices, features.values]
    return [features]


def of_arrays(arrays: list[np.ndarray], n_features: int) -> Features:
    """The features made of the arrays that `arrays_of` returned."""
    if len(arrays) == 1:
        return arrays[0]
    indptr, indices, values = arrays
    return SparseRows(indptr, indices, values, n_features)


def to_scipy(rows: SparseRows) -> csr_array:
    """The rows as a SciPy matrix that shares their arrays."""
    from scipy.sparse import csr_array

    return csr_array((rows.values, rows.indices, rows.indptr), shape=rows.shape)


def known(features: Features) -> np.ndarray:
    """Which rows have a feature, (n,) bool: sparse rows that are not empty, and all dense rows."""
    if isinstance(features, SparseRows):
        return features.nnz_per_row > 0
    return np.ones(len(features), bool)


def n_distinct(features: Features) -> int:
    """The number of different rows, up to chance collisions of their random projections."""
    weights = np.random.default_rng(0).random((features.shape[1],))
    if isinstance(features, SparseRows):
        owner = np.repeat(np.arange(len(features)), features.nnz_per_row)
        products = features.values * weights[features.indices]
        return len(np.unique(np.bincount(owner, weights=products, minlength=len(features))))
    tiles = range(0, len(features), _TILE_ROWS)
    # not a matrix product, whose rounding depends on a row's place: equal rows need equal sums
    sums = [np.sum(features[start : start + _TILE_ROWS] * weights, axis=1) for start in tiles]
    return len(np.unique(np.concatenate(sums)))


def finite_rows(features: Features) -> np.ndarray:
    """Which rows hold only finite numbers, (n,) bool."""
    if isinstance(features, SparseRows):
        bad = ~np.isfinite(features.values)
        sound = np.ones(len(features), bool)
        if bad.any():
            sound[np.repeat(np.arange(len(features)), features.nnz_per_row)[bad]] = False
        return sound
    return np.asarray(np.isfinite(features).all(axis=tuple(range(1, features.ndim))))


def take_rows(features: Features, rows: np.ndarray) -> Features:
    """The given rows, copied, in the given order."""
    return features.take(rows) if isinstance(features, SparseRows) else features[rows]


def rows_between(features: Features, start: int, stop: int) -> Features:
    """Rows start to stop (exclusive), as views."""
    if isinstance(features, SparseRows):
        return features.rows(start, stop)
    return features[start:stop]


def with_values(features: Features, values: np.ndarray) -> Features:
    """The features with `values` in place of `values_of(features)`."""
    if isinstance(features, SparseRows):
        return SparseRows(features.indptr, features.indices, values, features.n_features)
    return values


def dense_rows(features: Features) -> np.ndarray:
    """The features as a dense (n, n_features) array; dense ones are returned as they are."""
    return features.to_dense() if isinstance(features, SparseRows) else features


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


def columns_between(rows: SparseRows, start: int, stop: int) -> SparseRows:
    """Columns start to stop (exclusive) of the rows, as the columns from 0 on; copied."""
    chosen = (rows.indices >= start) & (rows.indices < stop)
    before = np.append(0, np.cumsum(chosen))
    indices = (rows.indices[chosen] - start).astype(np.int32)
    return SparseRows(before[rows.indptr], indices, rows.values[chosen], stop - start)


def side_by_side(left: SparseRows, right: SparseRows) -> SparseRows:
    """The columns of `right` behind those of `left`, row for row."""
    n_left, n_right = left.nnz_per_row, right.nnz_per_row
    indptr = left.indptr + right.indptr
    of_left = positions_of(indptr[:-1], n_left)[1]
    of_right = positions_of(indptr[:-1] + n_left, n_right)[1]
    n = int(indptr[-1])
    indices, values = np.empty(n, np.int32), np.empty(n, np.float32)
    indices[of_left], values[of_left] = left.indices, left.values
    indices[of_right], values[of_right] = right.indices + left.n_features, right.values
    return SparseRows(indptr, indices, values, left.n_features + right.n_features)


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
