"""Distances of near and of random pairs, and the radius that they suggest."""

import numpy as np
import pytest

from hashret import Collection, Item
from hashret.codes import hamming
from hashret.insight.pairs import Distances, distances
from indexer import Indexer, TrainingOptions


def shares(**at):
    found = np.zeros(17)
    for distance, share in at.items():
        found[int(distance[1:])] = share
    return found


@pytest.mark.parametrize(
    ("near", "random", "radius", "crossing", "said"),
    [
        (shares(d0=0.6, d2=0.4), shares(d8=1.0), 2, 2, "Use --radius 2: within 2 bits lie 100%"),
        (shares(d0=0.6, d5=0.4), shares(d2=0.02, d8=0.98), 1, 5, "within 1 bit lie 60%"),
        (shares(d0=0.1, d5=0.9), shares(d0=0.005, d4=0.5, d8=0.495), 3, 5, "misses many"),
        (shares(d0=1.0), shares(d0=1.0), 0, 0, "Use --radius 0"),
    ],
)
def test_the_radius_holds_near_pairs_and_few_random_ones(near, random, radius, crossing, said):
    found = Distances(near, random, True, 1000)
    assert (found.radius, found.crossing) == (radius, crossing)
    assert said in str(found)


def test_distances_are_those_of_all_pairs(topics):
    found = distances(topics)
    apart = hamming(topics.codes, topics.codes)
    pairs = apart[np.triu_indices(len(apart), 1)]
    exact = np.bincount(pairs, minlength=17) / len(pairs)
    assert np.abs(found.random - exact).max() < 0.01
    assert found.by_features
    assert found.near.sum() == pytest.approx(1)
    mean = np.arange(17)
    assert (found.near * mean).sum() < (found.random * mean).sum() - 2


def test_near_pairs_are_those_of_codes_where_no_features_are_stored(tmp_path):
    rng = np.random.default_rng(0)
    with Indexer(tmp_path / "c", "vector") as indexer:
        items = [Item(str(i), vector) for i, vector in enumerate(rng.normal(size=(40, 8)))]
        indexer.fit(items, TrainingOptions(n_bits=16))
        indexer.add(items)
        indexer.commit()
    with Collection.open(tmp_path / "c") as collection:
        found = distances(collection)
        apart = hamming(collection.codes, collection.codes).astype(int) + 99 * np.eye(40, dtype=int)
        nearest = np.sort(apart, axis=1)[:, :10].ravel()
        assert np.allclose(found.near, np.bincount(nearest, minlength=17) / len(nearest))
        assert not found.by_features
