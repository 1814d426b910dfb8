"""A matrix of weights, applied to features: as it is stored to a single row, in float64 to many."""

from __future__ import annotations

import numpy as np

from hashret import kernels
from hashret.sparse import Features, SparseRows, by_layout, to_scipy

#: Number of rows up to which a sparse batch reads only the rows of the matrix that it needs. Larger
#: batches use SciPy's product, which is then worth its import.
_GATHER_ROWS = 32


class Matrix:
    """Weights, (n_in, n_out) float32, on the grid of `fixed_point`, so that all sums are exact.

    Compiled kernels, where they are loaded, change no product, but the time of a single row's.
    """

    def __init__(self, weight: np.ndarray):
        # in this order, as kernels take it; what comes from a file nearly always is
        self.weight = np.require(weight, requirements=("C_CONTIGUOUS", "ALIGNED"))
        self._wide: np.ndarray | None = None

    def times(self, rows: Features) -> np.ndarray:
        """Rows of features, (n, n_in), times the weights: (n, n_out) float64."""
        return by_layout(rows, self._times_sparse, self._times_dense)

    def _times_dense(self, rows: np.ndarray) -> np.ndarray:
        if len(rows) == 1 and (compiled := kernels.loaded()) is not None:
            row = np.asarray(rows[0], np.float64)
            indices = np.flatnonzero(row)  # behind a ReLU half are 0
            taken = indices.astype(np.int32), row[indices]
            return np.asarray(compiled.products.times(*taken, self.weight))[None]
        return np.asarray(rows @ self._in_float64())

    def _times_sparse(self, rows: SparseRows) -> np.ndarray:
        if len(rows) > _GATHER_ROWS:
            # column by column: a word's row of weights is read once for all documents that have it
            return np.asarray(to_scipy(rows).tocsc() @ self._in_float64())
        compiled = kernels.loaded()
        sums = np.empty((len(rows), self.weight.shape[1]))
        for row in range(len(rows)):
            part = slice(int(rows.indptr[row]), int(rows.indptr[row + 1]))
            indices, values = rows.indices[part], np.asarray(rows.values[part], np.float64)
            if compiled is not None:
                sums[row] = compiled.products.times(indices, values, self.weight)
            else:
                sums[row] = values @ self.weight.take(indices, axis=0).astype(np.float64)
        return sums

    def _in_float64(self) -> np.ndarray:
        if self._wide is None:
            self._wide = np.asarray(self.weight, np.float64)
        return self._wide
