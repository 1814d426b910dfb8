"""Oriented gradients see shapes, whatever their light, and find neighbours by them."""

import numpy as np
import pytest

from indexer.training.neighbours.hog import oriented_gradients
from indexer.training.neighbours.image_views import image_views
from indexer.training.neighbours.neighbourhoods import find_neighbourhoods
from indexer.training.neighbours.similarities import cosine_points, euclidean_points
from indexer.training.patch_dictionary import learn_patches

SHAPE = (16, 16, 1)


def stripes(angle, phase, contrast=1.0):
    y, x = np.mgrid[:16, :16]
    wave = np.sin(0.9 * (x * np.cos(angle) + y * np.sin(angle)) + phase)
    return (contrast * wave).astype(np.float32).ravel()


def test_a_gradient_falls_into_the_bin_of_its_direction():
    ramps = np.stack([stripes(0.0, 0.0), stripes(np.pi / 2, 0.0)])
    found = oriented_gradients(ramps, SHAPE).reshape(2, 8, 16).mean(axis=2)
    assert found[0].argmax() == 0  # brightness changes across
    assert found[1].argmax() == 4  # and down


def test_light_hardly_changes_them_and_a_flat_image_has_none():
    images = np.stack([stripes(0.4, 0.0), 3.0 * stripes(0.4, 0.0) + 5.0, np.ones(256)])
    plain, bright, flat = oriented_gradients(images.astype(np.float32), SHAPE)
    assert bright == pytest.approx(plain, rel=0.05, abs=0.02)
    assert not flat.any()


@pytest.mark.parametrize("shape", [(1, 1, 1), (3, 5, 3), (28, 28, 1), (9, 32, 3)])
def test_any_size_has_finite_ones_row_for_row(shape):
    rows = np.random.default_rng(0).normal(size=(5, int(np.prod(shape)))).astype(np.float32)
    found = oriented_gradients(rows, shape)
    assert np.isfinite(found).all()
    assert np.array_equal(oriented_gradients(rows[2:3], shape)[0], found[2])


def test_neighbours_of_images_are_those_of_like_shape():
    rng = np.random.default_rng(1)
    groups = np.arange(120) % 4
    images = np.stack(
        [stripes(group * np.pi / 4, rng.uniform(0, 6), rng.uniform(0.3, 3)) for group in groups]
    )
    images += 0.05 * rng.normal(size=images.shape).astype(np.float32)

    def purity(points):
        near = find_neighbourhoods(points, 10, np.random.default_rng(0))
        return (groups[near.members] == groups[:, None]).mean()

    rng = np.random.default_rng(0)
    layer = learn_patches(images, SHAPE, rng)
    by_shape = purity(cosine_points(image_views(images, layer, layer.features(images), rng)))
    by_pixels = purity(euclidean_points(images, np.random.default_rng(0)))
    assert by_shape > 0.95
    assert by_shape > by_pixels + 0.1
