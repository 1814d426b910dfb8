"""The grid: what is claimed to be exact is exact."""

import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.models.fixed_point import (
    EXACT_SUM,
    MAX_WEIGHT,
    NORM_FLOOR,
    UNITS,
    clamp_for,
    normalised,
    to_grid,
    unit,
)


@given(st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=20))
def test_grid_values_are_the_nearest_multiples(values):
    for value, rounded in zip(values, to_grid(np.array(values)), strict=True):
        units = Fraction(float(rounded)) * int(UNITS)
        assert units.denominator == 1
        assert abs(Fraction(value) * int(UNITS) - units) <= Fraction(1, 2)


@given(st.integers(1, 40), st.integers(1, 4), st.floats(1e-3, 200.0), st.integers(0, 2**32))
def test_every_order_of_summation_gives_the_exact_sum_at_the_clamp(n_in, n_out, scale, seed):
    rng = np.random.default_rng(seed)
    weight = to_grid(np.clip(scale * rng.standard_normal((n_in, n_out)), -255, 255))
    bias = to_grid(scale * rng.standard_normal(n_out))
    clamp = clamp_for(weight, bias)
    active = to_grid(rng.choice([-clamp, clamp, clamp - 1 / UNITS], n_in))
    for column in range(n_out):
        terms = [*(active * weight[:, column]), bias[column]]
        exact = sum(
            (
                Fraction(float(a)) * Fraction(float(w))
                for a, w in zip(active, weight[:, column], strict=True)
            ),
            Fraction(float(bias[column])),
        )
        for _ in range(5):
            total = 0.0
            for position in rng.permutation(len(terms)):
                total += terms[position]
            assert Fraction(total) == exact


def test_clamp_is_the_widest_power_of_two_that_fits():
    weight = np.full((1000, 3), 8.0)
    clamp = clamp_for(weight, np.zeros(3))
    assert math.log2(clamp).is_integer()
    assert clamp * 8000 <= EXACT_SUM < 2 * clamp * 8000


def test_clamp_refuses_weights_that_leave_no_room():
    with pytest.raises(ValueError, match="smaller learning rate"):
        clamp_for(np.full((20_000, 1), MAX_WEIGHT - 1), np.zeros(1))
    with pytest.raises(ValueError, match="smaller learning rate"):
        clamp_for(np.full((2, 1), np.nan), np.zeros(1))


def test_grid_values_survive_float32():
    largest = MAX_WEIGHT - 1 / UNITS
    assert np.float32(largest) == largest


@given(st.integers(2, 600), st.floats(0.1, 300.0), st.integers(0, 2**32))
def test_normalised_rows_are_centred_and_divided_by_their_deviation(width, scale, seed):
    rng = np.random.default_rng(seed)
    sums = scale * rng.standard_normal((5, width)) + scale * rng.standard_normal()
    centred = sums - sums.mean(axis=1)[:, None]
    expected = centred / np.sqrt(sums.var(axis=1) + NORM_FLOOR)[:, None]
    assert normalised(sums) == pytest.approx(expected, rel=1e-3, abs=1e-3)


@given(st.integers(1, 600), st.floats(1e-3, 1e6), st.integers(0, 2**32))
def test_the_order_of_units_changes_no_bit_of_a_normalised_row(width, scale, seed):
    rng = np.random.default_rng(seed)
    sums, order = scale * rng.standard_normal((3, width)), rng.permutation(width)
    assert np.array_equal(normalised(sums[:, order]), normalised(sums.copy())[:, order])


def test_a_row_of_one_value_is_normalised_to_zeros():
    assert not normalised(np.full((2, 7), 3.25)).any()


def test_the_largest_rows_add_up_exactly():
    row = np.full((1, 32_768), 2.0**40)
    row[0, ::2] *= -1
    found = normalised(row)
    expected = 2.0**12 / math.sqrt(2.0**24 + 1e-5)
    assert found[0, 1] == -found[0, 0] == pytest.approx(expected, rel=1e-15)


@given(st.integers(1, 100), st.floats(0.1, 300.0), st.integers(0, 2**32))
def test_unit_rows_have_length_1_and_their_direction(width, scale, seed):
    rng = np.random.default_rng(seed)
    sums, order = scale * rng.standard_normal((3, width)), rng.permutation(width)
    rows = unit(sums.copy())
    lengths = np.sqrt((sums**2).sum(axis=1) + NORM_FLOOR)
    assert rows == pytest.approx(sums / lengths[:, None], abs=1e-3)
    assert np.array_equal(rows * UNITS, np.rint(rows * UNITS))
    assert np.array_equal(unit(sums[:, order]), rows[:, order])
    assert not unit(np.zeros((1, width))).any()
