"""A second layer of patches tells what the first layer's filters respond to together."""

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from indexer.training.neighbours import image_views, second_layer
from indexer.training.neighbours.second_layer import second_coordinates
from indexer.training.patch_dictionary import learn_patches

SHAPE = (16, 16, 1)


@pytest.fixture(autouse=True)
def _few_groups(monkeypatch):
    """Of few groups and filters, for speed."""
    monkeypatch.setattr(second_layer, "_GROUPS", 5)
    monkeypatch.setattr(second_layer, "_FILTERS", 7)


def rng(seed=0):
    return np.random.default_rng(seed)


def learned(rows, shape, invariant=()):
    first = learn_patches(rows, shape, rng(), invariant)
    return first, second_layer._SecondLayer(first, rows, rng(1))


def noise(n, shape):
    return rng(2).normal(size=(n, int(np.prod(shape)))).astype(np.float32)


def cells_of(length, count):
    """The bounds of cells that overlap by one place where they don't fit."""
    return [(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


def responses_one_by_one(layer, image):
    """The responses to one image by the definition, place by place, in float64."""
    first, side = layer._first, layer._first.side
    down, across = (n - side + 1 for n in first.shape[:2])
    maps = np.zeros((down, across, first.filters.shape[1]))
    pixels = image.reshape(first.shape).astype(np.float64) * first.input_scale
    for y, x in np.ndindex(down, across):
        patch = pixels[y : y + side, x : x + side].ravel()
        answers = (patch @ first.filters) / np.sqrt(patch.var() + 1e-3) + first.bias
        maps[y, x] = np.maximum(answers, 0.0)
    down, across = down // 2, across // 2
    halves = maps[: 2 * down, : 2 * across].reshape(down, 2, across, 2, -1).mean(axis=(1, 3))
    halves = np.sqrt(halves) * layer._scale
    found = []
    n_filters = len(layer._filters) // len(layer._groups)
    for g, group in enumerate(layer._groups.numpy()):
        own = slice(g * n_filters, (g + 1) * n_filters)
        filters, bias = layer._filters[own].numpy(), layer._bias[own].numpy().ravel()
        answers = np.zeros((down - 1, across - 1, n_filters))
        for y, x in np.ndindex(down - 1, across - 1):
            patch = halves[y : y + 2, x : x + 2, group].transpose(2, 0, 1)
            centred = (patch - patch.mean()) / np.sqrt(patch.var() + 0.1)
            answers[y, x] = np.maximum((filters * centred).sum(axis=(1, 2, 3)) + bias, 0.0)
        rows, columns = (cells_of(n, min(3, n)) for n in answers.shape[:2])
        cells = [
            [answers[a:b, c:d].mean(axis=(0, 1)) for c, d in columns] for a, b in rows
        ]  # (rows, columns, filters)
        found.append(np.sqrt(np.moveaxis(np.array(cells), 2, 0)))
    return np.concatenate(found).ravel()


@pytest.mark.parametrize("shape", [(16, 16, 1), (11, 14, 3), (9, 9, 2)])
def test_responses_are_what_the_definition_gives(shape):
    rows = noise(40, shape)
    layer = learned(rows, shape)[1]
    before = rows.copy()
    found = layer.responses(rows[:3])
    assert np.array_equal(rows, before)
    for row, image in zip(found, rows, strict=False):
        # roots of small means in float32
        assert row == pytest.approx(responses_one_by_one(layer, image), abs=2e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (8, 30, 1), (30, 8, 3)])
def test_small_images_have_no_second_layer(shape):
    rows = noise(40, shape)
    assert second_coordinates(rows, learn_patches(rows, shape, rng()), 10, rng()) is None


@pytest.mark.parametrize("directed", [4_000, 140])
def test_coordinates_are_the_principal_ones_of_the_responses(directed, monkeypatch):
    rows = noise(150, SHAPE)
    monkeypatch.setattr(second_layer, "_LEARNED_IMAGES", 40)
    monkeypatch.setattr(second_layer, "_DIRECTED_IMAGES", directed)
    first = learn_patches(rows, SHAPE, rng())
    found = second_coordinates(rows, first, 5, rng(4))
    again = rng(4)
    some = rows[np.sort(again.permutation(150)[:40])]
    layer = second_layer._SecondLayer(first, some, again)
    chosen = np.sort(again.permutation(150)[:directed])
    responses = layer.responses(rows)
    mean = responses[chosen].mean(axis=0)
    right = np.linalg.svd(responses[chosen] - mean, full_matrices=False)[2]
    expected = (responses - mean) @ right[:2].T
    assert found.shape == (150, 5)
    assert found.dtype == np.float32
    # the range finder is randomised, and of made-up noise no direction stands far out
    assert np.linalg.norm(found[:, :2], axis=0) == pytest.approx(
        np.linalg.norm(expected, axis=0), rel=0.02
    )


def test_groups_hold_filters_that_are_strong_at_the_same_places():
    source = rng(5)
    n, pairs = 4_000, 20
    strength = np.repeat(source.exponential(size=(n, pairs)), 2, axis=1)
    places = strength * source.normal(size=(n, 2 * pairs))
    groups = second_layer._energy_groups(places, rng())
    assert groups.shape == (5, 16)
    for group in groups:
        assert len(set(group.tolist())) == 16
        assert group[1] == group[0] ^ 1  # its partner comes first


def test_the_same_images_mirrored_have_the_same_coordinates():
    rows = noise(40, SHAPE)
    mirrored = rows.reshape(-1, *SHAPE)[:, :, ::-1].reshape(rows.shape)
    plain, ignoring = learned(rows, SHAPE)[1], learned(rows, SHAPE, ("mirror",))[1]
    found, turned = ignoring.responses(rows), ignoring.responses(mirrored)
    assert found.shape[1] == 2 * plain.responses(rows).shape[1]
    assert turned == pytest.approx(found, abs=1e-5)
    assert np.abs(plain.responses(rows) - plain.responses(mirrored)).max() > 0.1


def test_few_different_patches_have_fewer_filters_and_spare_ones_say_nothing():
    rows = np.zeros((120, 256), np.float32)
    rows[::2, 7 * 16 + 5] = 1.0
    first, layer = learned(rows, SHAPE)
    assert np.isfinite(layer.responses(rows)).all()
    assert np.isfinite(second_coordinates(rows, first, 10, rng())).all()


def test_dictionaries_are_clusters_of_whitened_patches_of_a_group():
    layer = learned(noise(60, SHAPE), SHAPE)[1]
    windows = rng(8).normal(size=(900, 64)) * 3.0 + rng(9).normal(size=(900, 1))
    layer._scale = 1.0 / 3.0
    filters, bias = layer._dictionary(windows, rng(6))
    patches = (windows - windows.mean(axis=1, keepdims=True)) / 3.0
    patches /= np.sqrt(patches.var(axis=1, keepdims=True) + 0.1)
    centre = patches.mean(axis=0)
    values, directions = np.linalg.eigh(np.cov(patches.T, bias=True))
    whitening = directions / np.sqrt(values.clip(0) + 0.5) @ directions.T
    white = np.unique((patches - centre) @ whitening, axis=0)
    found, _ = kmeans2(white, 7, 12, minit="points", rng=rng(6))
    expected = whitening @ (found / np.linalg.norm(found, axis=1, keepdims=True)).T
    expected -= expected.mean(axis=0)
    assert np.abs(filters.T - expected).max() < 1e-3
    answers = (patches - centre) @ expected
    assert bias == pytest.approx(-(centre @ expected) - 0.5 * answers.std(), abs=1e-3)


@pytest.mark.parametrize("differ", [False, True])
def test_a_second_layer_is_looked_at_where_neighbours_differ_much(differ, monkeypatch):
    rows = noise(120, SHAPE)
    if not differ:
        rows = np.repeat(rows[:12], 10, axis=0) + 0.01 * rows
    asked = []

    def spied(*arguments):
        asked.append(arguments)
        return second_coordinates(*arguments)

    monkeypatch.setattr(image_views, "second_coordinates", spied)
    first = learn_patches(rows, SHAPE, rng())
    found = image_views.image_views(rows, first, first.features(rows), rng())
    assert len(asked) == differ
    assert np.linalg.norm(found, axis=1) == pytest.approx(1.0 if differ else 2.0**0.5, abs=1e-4)
