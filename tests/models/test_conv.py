"""The convolutional autoencoder, and its encoder in exact arithmetic."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from indexer.training.corruption import augment
from indexer.training.networks.bottleneck import LogitMoments, normalise
from indexer.training.networks.conv import Convolution, conv_autoencoder, export_conv

SHAPE = (7, 6, 3)
N = 40
PIXELS = np.random.default_rng(0).normal(size=(N, 7 * 6 * 3)).astype(np.float32)


def network(shape=SHAPE, filters=(5, 4), n_bits=16, seed=0):
    return conv_autoencoder(shape, filters, n_bits, torch.Generator().manual_seed(seed))


def raw(net, pixels, scale=1.0):
    with torch.no_grad():
        return net.raw_logits(torch.from_numpy(pixels * np.float32(scale))).numpy()


def exported(net, pixels=PIXELS, shape=SHAPE, scale=1.0):
    return export_conv(net, shape, LogitMoments.of(raw(net, pixels, scale)), scale, 1.7)


ENCODER = exported(network())
LOGITS = ENCODER.logits(PIXELS)


@settings(deadline=None, max_examples=25)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    filters=st.lists(st.integers(1, 5), min_size=1, max_size=3).map(tuple),
    scale=st.sampled_from([0.5, 1.0, 3.0]),
)
def test_logits_in_numpy_are_those_of_the_network_but_for_rounding(
    height, width, channels, filters, scale
):
    shape = (height, width, channels)
    pixels = np.random.default_rng(1).normal(size=(12, height * width * channels))
    pixels = pixels.astype(np.float32)
    net = network(shape, filters, 8)
    # a bit that hardly varies is exported with its logits scaled down
    assume(raw(net, pixels, scale).std(axis=0).min() > 0.05)
    expected = normalise(torch.from_numpy(raw(net, pixels, scale))).numpy()
    encoder = exported(net, pixels, shape, scale)
    assert encoder.logits(pixels) == pytest.approx(expected, abs=5e-3)
    back = net.decode(torch.rand(2, 8))
    assert back.shape == (2, height * width * channels)  # odd sizes come back too


@pytest.mark.parametrize("filters", [(5,), (5, 4), (3, 4, 5)])
def test_the_decoder_can_tell_something_else_than_pixels(filters):
    generator = torch.Generator().manual_seed(0)
    net = conv_autoencoder(SHAPE, filters, 16, generator, n_outputs=11)
    assert net.decode(torch.rand(2, 16)).shape == (2, 11)
    batch = torch.from_numpy(PIXELS)
    for layer in range(1, len(filters) + 1):  # each but the last rebuilds what its encoder takes
        below = net.hidden(layer, batch)
        rebuilt = net.decoder[-1 - layer].forward(net.encoder[layer].forward(below))
        assert rebuilt.shape == below.shape


def plain(encoder, image):
    """The same arithmetic, one output of a convolution at a time."""
    spec, tensors = encoder.spec, encoder.tensors()
    active = image.astype(np.float64).reshape(spec.height, spec.width, spec.channels)
    active = np.rint(np.clip(active * spec.input_scale, -spec.clamps[0], spec.clamps[0]) * 65536)
    active /= 65536
    for layer in range(len(spec.filters)):
        weight = tensors[f"layers.{layer}.weight"].astype(np.float64)
        height, width, channels = active.shape
        out = np.empty(((height + 1) // 2, (width + 1) // 2, weight.shape[1]))
        for y, x in itertools.product(range(out.shape[0]), range(out.shape[1])):
            total = tensors[f"layers.{layer}.bias"].copy()
            for dy, dx, c in itertools.product(range(3), range(3), range(channels)):
                row, column = 2 * y + dy - 1, 2 * x + dx - 1
                if 0 <= row < height and 0 <= column < width:
                    total += active[row, column, c] * weight[(dy * 3 + dx) * channels + c]
            out[y, x] = total
        active = np.rint(np.clip(out, 0.0, spec.clamps[layer + 1]) * 65536) / 65536
    last = len(spec.filters)
    weight = tensors[f"layers.{last}.weight"].astype(np.float64)
    return active.ravel() @ weight + tensors[f"layers.{last}.bias"]


def test_logits_follow_the_definition_bit_for_bit():
    for image, logits in zip(PIXELS[:3], LOGITS, strict=False):
        assert np.array_equal(plain(ENCODER, image), logits)


def test_all_lies_on_the_grid_and_sums_stay_exact():
    for layer, clamp in enumerate(ENCODER.spec.clamps):
        weight = ENCODER.tensors()[f"layers.{layer}.weight"].astype(np.float64)
        bias = ENCODER.tensors()[f"layers.{layer}.bias"]
        for tensor in (weight, bias, np.array(clamp)):
            assert np.array_equal(tensor * 65536, np.rint(tensor * 65536))
        assert (clamp * np.abs(weight).sum(axis=0) + np.abs(bias)).max() * 2**32 <= 2**53


def test_a_convolution_halves_the_size_and_a_block_is_given_back():
    layer = Convolution((7, 6, 3), 5, torch.Generator().manual_seed(0))
    assert layer.forward(torch.from_numpy(PIXELS)).shape == (N, 4 * 3 * 5)


def test_augmentation_moves_mirrors_and_brightens_but_keeps_the_image():
    generator = torch.Generator().manual_seed(0)
    image = torch.arange(28.0).repeat(28).view(1, -1)  # columns 0 to 27, all rows alike
    seen = augment(image.repeat(400, 1), (28, 28, 1), generator).view(400, 28, 28)
    assert torch.allclose(seen, seen[:, :1].expand_as(seen))  # rows are still alike
    rising = seen[:, 0, 20] > seen[:, 0, 8]
    assert 0.4 < rising.float().mean() < 0.6
    # undone contrast and brightness, a column has moved by two at most
    steps = (seen[:, 0, 18] - seen[:, 0, 10]) / 8.0
    assert 0.15 < steps.abs().std() < 0.25
    middle = seen[:, 0, 13:15].mean(dim=1) / steps.abs()
    assert (middle - 13.5).abs().quantile(0.9) < 4.0
    again = augment(image.repeat(400, 1), (28, 28, 1), torch.Generator().manual_seed(0))
    assert torch.equal(again.view(400, 28, 28), seen)
