"""Neighbourhoods against brute force."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.training.neighbours import neighbourhoods
from indexer.training.neighbours.neighbourhoods import find_neighbourhoods
from indexer.training.neighbours.similarities import (
    cosine_points,
    euclidean_points,
    latent_points,
    mixed_points,
    similarities,
)
from indexer.training.neighbours.term_weighting import l2_normalised, weighted
from tests.training.corpora import grouped_points, grouped_words


def rng(seed=0):
    return np.random.default_rng(seed)


@settings(deadline=None, max_examples=25)
@given(st.integers(2, 60), st.integers(1, 80), st.integers(0, 999))
def test_the_nearest_points_are_those_of_brute_force(n, width, seed):
    points = np.random.default_rng(seed).standard_normal((n, 5)).astype(np.float32)
    near = find_neighbourhoods(euclidean_points(points, rng()), width, rng())
    width = min(width, n - 1)
    assert near.members.shape == (n, width)
    distances = np.linalg.norm(points[:, None].astype(float) - points[None], axis=2)
    np.fill_diagonal(distances, np.inf)
    for row in range(n):
        members = near.members[row]
        assert len(set(members)) == width
        assert row not in members
        worst = np.sort(distances[row])[width - 1]
        assert (distances[row, members] <= worst + 1e-4).all()


def test_tiles_change_nothing(monkeypatch):
    points, _ = grouped_points(90)
    whole = find_neighbourhoods(euclidean_points(points, rng()), 7, rng()).members
    monkeypatch.setattr(neighbourhoods, "_TILE_ROWS", 13)
    seen = []
    tiled = find_neighbourhoods(euclidean_points(points, rng()), 7, rng(), seen.append).members
    assert [set(row) for row in tiled] == [set(row) for row in whole]
    assert seen == [*range(13, 90, 13), 90]


def test_a_wide_neighbourhood_keeps_a_random_part_of_its_members(monkeypatch):
    monkeypatch.setattr(neighbourhoods, "MOST_MEMBERS", 5)
    points, _ = grouped_points(80)
    space = euclidean_points(points, rng())
    kept = find_neighbourhoods(space, 20, rng()).members
    monkeypatch.setattr(neighbourhoods, "MOST_MEMBERS", 100)
    all_of_them = find_neighbourhoods(space, 20, rng()).members
    assert kept.shape == (80, 5)
    assert all(set(few) < set(many) for few, many in zip(kept, all_of_them, strict=True))
    ranks = [np.isin(many, few) for few, many in zip(kept, all_of_them, strict=True)]
    assert np.sum(ranks, axis=0).max() < 80 * 0.7  # not always the same places


def test_a_large_corpus_is_searched_in_a_sample_of_it(monkeypatch):
    monkeypatch.setattr(neighbourhoods, "EXACT_ITEMS", 40)
    points, groups = grouped_points(400)
    near = find_neighbourhoods(euclidean_points(points, rng()), 50, rng())
    assert near.members.shape == (400, 5)  # 50 of 400 is 5 of 40
    assert len(np.unique(near.members)) <= 40
    assert not (near.members == np.arange(400)[:, None]).any()
    assert (groups[near.members] == groups[:, None]).mean() > 0.8


def test_latent_points_sum_the_cosines_of_topics_and_themes():
    rows, groups = grouped_words(60)
    everyone = np.arange(60)
    weights = np.random.default_rng(0).uniform(1.0, 2.0, rows.n_features)
    words = l2_normalised(weighted(rows, weights)).to_dense()
    # with as many latent directions as rows the latent coordinates keep all products
    left, scale, _ = np.linalg.svd(words, full_matrices=False)
    themes = (left * scale)[:, :24]
    themes /= np.linalg.norm(themes, axis=1, keepdims=True)
    points = latent_points(rows, weights, rng())
    found = similarities(points, everyone, everyone)
    assert found == pytest.approx(words @ words.T + themes @ themes.T, abs=2e-3)
    near = find_neighbourhoods(points, 5, rng())
    assert (groups[near.members] == groups[:, None]).mean() > 0.8


def test_mixed_points_weigh_their_parts_alike():
    rows, _ = grouped_points(50)
    everyone = np.arange(50)
    parts = [cosine_points(rows), euclidean_points(7.0 * rows[::-1], rng())]
    mixed = mixed_points(*parts, rng())  # few items: the scale is that of all of them
    similar = [similarities(part, everyone, everyone) for part in parts]
    expected = sum(part / part.std() for part in similar)
    assert similarities(mixed, everyone, everyone) == pytest.approx(expected, abs=1e-3)


def test_draws_come_from_the_members_and_vary():
    points, _ = grouped_points(30)
    near = find_neighbourhoods(euclidean_points(points, rng()), 6, rng())
    drawn = near.draw(np.array([4, 9]), 200, rng())
    assert drawn.shape == (2, 200)
    assert [set(row) for row in drawn] == [set(near.members[4]), set(near.members[9])]


def test_items_all_alike_have_neighbourhoods_too():
    near = find_neighbourhoods(euclidean_points(np.ones((5, 3), np.float32), rng()), 2, rng())
    assert not (near.members == np.arange(5)[:, None]).any()
