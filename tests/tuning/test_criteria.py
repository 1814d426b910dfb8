"""The criteria against brute force, and against codes that are known to be good or bad."""

from types import SimpleNamespace

import numpy as np
import pytest

from hashret.codes import Codes, hamming
from hashret.sparse import SparseRows
from indexer.tuning.criteria import FloatNeighbours, Halves, agreement, shares_of_nearest
from tests.training.corpora import grouped_points, grouped_words


def random_codes(n, n_bits, seed):
    return Codes.pack(np.random.default_rng(seed).random((n, n_bits)) < 0.5)


def coder(matrix):
    """An encoder by the signs of a linear map of centred features."""

    def logits(features):
        dense = features.to_dense() if isinstance(features, SparseRows) else features
        return (dense - dense.mean(axis=0)) @ matrix

    return SimpleNamespace(
        logits=logits,
        encode=lambda features: Codes.pack(logits(features) > 0),
        confidences=lambda features, logits: 1 / (1 + np.exp(-logits)),
    )


def directions(groups, features, n_bits=16, seed=0):
    """A linear map whose signs tell the groups apart."""
    dense = features.to_dense() if isinstance(features, SparseRows) else features
    means = np.array([dense[groups == group].mean(axis=0) for group in np.unique(groups)])
    mix = np.random.default_rng(seed).standard_normal((len(means), n_bits))
    return (means - means.mean(axis=0)).T @ mix


@pytest.mark.parametrize("k", [1, 7, 50])
def test_shares_are_the_mean_over_random_orders_of_the_tied(k):
    queries, items = random_codes(6, 8, 1), random_codes(50, 8, 2)
    found = shares_of_nearest(queries, items, k)
    assert found.sum(axis=1) == pytest.approx(np.full(6, k))
    rng, counts = np.random.default_rng(0), np.zeros((6, 50))
    distances = hamming(queries, items)
    for _ in range(2000):
        order = np.argsort(distances + rng.random(distances.shape), axis=1)[:, :k]
        np.put_along_axis(counts, order, np.take_along_axis(counts, order, 1) + 1, 1)
    assert np.abs(found - counts / 2000).max() < 0.06


def test_agreement_is_one_by_sameness_and_none_by_chance():
    assert agreement(np.eye(6, dtype=np.float32), np.eye(6, dtype=np.float32)) == 1.0
    first, second = (
        shares_of_nearest(random_codes(80, 64, seed), random_codes(400, 64, 5), 20)
        for seed in (6, 7)
    )
    assert abs(agreement(first, second)) < 0.02


def test_agreement_by_hand():
    first = np.array([[1, 1, 0, 0], [0, 0, 1, 1]], np.float32)
    second = np.array([[1, 1, 0, 0], [0, 1, 1, 0]], np.float32)
    # rows agree in (2 + 1) of 4 places, others in (1 + 0) of 4
    assert agreement(first, second) == pytest.approx((0.75 - 0.25) / 0.75)


@pytest.mark.parametrize("collapsed", [1, 3])
def test_codes_in_few_buckets_gain_nothing_by_agreeing(collapsed):
    """All in one bucket; or in a few that have nothing to do with the item."""
    queries = Codes.pack(np.zeros((40, 8), bool))
    items = Codes.pack(np.arange(200)[:, None] % collapsed == np.zeros((1, 8)))
    near = shares_of_nearest(queries, items, 20)
    assert agreement(near, near) == pytest.approx(0.0, abs=1e-6)


def test_every_word_is_in_one_half():
    features, held = grouped_words(50)[0], grouped_words(100, seed=1)[0]
    halves = Halves.of(features, held, np.random.default_rng(0))
    words = [half.to_dense() > 0 for half in (halves.first, halves.second)]
    assert ((words[0] ^ words[1]) == (held.to_dense() > 0)).all()


def test_codes_that_tell_groups_apart_are_better_than_random_ones():
    rng = np.random.default_rng(0)
    features, groups = grouped_words(500)
    halves = Halves.of(features, grouped_words(100, seed=1)[0], rng)
    width = features.shape[1]
    good = halves(coder(directions(groups, features)))
    poor = halves(coder(rng.standard_normal((width, 16))))
    none = halves(coder(np.zeros((width, 16))))
    assert good > max(0.01, 1.5 * poor)
    assert none == pytest.approx(0.0, abs=1e-6)


def test_of_vectors_it_is_the_recall_of_float_neighbours():
    features, _ = grouped_points(400)
    asked, _ = grouped_points(50, seed=0)
    criterion = FloatNeighbours(features, asked)
    rng = np.random.default_rng(0)
    many = criterion(coder(rng.standard_normal((24, 128))))
    few = criterion(coder(rng.standard_normal((24, 8))))
    assert 1.0 > many > few > 0.0
