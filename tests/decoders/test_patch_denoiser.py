"""Noise out of images, patch by patch: against plain sums, in tiles, at any size, and how well."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret.decoders import patch_denoiser
from hashret.decoders.denoiser import denoiser_of, parts_of, with_denoiser
from hashret.decoders.patch_denoiser import LEVELS, MOST_NOISE, PatchDenoiser, detail
from hashret.errors import DamagedError, FormatVersionError
from hashret.specs import from_json, to_json
from hashret.specs.denoisers import PatchDenoiserSpec
from indexer.training.denoising.network import SIDE, taught_patch_denoiser
from indexer.training.options import TrainingOptions


def made(channels=1, side=4, seed=0):
    """A denoiser of random weights, which are what float16 holds."""
    spec = PatchDenoiserSpec(channels, side, (6,))
    rng = np.random.default_rng(seed)

    def drawn(*shape):
        return (rng.standard_normal(shape) * 0.3).astype(np.float16)

    weights = [drawn(*shape) for shape in spec.layer_shapes()]
    biases = [drawn(n_out) for _, n_out in spec.layer_shapes()]
    return PatchDenoiser(spec, weights, biases, np.tile(LEVELS, (2, 1)))


def drawn_image(height, width, channels, seed=1):
    return np.random.default_rng(seed).random((height, width, channels), np.float32)


def by_hand(denoiser, image, noise):
    """The same without its noise, patch by patch, as the formula says."""
    side, arrays = denoiser.spec.side, denoiser.tensors()
    edge = side - 2
    padded = np.pad(image, ((edge, side), (edge, side), (0, 0)), "symmetric").astype(np.float64)
    total, weights = np.zeros_like(padded), np.zeros(padded.shape[:2])
    window = np.hanning(side + 2)[1:-1]
    window = window[:, None] * window
    for y in range(0, edge + image.shape[0], 2):
        for x in range(0, edge + image.shape[1], 2):
            row = np.append(padded[y : y + side, x : x + side].ravel() - 0.5, noise)
            for i in range(len(denoiser.spec.layer_shapes())):
                row = (np.maximum(row, 0) if i else row) @ arrays[f"weight {i}"].astype(float)
                row = row + arrays[f"bias {i}"]
            added = row.reshape(side, side, -1) * window[:, :, None]
            total[y : y + side, x : x + side] += added
            weights[y : y + side, x : x + side] += window
    inner = slice(edge, edge + image.shape[0]), slice(edge, edge + image.shape[1])
    return image - total[inner] / weights[inner][:, :, None]


@given(st.integers(1, 13), st.integers(1, 13), st.sampled_from([1, 3]), st.sampled_from([2, 4, 6]))
def test_every_pixel_is_the_mean_over_the_patches_that_hold_it(height, width, channels, side):
    denoiser, image = made(channels, side), drawn_image(height, width, channels)
    found = denoiser.denoised(image, 0.1)
    assert (found.shape, found.dtype) == (image.shape, np.float32)
    np.testing.assert_allclose(found, by_hand(denoiser, image, 0.1), atol=1e-4)


@given(st.integers(1, 40), st.integers(1, 40), st.sampled_from([2, 4, 10, 16]))
def test_tiles_have_no_seams(height, width, tile):
    denoiser, image = made(), drawn_image(height, width, 1)
    whole = denoiser.denoised(image, 0.2)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(patch_denoiser, "_TILE", tile)
        np.testing.assert_allclose(denoiser.denoised(image, 0.2), whole, atol=1e-5)


def test_one_channel_serves_colours_and_three_serve_grey():
    grey, colour = made(1), made(3)
    image = drawn_image(9, 7, 3)
    each = [grey.denoised(image[:, :, i : i + 1], 0.1) for i in range(3)]
    np.testing.assert_array_equal(grey.denoised(image, 0.1), np.concatenate(each, axis=2))
    one = image[:, :, :1]
    thrice = colour.denoised(np.repeat(one, 3, axis=2), 0.1).mean(axis=2, keepdims=True)
    np.testing.assert_allclose(colour.denoised(one, 0.1), thrice, atol=1e-6)


def test_more_noise_than_is_learned_is_treated_as_that():
    denoiser, image = made(), drawn_image(9, 7, 1)
    most = denoiser.denoised(image, MOST_NOISE)
    np.testing.assert_array_equal(denoiser.denoised(image, 0.9), most)


@pytest.mark.parametrize("noise", [0.02, 0.1, 0.3])
def test_the_detail_of_flat_images_is_their_noise(noise):
    rng = np.random.default_rng(0)
    image = 0.5 + noise * rng.standard_normal((200, 200, 1))
    assert detail(image) == pytest.approx(noise, rel=0.03)
    image[:40] = rng.random((40, 200, 1)) > 0.5  # what is no noise, in a fifth of it
    assert detail(image) == pytest.approx(noise, rel=0.45)
    assert detail(np.zeros((1, 9, 1))) == detail(np.zeros((9, 1, 1))) == 0.0


def test_a_stored_denoiser_says_the_same():
    denoiser, image = made(3), drawn_image(9, 7, 3)
    arrays = with_denoiser({"weight 0": np.zeros(3)}, denoiser)
    decoder, stored = parts_of(arrays)
    assert list(decoder) == ["weight 0"]
    again = denoiser_of(from_json(to_json(denoiser.spec)), stored)
    np.testing.assert_array_equal(again.denoised(image, 0.1), denoiser.denoised(image, 0.1))
    assert parts_of(with_denoiser({"weight 0": np.zeros(3)}, None))[1] == {}


@pytest.mark.parametrize(
    "spoil",
    [
        lambda arrays: arrays.pop("readings"),
        lambda arrays: arrays.pop("bias 1"),
        lambda arrays: arrays.update({"weight 1": np.zeros((6, 15), np.float16)}),
        lambda arrays: arrays.update({"bias 0": np.full(6, np.nan, np.float16)}),
        lambda arrays: arrays.update({"bias 0": np.zeros(6, np.int8)}),
        lambda arrays: arrays.update({"more": np.zeros(1, np.float16)}),
    ],
)
def test_damaged_arrays_are_refused(spoil):
    arrays = made().tensors()
    spoil(arrays)
    with pytest.raises(DamagedError, match="train the model again"):
        denoiser_of(made().spec, arrays)


@pytest.mark.parametrize(
    ("field", "value", "error"),
    [
        ("channels", 2, DamagedError),
        ("side", 7, DamagedError),
        ("side", 0, DamagedError),
        ("new", 1, FormatVersionError),
    ],
)
def test_settings_that_cannot_be_are_refused(field, value, error):
    with pytest.raises(error):
        from_json(to_json(made().spec) | {field: value})


def textures(n, seed):
    """Soft blobs with sharp edges, grey, 40 x 36."""
    rng = np.random.default_rng(seed)
    small = rng.random((n, 6, 6, 1)).repeat(8, axis=1).repeat(8, axis=2)[:, :40, :36]
    ramp = np.linspace(-0.2, 0.2, 36)[None, None, :, None]
    return np.clip(small + ramp, 0, 1).astype(np.float32)


@pytest.fixture(scope="module")
def taught():
    """A denoiser taught with few steps on patches of textures."""
    rng = np.random.default_rng(0)
    patches = []
    for image in textures(40, 0):
        at = rng.integers(0, 28, (60, 2))
        patches.append(np.stack([image[y : y + SIDE, x : x + SIDE] for y, x in at]))
    progress = []
    denoiser, report = taught_patch_denoiser(
        patches, TrainingOptions(), lambda stage, done, total, loss: progress.append((done, total))
    )
    assert progress[-1] == (len(progress), len(progress))
    assert all(later[0] == former[0] + 1 for former, later in pairwise(progress))
    assert report.losses is not None
    assert report.losses[-1] < report.losses[0] / 2
    return denoiser


def error(clean, found):
    return float(np.square(clean - found).mean())


@pytest.mark.parametrize("noise", [0.1, 0.2, 0.3])
@pytest.mark.parametrize("is_cut", [False, True])
def test_what_is_taught_takes_most_of_the_noise_away(taught, noise, is_cut):
    rng = np.random.default_rng(5)
    for clean in textures(3, seed=99):
        noisy = (clean + noise * rng.standard_normal(clean.shape)).astype(np.float32)
        noisy = np.clip(noisy, 0, 1) if is_cut else noisy
        assert error(clean, taught.denoised(noisy, noise)) < error(clean, noisy) / 2
        assert taught.noise_of(noisy) == pytest.approx(noise, rel=0.2)


def test_what_has_no_noise_is_hardly_changed(taught):
    (clean,) = textures(1, seed=98)
    assert taught.noise_of(clean) < 0.01
    assert error(clean, taught.denoised(clean, taught.noise_of(clean))) < 0.01**2


@pytest.mark.parametrize("level", [0.0, 0.3, 1.0])
@pytest.mark.parametrize("size", [(1, 1), (1, 50), (17, 3), (20, 20)])
def test_a_constant_image_stays_constant(taught, level, size):
    image = np.full((*size, 1), level, np.float32)
    assert taught.noise_of(image) == 0.0
    assert np.abs(taught.denoised(image, 0.0) - level).max() < 0.02
    assert np.abs(taught.denoised(image, 0.1) - level).max() < 0.05
