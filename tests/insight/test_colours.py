"""Colours that tell values apart, for every kind of sight and on either background."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.insight.colours import CATEGORIES, OTHER, coloured
from hashret.insight.drawing import DARK, LIGHT

#: From linear RGB to that of somebody with protanopia and deuteranopia (Machado and others, 2009).
BLIND = {
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "normal": np.eye(3),
}  # fmt: skip


def linear(colours):
    channels = np.array([[int(one[at : at + 2], 16) / 255 for at in (1, 3, 5)] for one in colours])
    return np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)


def oklab(rgb):
    """Coordinates in which distance is how different colours look (Ottosson, 2020)."""
    to_cones = np.array([[0.4122214708, 0.5363325363, 0.0514459929], [0.2119034982, 0.6806995451, 0.1073969566], [0.0883024619, 0.2817188376, 0.6299787005]])  # fmt: skip
    to_lab = np.array([[0.2104542553, 0.7936177850, -0.0040720468], [1.9779984951, -2.4285922050, 0.4505937099], [0.0259040371, 0.7827717662, -0.8086757660]])  # fmt: skip
    return np.cbrt(rgb @ to_cones.T) @ to_lab.T


@pytest.mark.parametrize("sight", BLIND)
def test_colours_differ_for_every_kind_of_sight(sight):
    seen = oklab(np.clip(linear([*CATEGORIES, OTHER]) @ np.array(BLIND[sight]).T, 0, 1))
    apart = np.sqrt(np.square(seen[:, None] - seen).sum(axis=2)) + 9 * np.eye(len(seen))
    assert apart.min() > 0.09  # black and white are 1 apart; Okabe and Ito's eight come to .03


@pytest.mark.parametrize("paper", [LIGHT["paper"], DARK["paper"]])
def test_colours_stand_out_from_both_backgrounds(paper):
    weights = np.array([0.2126, 0.7152, 0.0722])
    scale = coloured(list(range(100)), 100).colours
    for colour in (*CATEGORIES, OTHER, *scale):
        lights = sorted(linear([colour, paper]) @ weights)
        assert (lights[1] + 0.05) / (lights[0] + 0.05) > 2.2, colour


def test_the_most_frequent_values_have_colours_and_the_others_one():
    values = [letter for rank, letter in enumerate("abcdefghijkl") for _ in range(20 - rank)]
    found = coloured([*values, None], len(values) + 1)
    assert found.names == (*"abcdefghij", "2 other values or none")
    assert found.colours == (*CATEGORIES, OTHER)
    assert found.counts == (*range(20, 10, -1), 10 + 9 + 1)
    assert found.numbers[0] == 0
    assert found.numbers[-1] == 10
    assert not found.is_scale


def test_true_is_not_one():
    found = coloured([True, True, 1, 0, False, False, False], 7)
    assert dict(zip(found.names, found.counts, strict=True)) == {
        "false": 3,
        "true": 2,
        "0": 1,
        "1": 1,
    }


def test_many_numbers_make_a_scale_and_few_do_not():
    found = coloured([-1e6, *range(500), None], 502)
    assert found.is_scale
    assert list(found.numbers[:501]) == sorted(found.numbers[:501])
    assert found.numbers[-1] == found.n_steps == len(found.colours) - 1
    assert found.names[0] == "4 or less"
    assert found.names[-1] == "none"
    assert not coloured([1, 2, 3] * 30, 90).is_scale


def test_dates_make_a_scale():
    days = [f"20{year:02}-0{month}-11" for year in range(10) for month in (1, 5)]
    found = coloured(days, len(days))
    assert found.is_scale
    assert list(found.numbers) == sorted(found.numbers)
    assert found.names[0] == "2000-01-11"
    assert found.names[-1] == "2009-05-11"
    assert not coloured([f"part-{day}" for day in days], len(days)).is_scale


@given(
    st.lists(
        st.none()
        | st.booleans()
        | st.integers()
        | st.floats(allow_nan=False, allow_infinity=False)
        | st.text(max_size=6)
        | st.dates().map(str),
        max_size=60,
    )
)
def test_every_item_has_a_colour_with_a_meaning(values):
    found = coloured(values, len(values))
    assert len(found.numbers) == len(values)
    assert len(found.colours) == len(found.names) == len(found.counts)
    assert np.bincount(found.numbers, minlength=len(found.colours)).tolist() == list(found.counts)
    for value, number in zip(values, found.numbers.tolist(), strict=True):
        if value is None:
            assert found.colours[number] == OTHER
    assert coloured(values, len(values)).names == found.names
