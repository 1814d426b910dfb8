"""Patches tell images apart by what they are made of, wherever in a cell it lies."""

import dataclasses

import numpy as np
import pytest
from scipy.cluster.vq import kmeans2

from hashret.models.fixed_point import clamp_for
from hashret.models.patches import PIXEL_CLAMP
from indexer.training import patch_dictionary
from indexer.training.neighbours.image_views import image_views
from indexer.training.patch_dictionary import learn_patches
from tests.training.corpora import textures

SHAPE = (16, 16, 1)


def rng(seed=0):
    return np.random.default_rng(seed)


def features_of(rows, shape=SHAPE):
    return learn_patches(rows, shape, rng()).features(rows)


def views_of(rows, shape=SHAPE):
    layer = learn_patches(rows, shape, rng())
    return image_views(rows, layer, layer.features(rows), rng())


def nearest_kinds(rows, kinds):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    return kinds[np.argsort(-alike, axis=1)[:, :10]] == kinds[:, None]


def test_textures_are_told_apart_where_pixels_are_not():
    images, kinds = textures(80)
    by_patches = nearest_kinds(features_of(images), kinds).mean()
    by_pixels = nearest_kinds(images - images.mean(axis=0), kinds).mean()
    assert by_patches > 0.97
    assert by_patches > by_pixels + 0.1


def test_contrast_hardly_changes_the_answers_and_light_not_at_all():
    images, _ = textures(20)
    layer = learn_patches(images, SHAPE, rng())
    plain, loud, bright = (
        layer.features(rows)[:, : layer.n_responses]
        for rows in (images, 2.0 * images, images + 1.0)
    )
    assert np.linalg.norm(loud - plain) < 0.05 * np.linalg.norm(plain)
    assert np.abs(bright - plain).max() < 0.01  # pixels lie on a grid
    colours = [layer.features(rows)[:, layer.n_responses :] for rows in (images, images + 1.0)]
    assert (colours[1] > colours[0]).all()


@pytest.mark.parametrize("shape", [(16, 16, 1), (32, 32, 3), (9, 13, 3), (4, 7, 1), (8, 3, 3)])
def test_filters_are_what_the_definition_gives(shape, monkeypatch):
    """Some patches of some images, whitened and clustered; drawn from all patches at once here."""
    monkeypatch.setattr(patch_dictionary, "_SAMPLED_IMAGES", 90)
    monkeypatch.setattr(patch_dictionary, "_SAMPLED_PATCHES", 901)
    rows = rng(1).standard_normal((100, int(np.prod(shape)))).astype(np.float32)
    layer = learn_patches(rows, shape, rng(5))
    again = rng(5)
    side = min(6, *shape[:2])
    some = rows[np.sort(again.permutation(100)[:90])]
    every = layer.patches(some).reshape(-1, side * side * shape[2])
    assert len(every) == 90 * layer.n_places
    drawn = every[np.sort(again.permutation(len(every))[:901])]
    drawn = drawn - drawn.mean(axis=1, keepdims=True)
    deviation = drawn.std(axis=1)
    assert (deviation < 1.0).all()
    assert np.median(deviation) > 0.9
    centre = drawn.mean(axis=0)
    values, directions = np.linalg.eigh(np.cov(drawn.T, bias=True))
    whitening = directions / np.sqrt(values.clip(0) + 0.5) @ directions.T
    white = np.unique((drawn - centre) @ whitening, axis=0)
    found, _ = kmeans2(white, min(64, len(white)), 12, minit="points", rng=again)
    expected = whitening @ (found / np.linalg.norm(found, axis=1, keepdims=True)).T
    expected -= expected.mean(axis=0)
    assert layer.filters == pytest.approx(expected, abs=1e-3)
    answers = (drawn - centre) @ expected
    assert layer.bias == pytest.approx(-(centre @ expected) - 0.5 * answers.std(), abs=1e-3)


def test_what_is_told_is_centred_and_of_unit_size():
    images, _ = textures(50)
    layer = learn_patches(images, SHAPE, rng())
    found = layer.features(images).astype(np.float64)
    assert found.mean(axis=0) == pytest.approx(np.zeros(found.shape[1]), abs=1e-4)
    for part in np.split(found, [layer.n_responses], axis=1):
        assert np.square(part).mean() == pytest.approx(1.0, abs=1e-3)


@pytest.mark.parametrize("shape", [(1, 1, 1), (1, 1, 3), (3, 5, 3), (28, 28, 1), (9, 32, 3)])
def test_filters_lie_on_the_grid_add_up_to_nothing_and_leave_room(shape):
    rows = rng().normal(size=(5, int(np.prod(shape)))).astype(np.float32)
    layer = learn_patches(rows, shape, rng())
    filters = layer.filters.astype(np.float64)
    for array in (filters, layer.bias):
        assert np.array_equal(array * 65536, np.rint(array * 65536))
    assert not filters.sum(axis=0).any()
    assert clamp_for(filters, layer.bias) >= PIXEL_CLAMP
    assert np.isfinite(layer.features(rows)).all()


def test_images_of_one_pixel_are_told_apart_by_their_colour():
    rows = rng().uniform(-1, 1, (30, 3)).astype(np.float32)
    found = features_of(rows, (1, 1, 3))
    assert len(np.unique(found, axis=0)) == 30


def test_it_is_the_same_for_the_same_source_of_randomness():
    images, _ = textures(30)
    first, second = (dataclasses.asdict(learn_patches(images, SHAPE, rng(3))) for _ in range(2))
    for name, value in first.items():
        assert np.array_equal(value, second[name]), name


@pytest.mark.parametrize("n", [5, 120])
@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 3), (28, 28, 1), (9, 32, 3)])
def test_any_size_has_finite_views(shape, n):
    rows = rng().normal(size=(n, int(np.prod(shape)))).astype(np.float32)
    found = views_of(rows, shape)
    assert np.isfinite(found).all()
    lengths = np.linalg.norm(found, axis=1)
    assert (lengths <= np.sqrt(2.0) + 1e-5).all()


def test_images_all_alike_have_finite_views():
    for n in (6, 120):
        flat = np.zeros((n, 256), np.float32)
        views = views_of(flat)
        assert np.isfinite(views).all()
