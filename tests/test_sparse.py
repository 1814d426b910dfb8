"""Questions about features are answered alike for sparse rows and for the dense ones they stand for."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from hashret import sparse
from hashret.sparse import SparseRows
from tests.models.encoders import as_sparse

#: Rows of few small numbers, so that empty rows and rows alike are common.
ROWS = arrays(
    np.float32, st.tuples(st.integers(1, 8), st.integers(1, 5)), elements=st.sampled_from([0, 1, 2])
)


@given(ROWS)
def test_both_layouts_answer_alike(dense):
    rows = as_sparse(dense)
    assert sparse.n_distinct(rows) == sparse.n_distinct(dense) == len(np.unique(dense, axis=0))
    assert sparse.known(rows).tolist() == (dense != 0).any(axis=1).tolist()
    assert sparse.known(dense).all()
    assert np.array_equal(sparse.to_scipy(rows).toarray(), dense)
    assert sorted(sparse.values_of(rows)) == sorted(dense[dense != 0])
    assert sparse.values_of(dense) is dense


@given(ROWS)
def test_the_arrays_of_features_give_them_back(dense):
    assert np.array_equal(sparse.of_arrays(sparse.arrays_of(dense), dense.shape[1]), dense)
    again = sparse.of_arrays(sparse.arrays_of(as_sparse(dense)), dense.shape[1])
    assert isinstance(again, SparseRows)
    assert np.array_equal(again.to_dense(), dense)


@given(ROWS, st.data())
def test_parts_and_other_values_of_both_layouts(dense, data):
    rows = as_sparse(dense)
    start = data.draw(st.integers(0, len(dense)))
    stop = data.draw(st.integers(start, len(dense)))
    for features in (dense, rows):
        part = sparse.rows_between(features, start, stop)
        assert np.array_equal(sparse.dense_rows(part), dense[start:stop])
        tripled = sparse.with_values(features, 3 * sparse.values_of(features))
        assert np.array_equal(sparse.dense_rows(tripled), 3 * dense)


@given(ROWS, st.data())
def test_columns_are_parted_and_put_side_by_side(dense, data):
    rows, width = as_sparse(dense), dense.shape[1]
    first = data.draw(st.integers(0, width))
    left = sparse.columns_between(rows, 0, first)
    right = sparse.columns_between(rows, first, width)
    assert np.array_equal(left.to_dense(), dense[:, :first])
    assert np.array_equal(right.to_dense(), dense[:, first:])
    both = sparse.side_by_side(left, right)
    assert np.array_equal(both.to_dense(), dense)
    assert np.array_equal(both.indices, rows.indices)


def test_each_layout_has_its_branch_and_its_refusal():
    dense = np.eye(3, dtype=np.float32)
    rows = as_sparse(dense)
    assert sparse.by_layout(rows, lambda r: "sparse", lambda a: "dense") == "sparse"
    assert sparse.by_layout(dense, lambda r: "sparse", lambda a: "dense") == "dense"
    assert sparse.require_sparse(rows, "a") is rows
    assert sparse.require_dense(dense, "a") is dense
    with pytest.raises(TypeError, match="expected sparse rows for words, got a dense array"):
        sparse.require_sparse(dense, "words")
    with pytest.raises(TypeError, match="expected a dense array for pixels, got sparse rows"):
        sparse.require_dense(rows, "pixels")
