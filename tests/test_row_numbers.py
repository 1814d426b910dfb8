"""Runs of row numbers answer as the array of them does."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.row_numbers import RowNumbers

rows = st.sets(st.integers(0, 60), max_size=50).map(lambda some: np.array(sorted(some), np.int64))


@given(rows, st.data())
def test_it_answers_as_the_array(numbers, draw):
    runs = RowNumbers(numbers)
    assert len(runs) == len(numbers)
    assert np.array_equal(np.asarray(runs), numbers)
    wanted = draw.draw(st.lists(st.integers(-3, 70), max_size=10))
    assert np.array_equal(np.searchsorted(runs, wanted), np.searchsorted(numbers, wanted))
    places = {int(row): at for at, row in enumerate(numbers)}
    assert runs.find(np.array(wanted, np.int64)).tolist() == [places.get(w, -1) for w in wanted]
    if len(numbers):
        at = draw.draw(st.lists(st.integers(-len(numbers), len(numbers) - 1), max_size=10))
        assert np.array_equal(runs[at], numbers[at])
        assert runs[-1] == numbers[-1]
        assert np.isscalar(runs[0])


@pytest.mark.parametrize("at", [3, -4, [0, 3]])
def test_no_position_beyond_the_last(at):
    with pytest.raises(IndexError, match="expected one of 3"):
        RowNumbers(np.array([4, 5, 9]))[at]


def test_numpy_asks_the_runs_and_not_an_array_of_them(monkeypatch):
    monkeypatch.delattr(RowNumbers, "__array__")
    runs = RowNumbers(np.array([4, 5, 9]))
    assert np.searchsorted(runs, [5, 6, 10]).tolist() == [1, 2, 3]
    with pytest.raises(ValueError, match="expected 'left'"):
        runs.searchsorted([5], side="right")


def test_an_array_of_them_is_always_a_copy():
    with pytest.raises(ValueError, match="expected a copy"):
        np.array(RowNumbers(np.array([4, 5, 9])), copy=False)


def test_consecutive_rows_take_no_memory():
    import tracemalloc

    numbers = np.arange(5, 1_000_005)
    tracemalloc.start()
    runs = RowNumbers(numbers)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 10_000
    assert runs[999_999] == 1_000_004
