"""Errors against brute force, and p-values that are what conformal prediction promises."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hashret.outliers.usual import FEWEST, NEAREST, Usual, discoveries
from hashret.outliers.views import Sight, View, counted
from hashret.sparse import SparseRows

NONE = np.full(1, -1)


def sparse(dense):
    """The same rows, of which only what is not 0 is stored."""
    rows, columns = np.nonzero(dense)
    indptr = np.concatenate([[0], np.cumsum(np.count_nonzero(dense, axis=1))])
    values = dense[rows, columns].astype(np.float32)
    return SparseRows(indptr, columns.astype(np.int32), values, dense.shape[1])


def brute_error(views, own):
    """The geometric mean over views of the mean squared distance to the ten nearest of the rest."""
    means = []
    for rows in views:
        distances = np.square(np.delete(rows, own, axis=0) - rows[own]).sum(axis=1)
        means.append(np.sort(distances)[:NEAREST].mean())
    return float(np.exp(np.mean(np.log(means))))


@given(seed=st.integers(0, 1 << 30), n=st.integers(FEWEST, 40), n_views=st.integers(1, 2))
@settings(max_examples=25)
def test_errors_and_p_values_against_brute_force(seed, n, n_views):
    """A new item's p-value is its rank among all, each measured against all others."""
    rng = np.random.default_rng(seed)
    every = [rng.normal(size=(n + 1, 3)) * (1 + v) for v in range(n_views)]
    usual = Usual([View(rows[1:].astype(np.float32)) for rows in every])
    new = [View(rows[:1].astype(np.float32)) for rows in every]
    errors, p_values = usual.judged(new, NONE)
    brute = [brute_error(every, i) for i in range(n + 1)]
    assert p_values[0] == pytest.approx(sum(e >= brute[0] for e in brute) / (n + 1))
    of_usual = [brute_error([rows[1:] for rows in every], i) for i in range(n)]
    assert errors[0] == pytest.approx(brute[0] / np.median(of_usual), rel=1e-3)


def test_p_values_of_a_bag_are_each_rank_once():
    """Whichever of a bag is the new one: over all of them the p-values are 1/n, 2/n, ..., 1."""
    rows = np.random.default_rng(1).normal(size=(60, 4)).astype(np.float32)
    p_values = [
        float(Usual([View(np.delete(rows, i, 0))]).judged([View(rows[i : i + 1])], NONE)[1][0])
        for i in range(60)
    ]
    assert np.allclose(np.sort(p_values), np.arange(1, 61) / 60)


def test_p_values_of_new_inliers_are_uniform():
    """The greatest gap to the uniform distribution is that of so many draws, not more."""
    rng = np.random.default_rng(2)
    usual = Usual([View(rng.normal(size=(500, 5)).astype(np.float32))])
    new = View(rng.normal(size=(400, 5)).astype(np.float32))
    p_values = np.sort(usual.judged([new], np.full(400, -1))[1])
    gap = np.abs(p_values - np.arange(1, 401) / 400).max()
    assert gap < 1.63 / np.sqrt(400) + 1.63 / np.sqrt(500)  # Kolmogorov and Smirnov, at 1 %


def test_a_usual_item_is_not_compared_with_itself():
    rng = np.random.default_rng(3)
    rows = rng.normal(size=(30, 4)).astype(np.float32)
    usual = Usual([View(rows)])
    errors, p_values = usual.judged([View(rows)], np.arange(30))
    assert np.array_equal(np.sort(p_values), np.arange(1, 31) / 30)
    as_new = usual.errors([View(rows)], np.full(30, -1))
    assert (as_new < errors).all()  # it is its own nearest


def test_ties_count_as_as_far():
    """Of items that are all alike every one has the p-value 1."""
    rows = np.ones((20, 3), np.float32)
    usual = Usual([View(rows)])
    assert usual.judged([View(rows[:1])], NONE)[1][0] == 1.0
    assert (usual.judged([View(rows)], np.arange(20))[1] == 1.0).all()
    far = np.full((1, 3), 50.0, np.float32)
    assert usual.judged([View(far)], NONE)[1][0] == pytest.approx(1 / 21)


def test_words_are_weighted_by_rarity_and_of_unit_length():
    rng = np.random.default_rng(4)
    dense = rng.random((30, 12)) * (rng.random((30, 12)) < 0.4)
    dense[:, 0] = 1.0  # a word of every text tells little
    usual, new = dense[1:], dense[:1]
    weights = np.log(30 / np.maximum(np.count_nonzero(usual, axis=0), 1))
    unit = [rows * weights for rows in (new, usual)]
    unit = [rows / np.linalg.norm(rows, axis=1, keepdims=True) for rows in unit]
    sight = Sight(sparse(usual))
    (left,), (right,) = sight.views(sparse(new)), sight.views(sparse(usual))
    expected = np.square(unit[0][:, None] - unit[1][None]).sum(axis=2)
    assert np.allclose(left.distances(right), expected, atol=1e-5)


def test_a_text_without_a_known_word_is_as_far_as_can_be():
    rng = np.random.default_rng(5)
    usual = sparse(rng.random((30, 12)) * (rng.random((30, 12)) < 0.4) + np.eye(30, 12))
    sight = Sight(usual)
    nothing = sight.views(sparse(np.zeros((1, 12))))
    assert np.allclose(nothing[0].distances(sight.views(usual)[0]), 2.0)
    assert Usual(sight.views(usual)).judged(nothing, NONE)[1][0] == pytest.approx(1 / 31)


def test_tokens_and_pairs_of_them_are_counted():
    """The same tokens in another order are near, and not the same; 0 is an unknown one."""
    steps = np.array([[1, 2, 2, 3], [1, 2, 2, 3], [3, 2, 1, 2], [4, 4, 0, 5]], np.float32)
    rows = SparseRows(
        np.arange(0, 17, 4), np.tile(np.arange(4, dtype=np.int32), 4), steps.ravel(), 4
    )
    found = counted(rows)
    assert found.nnz_per_row.tolist() == [6, 6, 6, 3]
    assert np.sort(found.values[:6]) == pytest.approx([1, 1, 1, 1, 1, 1 + np.log(2)])
    (view,) = Sight(rows, compared=counted).views(rows)
    distances = view.distances(view)
    assert distances[0, 1] == pytest.approx(0.0, abs=1e-5)
    assert 0.1 < distances[0, 2] < 2.0
    assert distances[0, 3] == pytest.approx(2.0, abs=1e-5)


@given(st.lists(st.floats(0.001, 1.0), max_size=30), st.floats(0.01, 0.9))
def test_discoveries_are_those_of_benjamini_and_hochberg(p_values, share):
    p = np.array(p_values)
    most = 0.0
    for at in p_values:
        if at <= share * np.count_nonzero(p <= at) / len(p):
            most = max(most, at)
    assert np.array_equal(discoveries(p, share), p <= most)


def test_the_share_of_false_discoveries_is_what_was_asked():
    """On the average of many draws of usual and new items; the others are far away."""
    rng, share, shares = np.random.default_rng(6), 0.2, []
    for _ in range(60):
        usual = Usual([View(rng.normal(size=(100, 3)).astype(np.float32))])
        new = rng.normal(size=(25, 3)).astype(np.float32)
        new[20:] += 30
        found = discoveries(usual.judged([View(new)], np.full(25, -1))[1], share)
        assert found[20:].all()
        shares.append(np.count_nonzero(found[:20]) / np.count_nonzero(found))
    assert np.mean(shares) < share * 20 / 25 + 3 * np.std(shares) / np.sqrt(60)
    assert np.mean(shares) > 0.05  # it is a share, not nothing
