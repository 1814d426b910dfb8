"""What neighbours differ by counts for little, and what sets groups apart counts for much."""

import numpy as np
import pytest

from indexer.training.neighbours import relevant_components
from indexer.training.neighbours.relevant_components import (
    neighbours_differ_much,
    relevant_coordinates,
)


def rng(seed=0):
    return np.random.default_rng(seed)


def unit(rows):
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def nearest(rows, count):
    products = unit(rows.astype(np.float64)) @ unit(rows.astype(np.float64)).T
    np.fill_diagonal(products, -np.inf)
    return np.argsort(-products, axis=1)[:, :count]


def groups_in_noise(n=400, n_groups=5):
    """Groups in six directions, and twelve of noise in which items differ more."""
    kinds = np.arange(n) % n_groups
    centres = 2.0 * rng(1).standard_normal((n_groups, 6))
    tells = centres[kinds] + rng(2).standard_normal((n, 6))
    rows = np.hstack([tells, 3.0 * rng(3).standard_normal((n, 12))])
    return (rows - rows.mean(axis=0)).astype(np.float32), kinds


def less_noisy(rows):
    return np.hstack([rows[:, :6], 0.3 * rows[:, 6:]])


def purity(rows, kinds):
    return (kinds[nearest(rows, 10)] == kinds[:, None]).mean()


def test_groups_are_found_where_most_of_what_differs_is_noise():
    rows, kinds = groups_in_noise()
    found = relevant_coordinates(rows, less_noisy(rows), 4, rng())
    assert purity(found, kinds) > purity(rows, kinds) + 0.2
    assert np.linalg.norm(found, axis=1) == pytest.approx(np.ones(len(rows)), abs=1e-5)


@pytest.mark.parametrize(("n", "width"), [(59, 1), (130, 4), (400, 8)])
@pytest.mark.parametrize("count", [3, 18, 30])
def test_directions_are_those_of_the_definition(n, width, count):
    """The greatest ratio of what all differ by to what neighbours differ by, one after the other."""
    rows, _ = groups_in_noise(n)
    alike = rows[:, :8]
    found = relevant_coordinates(rows, alike, count, rng())
    exact = rows.astype(np.float64)
    differences = np.concatenate([exact - exact[near] for near in nearest(alike, width).T])
    between = differences.T @ differences / (2.0 * len(differences))
    between += (0.03 * np.trace(between) / 18 + 1e-9) * np.eye(18)
    lower = np.linalg.inv(np.linalg.cholesky(between))
    values, directions = np.linalg.eigh(lower @ (exact.T @ exact / n) @ lower.T)
    expected = unit(exact @ lower.T @ directions[:, np.argsort(-values)[:count]])
    assert found.shape == expected.shape
    assert found.dtype == np.float32
    assert np.abs(found @ found.T - expected @ expected.T).max() < 1e-4


def test_a_sample_tells_the_directions_of_all(monkeypatch):
    rows, kinds = groups_in_noise()
    monkeypatch.setattr(relevant_components, "_SAMPLED", 150)
    found = relevant_coordinates(rows, less_noisy(rows), 4, rng())
    assert len(found) == 400
    assert purity(found, kinds) > purity(rows, kinds) + 0.2


@pytest.mark.parametrize("n", [2, 3, 40])
def test_few_items_and_items_all_alike_have_finite_coordinates(n):
    for rows in (np.zeros((n, 5), np.float32), rng().standard_normal((n, 5)).astype(np.float32)):
        found = relevant_coordinates(rows, rng(1).standard_normal((n, 5)), 60, rng())
        assert found.shape == (n, 5)
        assert np.isfinite(found).all()


def test_neighbours_that_are_much_alike_are_left_as_they_are():
    kinds = np.arange(300) % 10
    rows = 2.0 * rng(1).standard_normal((10, 8))[kinds] + 0.1 * rng(2).standard_normal((300, 8))
    rows = (rows - rows.mean(axis=0)).astype(np.float32)
    assert not neighbours_differ_much(rows, rows, rng())
    assert neighbours_differ_much(rows, rng(3).standard_normal((300, 8)), rng())
