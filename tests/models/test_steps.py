"""How rows are cut into steps, and how trees and times walk over steps of items of any lengths."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.errors import PayloadError
from hashret.models.steps import steps_of, times, tree_levels
from hashret.sparse import SparseRows
from hashret.specs.ordering import Ordering
from tests.models.sequences import in_order

LENGTHS = st.lists(st.integers(0, 33), min_size=1, max_size=12)


def numbered(lengths):
    """Items whose step t of item i is the number 100 i + t."""
    return [[100.0 * i + t for t in range(n)] for i, n in enumerate(lengths)]


@given(LENGTHS, st.integers(1, 3), st.integers(0, 5))
def test_steps_are_the_numbers_from_the_first_column_on(lengths, width, first):
    items = [np.arange(n * width, dtype=float).reshape(n, width) + 7 * n for n in lengths]
    rows = in_order(items, 33, width, before=first)
    found = steps_of(rows, Ordering(width, first=first))
    assert found.lengths.tolist() == lengths
    np.testing.assert_array_equal(found.values, np.vstack([*items, np.empty((0, width))]))


@given(LENGTHS)
def test_a_tree_joins_neighbours_and_an_odd_one_goes_up(lengths):
    nodes = [str(int(one)) for item in numbered(lengths) for one in item]
    levels, roots = tree_levels(np.array(lengths))
    for left, right, alone in levels:
        joined = [f"({nodes[a]} {nodes[b]})" for a, b in zip(left, right, strict=True)]
        nodes = joined + [nodes[a] for a in alone]
    assert len(levels) == max(0, math.ceil(math.log2(max(max(lengths), 1))))
    assert [nodes[root] for root in roots] == [
        folded([str(int(one)) for one in item]) for item in numbered(lengths) if item
    ]


def folded(row):
    """A row joined in pairs until one is left."""
    while len(row) > 1:
        pairs = [f"({a} {b})" for a, b in zip(row[::2], row[1::2], strict=False)]
        row = pairs + row[len(row) - len(row) % 2 :]
    return row[0]


@given(LENGTHS)
def test_at_each_time_come_the_steps_of_all_items_that_have_one(lengths):
    values = [one for item in numbered(lengths) for one in item]
    order, rows = times(np.array(lengths))
    assert sorted(order) == list(range(len(lengths)))
    assert len(rows) == max(lengths)
    for t, now in enumerate(rows):
        running = order[: len(now)]
        assert sorted(running) == [i for i, n in enumerate(lengths) if n > t]
        assert [values[row] for row in now] == [100.0 * i + t for i in running]


def test_what_is_no_steps_is_refused():
    with pytest.raises(PayloadError, match="sparse rows"):
        steps_of(np.zeros((2, 4), np.float32), Ordering())
    with pytest.raises(PayloadError, match="whole steps of 3"):
        steps_of(in_order([[1.0, 2.0]], 4), Ordering(3))
    for bad in (np.nan, np.inf):
        with pytest.raises(PayloadError, match="finite"):
            steps_of(in_order([[1.0, bad]], 4), Ordering())
    for bad in (-1.0, 6.0, 1e30):
        with pytest.raises(PayloadError, match="tokens from 0 to 5"):
            steps_of(in_order([[1.0, bad]], 4), Ordering(n_tokens=5))
    with pytest.raises(PayloadError, match="fractions"):
        steps_of(in_order([[1.0, 1.5]], 4), Ordering(n_tokens=5))


def test_no_rows_have_no_steps():
    empty = SparseRows(np.zeros(1, np.int64), np.empty(0, np.int32), np.empty(0, np.float32), 4)
    assert steps_of(empty, Ordering(2)).values.shape == (0, 2)
    assert tree_levels(np.zeros(0, np.int64))[0] == []
    assert times(np.zeros(0, np.int64)).rows == []


@pytest.mark.parametrize(
    "fields", [{"width": 0}, {"first": -1}, {"n_tokens": 1 << 24}, {"n_tokens": 3, "width": 2}]
)
def test_an_ordering_that_is_none_is_refused(fields):
    with pytest.raises(ValueError, match="expected"):
        Ordering(**fields)
