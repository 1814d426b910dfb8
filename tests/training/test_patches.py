"""Patches tell images apart by what they are made of, wherever in a cell it lies."""

import numpy as np
import pytest
import torch

from indexer.image_views import image_views
from indexer.patches import _Dictionary, patch_features
from tests.training.corpora import textures

SHAPE = (16, 16, 1)


def rng(seed=0):
    return np.random.default_rng(seed)


def nearest_kinds(rows, kinds):
    unit = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    alike = unit @ unit.T
    np.fill_diagonal(alike, -np.inf)
    return kinds[np.argsort(-alike, axis=1)[:, :10]] == kinds[:, None]


def test_textures_are_told_apart_where_pixels_are_not():
    images, kinds = textures(80)
    found = patch_features(images, SHAPE, rng())
    by_patches = nearest_kinds(found - found.mean(axis=0), kinds).mean()
    by_pixels = nearest_kinds(images - images.mean(axis=0), kinds).mean()
    assert by_patches > 0.97
    assert by_patches > by_pixels + 0.1


@pytest.mark.parametrize("shape", [(16, 16, 1), (32, 32, 3), (9, 13, 3), (4, 7, 1), (8, 3, 3)])
def test_patches_drawn_are_those_of_all_patches_bit_for_bit(shape, monkeypatch):
    """Of each image drawn all patches were made, to draw some of them."""
    monkeypatch.setattr("indexer.patches._SAMPLED_IMAGES", 90)
    monkeypatch.setattr("indexer.patches._SAMPLED_PATCHES", 901)
    rows = rng().standard_normal((100, int(np.prod(shape)))).astype(np.float32)
    asked = []
    some = _Dictionary._some_patches

    def recorded(self, rows, chosen):
        asked.append((rows, chosen, some(self, rows, chosen)))
        return asked[-1][-1]

    monkeypatch.setattr(_Dictionary, "_some_patches", recorded)
    dictionary = _Dictionary(rows, shape, rng(5))
    ((images, chosen, found),) = asked
    again = rng(5)
    assert np.array_equal(images, rows[np.sort(again.permutation(100)[:90])])
    every = dictionary._patches(images).flatten(0, 1)
    assert np.array_equal(chosen, np.sort(again.permutation(len(every))[:901]))
    assert torch.equal(found, every[torch.from_numpy(chosen)])


def test_an_answer_depends_on_the_image_and_the_dictionary_alone(monkeypatch):
    images, _ = textures(20)
    whole = patch_features(images, SHAPE, rng())
    monkeypatch.setattr("indexer.patches._TILE_IMAGES", 7)
    assert patch_features(images, SHAPE, rng()) == pytest.approx(whole, abs=1e-5)
    assert patch_features(images, SHAPE, rng()).shape == (20, 16 * 64)


def test_contrast_and_light_hardly_change_it():
    images, _ = textures(20)
    brighter = np.concatenate([images, 2.0 * images + 1.0])
    found = patch_features(brighter, SHAPE, rng())
    plain, bright = found[:20], found[20:]
    assert np.linalg.norm(bright - plain) < 0.05 * np.linalg.norm(plain)


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 3), (28, 28, 1), (9, 32, 3)])
def test_any_size_has_finite_views(shape):
    rows = rng().normal(size=(5, int(np.prod(shape)))).astype(np.float32)
    found = image_views(rows, shape, rng())
    assert np.isfinite(found).all()
    lengths = np.linalg.norm(found, axis=1)
    assert (lengths <= np.sqrt(2.0) + 1e-5).all()


def test_images_all_alike_have_finite_views():
    flat = np.zeros((6, 256), np.float32)
    assert np.isfinite(image_views(flat, SHAPE, rng())).all()
