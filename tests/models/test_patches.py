"""The encoder of images that sees patches: the same bits whatever the way there."""

import dataclasses
import hashlib
import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret import specs
from hashret.errors import DamagedError
from hashret.models.fixed_point import to_grid
from hashret.models.patches import PatchEncoder, PatchLayer, versions
from tests.models.encoders import random_encoder

N = 40


def random_layer(shape, side=3, cells=2, n_filters=5, seed=0, invariant=()):
    rng = np.random.default_rng(seed)
    filters = to_grid(rng.standard_normal((side * side * shape[2], n_filters)))
    filters[0] -= filters.sum(axis=0)
    bias = to_grid(rng.standard_normal(n_filters))
    none = np.zeros(0)
    filters = filters.astype(np.float32)
    bare = PatchLayer(shape, side, cells, 0.7, filters, bias, none, none, invariant)
    n_out = bare.pooled(np.zeros((1, math.prod(shape)), np.float32)).shape[1]
    mean, scale = rng.standard_normal(n_out), rng.uniform(0.5, 2.0, n_out)
    return dataclasses.replace(bare, mean=mean, scale=scale)


def random_patch_encoder(shape, n_bits=16, **layer):
    chosen = random_layer(shape, **layer)
    dense = random_encoder((len(chosen.mean), 12, 9, n_bits), seed=3, input_scale=1.0)
    return PatchEncoder.of(chosen, dense)


def random_pixels(shape, n=N, seed=0):
    rows = np.random.default_rng(seed).standard_normal((n, math.prod(shape)))
    return (2.0 * rows).astype(np.float32)


SHAPE = (7, 9, 3)
ENCODER = random_patch_encoder(SHAPE)
PIXELS = random_pixels(SHAPE)
LOGITS = ENCODER.logits(PIXELS)


def grid(value):
    return np.rint(value * 65536) / 65536


def plain_features(layer, row):
    """The same arithmetic, one patch and one cell at a time."""
    height, width = layer.shape[:2]
    image = grid(np.clip(row.astype(np.float64) * layer.input_scale, -64, 64)).reshape(layer.shape)
    side = layer.side
    down, across = height - side + 1, width - side + 1
    responses = np.empty((down, across, layer.filters.shape[1]))
    for y, x in itertools.product(range(down), range(across)):
        patch = image[y : y + side, x : x + side].ravel()
        mean = math.fsum(patch) / len(patch)
        variance = max(math.fsum(patch * patch) / len(patch) - mean * mean, 0.0)
        contrast = 1.0 / math.sqrt(variance + 0.001)
        for f, weights in enumerate(layer.filters.astype(np.float64).T):
            response = math.fsum(patch * weights) * contrast + layer.bias[f]
            responses[y, x, f] = grid(min(max(response, 0.0), 128.0))
    told = []
    for maps, finish in ((responses, math.sqrt), (image, float)):
        rows, columns = (
            [
                range(i * n // c, -(-(i + 1) * n // c))
                for c in [min(layer.cells, n)]
                for i in range(c)
            ]
            for n in maps.shape[:2]
        )
        for ys, xs in itertools.product(rows, columns):
            for c in range(maps.shape[2]):
                total = math.fsum(maps[y, x, c] for y, x in itertools.product(ys, xs))
                told.append(finish(total / (len(ys) * len(xs))))
    return grid(np.clip((np.array(told) - layer.mean) * layer.scale, -128, 128))


@settings(deadline=None, max_examples=30)
@given(
    height=st.integers(1, 9),
    width=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    side=st.integers(1, 4),
    cells=st.integers(1, 4),
    scale=st.sampled_from([0.0, 0.01, 1.0, 100.0]),
)
def test_features_follow_the_definition_bit_for_bit(height, width, channels, side, cells, scale):
    shape = (height, width, channels)
    layer = random_layer(shape, min(side, height, width), cells)
    pixels = np.float32(scale) * random_pixels(shape, 3)
    found = layer.features(pixels)
    assert found.dtype == np.float32
    assert np.array_equal(found, [plain_features(layer, row) for row in pixels])


@settings(deadline=None, max_examples=20)
@given(
    side=st.integers(1, 9),
    channels=st.sampled_from([1, 3]),
    cells=st.integers(1, 4),
    invariant=st.sampled_from([("mirror",), ("rotation",), ("mirror", "rotation")]),
)
def test_versions_of_an_image_have_the_same_features(side, channels, cells, invariant):
    layer = random_layer((side, side, channels), min(3, side), cells, invariant=invariant)
    pixels = random_pixels(layer.shape, 3)
    images = pixels.reshape(-1, *layer.shape)
    assert len(versions(images, invariant)) == (1 + ("mirror" in invariant)) * (
        1 + 3 * ("rotation" in invariant)
    )
    found = layer.features(pixels)
    bare = dataclasses.replace(layer, invariant=())
    pooled = [bare.pooled(each.reshape(3, -1)) for each in versions(images, invariant)]
    mean = sum(grid(each) for each in pooled) / len(pooled)
    deviation = sum(abs(grid(each) - mean) for each in pooled) / len(pooled)
    told = (np.hstack([mean, deviation]) - layer.mean) * layer.scale
    expected = grid(np.clip(told, -128, 128))
    assert np.array_equal(found, expected)
    for each in versions(images, invariant):
        assert np.array_equal(layer.features(each.reshape(3, -1)), found)


def test_logits_are_those_of_the_dense_layers_on_the_features():
    layer = random_layer(SHAPE)
    dense = random_encoder((len(layer.mean), 12, 9, 16), seed=3, input_scale=1.0)
    assert np.array_equal(LOGITS, dense.logits(layer.features(PIXELS)))
    assert ENCODER.n_features == 7 * 9 * 3
    assert ENCODER.spec.dense().n_features == len(layer.mean)
    assert layer.n_responses == 2 * 2 * 5
    assert layer.n_places == 5 * 7


@pytest.mark.parametrize("threads", [1, 4])
def test_the_number_of_threads_changes_no_bit(threads):
    script = (
        "from tests.models.test_patches import random_patch_encoder, random_pixels\n"
        "import hashlib\n"
        "shape = (20, 24, 3)\n"
        "encoder = random_patch_encoder(shape, side=6, cells=4, n_filters=64)\n"
        "logits = encoder.logits(random_pixels(shape, 70))\n"
        "print(hashlib.sha256(logits.tobytes()).hexdigest())\n"
    )
    limits = {"OPENBLAS_NUM_THREADS": str(threads), "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, text=True, check=True, env=limits
    )
    assert done.stdout.split()[-1] == _here()


def _here():
    shape = (20, 24, 3)
    encoder = random_patch_encoder(shape, side=6, cells=4, n_filters=64)
    pixels = random_pixels(shape, 70)
    one_by_one = [encoder.logits(pixels[i : i + 1]) for i in range(70)]
    return hashlib.sha256(np.concatenate(one_by_one).tobytes()).hexdigest()


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("side", 0),
        ("side", 4),  # than that of the filters
        ("side", 8),  # more than the images have
        ("cells", 0),
        ("cells", 3),
        ("n_filters", 0),
        ("n_filters", 6),
        ("height", 0),
        ("channels", -1),
        ("hidden", [12, 8]),
        ("invariant", ["rotation"]),  # of images that are not square
    ],
)
def test_a_spec_that_fits_nothing_is_damage(field, value):
    changed = specs.to_json(ENCODER.spec) | {field: value}
    with pytest.raises(DamagedError):
        PatchEncoder.from_tensors(specs.from_json(changed), ENCODER.tensors())


@pytest.mark.parametrize("times", [1e4, 1e30, np.nan])
def test_filters_too_large_for_exact_sums_are_refused(times):
    tensors = ENCODER.tensors()
    filters = np.float32(times) * np.abs(tensors["patches.filters"])
    with pytest.raises(DamagedError, match="filters"):
        PatchEncoder.from_tensors(ENCODER.spec, tensors | {"patches.filters": filters})


def test_dense_layers_of_something_else_are_refused():
    layer = random_layer(SHAPE)
    for dense in (
        random_encoder((len(layer.mean) + 1, 12, 16), input_scale=1.0),
        random_encoder((len(layer.mean), 12, 16), input_scale=2.0),
    ):
        with pytest.raises(ValueError, match="layer's features"):
            PatchEncoder.of(layer, dense)
