"""Places in a plane: near vectors stay near, and the same vectors give the same places."""

import sys

import numpy as np
import pytest
from sklearn.manifold import trustworthiness

from hashret.errors import MissingExtraError
from hashret.insight.tsne import _neighbours, principal_plane, tsne
from tests.corpora import clustered_vectors


@pytest.mark.parametrize("n", [0, 1, 2, 3, 7, 8, 9, 40])
def test_any_number_of_vectors_has_finite_places(n):
    places = tsne(clustered_vectors(n), 0)
    assert places.shape == (n, 2)
    assert np.isfinite(places).all()


@pytest.mark.parametrize("interpolated", [False, True])
def test_the_same_seed_gives_the_same_places_whatever_the_threads(monkeypatch, interpolated):
    monkeypatch.setattr("hashret.insight.tsne._EARLY_STEPS", 20)
    monkeypatch.setattr("hashret.insight.tsne._STEPS", 10)
    monkeypatch.setattr("hashret.insight.tsne._INTERPOLATED", 0 if interpolated else 1000)
    vectors = clustered_vectors(300)
    first = tsne(vectors, 3)
    assert np.array_equal(first, tsne(vectors, 3, n_threads=2))
    assert not np.array_equal(first, tsne(vectors, 4))


def test_near_vectors_are_near_in_the_plane():
    vectors = clustered_vectors(200)
    assert trustworthiness(vectors, tsne(vectors, 0), n_neighbors=10) > 0.9
    cluster = np.arange(200) % 4
    places = tsne(vectors, 0)
    middles = np.array([places[cluster == one].mean(axis=0) for one in range(4)])
    nearest = np.square(places[:, None] - middles).sum(axis=2).argmin(axis=1)
    assert (nearest == cluster).mean() > 0.98


def test_copies_of_one_vector_have_places_that_differ():
    places = tsne(np.ones((60, 8), np.float32), 0)
    assert np.isfinite(places).all()
    assert len(np.unique(places, axis=0)) == 60


def test_what_the_progress_raises_ends_the_work():
    told = []

    def on_done(done):
        told.append(done)
        if done > 0.5:
            raise KeyError

    with pytest.raises(KeyError):
        tsne(clustered_vectors(100), 0, on_done=on_done)
    assert told == sorted(told)
    assert 0 < told[0] < told[-1] < 0.6


def test_neighbours_are_those_of_a_full_comparison(monkeypatch):
    monkeypatch.setattr("hashret.insight.tsne._TILE_ROWS", 7)  # several tiles, and a last short one
    vectors = clustered_vectors(50)
    nearest, distances = _neighbours(vectors, 6, lambda done: None)
    apart = np.sqrt(np.square(vectors[:, None].astype(float) - vectors).sum(axis=2))
    np.fill_diagonal(apart, np.inf)
    assert np.allclose(distances, np.sort(apart, axis=1)[:, :6], atol=1e-3)
    assert np.allclose(np.take_along_axis(apart, nearest, axis=1), distances, atol=1e-3)


def test_the_principal_plane_has_the_widest_directions():
    rng = np.random.default_rng(0)
    vectors = rng.normal(size=(500, 5)) * [1, 9, 1, 4, 1]
    plane = principal_plane(vectors)
    assert np.abs(np.corrcoef(plane[:, 0], vectors[:, 1])[0, 1]) > 0.99
    assert np.abs(np.corrcoef(plane[:, 1], vectors[:, 3])[0, 1]) > 0.98
    assert principal_plane(np.ones((3, 1))).tolist() == [[0, 0]] * 3


def test_without_opentsne_it_is_said_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "openTSNE", None)
    with pytest.raises(MissingExtraError, match=r"hashret\[map\]"):
        tsne(clustered_vectors(20), 0)
    assert tsne(clustered_vectors(3), 0).shape == (3, 2)  # which need no library
