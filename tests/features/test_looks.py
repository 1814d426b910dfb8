"""What images look like: the same for the same levels, near for altered copies, small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.features.image import ImageFeaturizer
from hashret.features.looks import copy_distance, looks, n_looks
from hashret.specs import ImageSpec


def no_answers(features):
    return np.empty((len(features), 0))


@settings(max_examples=40, deadline=None)
@given(
    height=st.integers(1, 35),
    width=st.integers(1, 35),
    channels=st.sampled_from([1, 3]),
    n=st.integers(1, 5),
    seed=st.integers(0, 999),
)
def test_a_picture_looks_the_same_in_any_batch(height, width, channels, n, seed):
    rng = np.random.default_rng(seed)
    spec = ImageSpec(height=height, width=width, channels=channels)
    arrays = rng.integers(0, 256, (n, height, width, channels), np.uint8)
    images = [ImageFeaturizer.prepare(one, spec) for one in arrays]
    fitted = ImageFeaturizer.fit(images, spec)
    together = fitted.looks(fitted.transform(images), no_answers)
    assert together.shape == (n, n_looks(spec, 0))
    assert np.isfinite(together).all()
    assert np.array_equal(together, together.astype(np.float16))  # kept in two bytes a number
    for one, row in zip(images, together, strict=True):
        assert np.array_equal(fitted.looks(fitted.transform([one]), no_answers)[0], row)


def test_light_and_contrast_say_little_and_shapes_much():
    rng = np.random.default_rng(0)
    one, other = rng.uniform(0, 255, (2, 16, 16, 3))
    grey = np.repeat(one @ [0.299, 0.587, 0.114], 3, axis=1).reshape(16, 16, 3)
    rows = looks(np.stack([one, other, one * 0.7, 40 + one * 0.4, grey]), no_answers)
    distances = np.linalg.norm(rows - rows[0], axis=1)
    assert distances[2:].max() < distances[1] / 2


@pytest.mark.parametrize("channels", [1, 3])
def test_flat_pictures_differ_by_their_colour_alone(channels):
    flat = np.full(
        (3, 8, 8, channels), [[[[10.0] * channels]], [[[12.0] * channels]], [[[200.0] * channels]]]
    )
    rows = looks(flat, no_answers)
    distances = np.linalg.norm(rows - rows[0], axis=1)
    assert 0 == distances[0] < distances[1] < distances[2]


def test_the_width_is_what_the_parts_come_to():
    assert n_looks(ImageSpec(), 1024) == 128 + 64 + 48
    assert n_looks(ImageSpec(height=10, width=3, channels=1), 20) == 20 + 24 + 12


def test_sums_of_answers_keep_their_angles_and_are_the_same_for_ever():
    rng = np.random.default_rng(0)
    responses = np.rint(rng.normal(size=(40, 1024)) * 2**16).astype(np.float32) / 2**16
    responses[1] = responses[0] + responses[2] / 2
    rows = looks(np.zeros((40, 4, 4, 1)), lambda _: responses)[:, :128]
    unit = responses / np.linalg.norm(responses, axis=1, keepdims=True)
    assert np.abs(rows @ rows.T - unit @ unit.T).max() < 0.4
    assert rows[0] @ rows[1] > 0.8
    # collections keep what these signs gave: others would make all pictures strangers
    alone = looks(np.zeros((1, 4, 4, 1)), lambda _: np.eye(1, 1024))[0, :128]
    assert np.packbits(alone > 0).tobytes().hex() == "5f82c2d9cfeb0fa321d7d982f8bd1045"


@settings(max_examples=30, deadline=None)
@given(n=st.integers(0, 30), copies=st.integers(0, 3), seed=st.integers(0, 99))
def test_copies_are_nearer_than_most_pairs(n, copies, seed):
    rows = np.random.default_rng(seed).normal(size=(n, 5))
    rows = np.concatenate([rows, rows[:copies]]).astype(np.float32)
    pairs = [np.linalg.norm(a - b) for i, a in enumerate(rows) for b in rows[:i]]
    wanted = 0.6 * sorted(pairs)[len(pairs) // 20] if pairs else 0.0
    assert copy_distance(rows) == pytest.approx(wanted, abs=1e-5)
