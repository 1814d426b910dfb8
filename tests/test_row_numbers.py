"""Runs of row numbers answer as the array of them does."""

import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.row_numbers import Moves, RowNumbers

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


ranges = st.lists(st.tuples(st.integers(0, 3), st.integers(0, 9)), max_size=12)


@given(ranges)
def test_ranges_are_the_array_of_their_numbers(gaps_and_lengths):
    firsts, lengths, numbers, at = [], [], [], 0
    for gap, length in gaps_and_lengths:
        at += gap
        firsts.append(at)
        lengths.append(length)
        numbers += range(at, at + length)
        at += length
    runs, expected = RowNumbers.of_ranges(firsts, lengths), RowNumbers(np.array(numbers, np.int64))
    assert len(runs) == len(numbers)
    assert np.asarray(runs).tolist() == numbers
    assert [each.tolist() for each in runs.ranges] == [each.tolist() for each in expected.ranges]


@given(rows, st.sets(st.integers(-2, 65)), st.booleans(), st.booleans())
def test_without_some_are_the_others(numbers, gone, first, last):
    gone = [*gone, *numbers[:first].tolist(), *numbers[len(numbers) - last :].tolist()]
    left = RowNumbers(numbers).without(gone)
    expected = sorted(set(numbers.tolist()) - set(gone))
    assert np.asarray(left).tolist() == expected
    of_array = RowNumbers(np.array(expected, np.int64)).ranges
    assert [each.tolist() for each in left.ranges] == [each.tolist() for each in of_array]


@given(rows, rows)
def test_moves_are_where_each_number_is_among_others(former, now):
    moves = Moves(RowNumbers(former), RowNumbers(now))
    places = {int(row): at for at, row in enumerate(now)}
    expected = [places.get(int(row), -1) for row in former]
    assert len(moves) == len(former)
    assert moves[np.arange(len(former))].tolist() == expected
    assert moves[np.arange(len(former))[::-2]].tolist() == expected[::-2]
    assert moves.n_kept == len(set(former.tolist()) & set(now.tolist()))


def test_a_hundred_million_rows_take_the_memory_of_what_was_removed():
    tracemalloc.start()
    rows = RowNumbers.of_ranges(range(0, 10**8, 1 << 16), [1 << 16] * -(-(10**8) >> 16))
    left = rows.without(np.arange(0, 10**8, 10**5))
    moved = Moves(rows, left)
    held, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 1_000_000
    assert held < 200_000
    assert len(rows) - len(left) == 1000 == len(moved) - moved.n_kept
    assert left[-1] == rows[-1]
    assert left[10**7] == 10**7 + 101
    assert left.find(np.array([10**7, 10**7 + 1])).tolist() == [-1, 10**7 + 1 - 101]
    assert moved[np.array([10**7, 10**7 + 1])].tolist() == [-1, 10**7 + 1 - 101]


def test_consecutive_rows_take_no_memory():
    numbers = np.arange(5, 1_000_005)
    tracemalloc.start()
    runs = RowNumbers(numbers)
    held = tracemalloc.get_traced_memory()[0]
    tracemalloc.stop()
    assert held < 10_000
    assert runs[999_999] == 1_000_004
