"""Products with a matrix of weights: exact, and the same with kernels and without."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.models.matrix import _GATHER_ROWS, Matrix
from hashret.sparse import SparseRows
from tests.models.encoders import as_sparse

pytestmark = pytest.mark.usefixtures("kernels")
UNITS = 65536


def on_grid(rng, shape, bound):
    return rng.integers(-bound * UNITS, bound * UNITS, shape) / UNITS


def exactly(rows, weight):
    """The products in whole numbers of units, which Python adds up exactly."""
    units = [[int(one * UNITS) for one in row] for row in rows.tolist()]
    columns = [[int(one * UNITS) for one in column] for column in weight.T.tolist()]
    sums = [[sum(map(int.__mul__, row, column)) for column in columns] for row in units]
    return [[float(Fraction(one, UNITS * UNITS)) for one in row] for row in sums]


@given(
    n=st.sampled_from([0, 1, 2, 5]),
    width=st.integers(0, 40),
    out=st.integers(1, 20),
    share=st.sampled_from([0.0, 0.3, 1.0]),
    seed=st.integers(0, 99),
)
def test_products_are_exact(n, width, out, share, seed):
    rng = np.random.default_rng(seed)
    weight = on_grid(rng, (width, out), 100).astype(np.float32)
    rows = on_grid(rng, (n, width), 100) * (rng.random((n, width)) < share)
    weight.setflags(write=False)  # as a mapped file gives it
    assert Matrix(weight).times(rows).tolist() == exactly(rows, weight)
    narrow = rows.astype(np.float32)
    found = Matrix(weight).times(as_sparse(narrow)) if width else np.zeros((n, out))
    assert found.shape == (n, out)
    assert found.tolist() == exactly(narrow.astype(np.float64), weight)


def test_a_large_sparse_batch_is_as_its_rows(kernels):
    rng = np.random.default_rng(0)
    matrix = Matrix(on_grid(rng, (60, 9), 100).astype(np.float32))
    dense = on_grid(rng, (3 * _GATHER_ROWS, 60), 8) * (rng.random((3 * _GATHER_ROWS, 60)) < 0.2)
    rows = as_sparse(dense.astype(np.float32))
    one_by_one = [matrix.times(rows.take(np.array([row])))[0] for row in range(len(rows))]
    assert np.array_equal(matrix.times(rows), one_by_one)


@pytest.mark.parametrize("column", [-8, 7, 2**31 - 1])
def test_a_feature_that_the_matrix_has_not_is_refused(column):
    rows = SparseRows(
        np.array([0, 1]), np.array([column], np.int32), np.ones(1, np.float32), n_features=7
    )
    with pytest.raises(IndexError):
        Matrix(np.ones((7, 3), np.float32)).times(rows)


def test_weights_that_lie_oddly_are_taken_too():
    rng = np.random.default_rng(1)
    weight = on_grid(rng, (12, 8), 100).astype(np.float32)
    row = on_grid(rng, (1, 12), 100)
    odd = np.empty(weight.nbytes + 1, np.uint8)[1:]
    odd[:] = np.frombuffer(weight.tobytes(), np.uint8)
    unaligned = np.ndarray(weight.shape, np.float32, odd.data)
    for same in (unaligned, np.asfortranarray(weight)):
        assert Matrix(same).times(row).tolist() == exactly(row, weight)
