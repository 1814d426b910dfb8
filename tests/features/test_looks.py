"""What images look like: the same for the same levels, near for altered copies, small."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.features.image import ImageFeaturizer
from hashret.features.looks import looks, n_looks
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
    assert n_looks(ImageSpec(), 1024) == 1024 + 256 + 48
    assert n_looks(ImageSpec(height=10, width=3, channels=1), 0) == 30 + 12
