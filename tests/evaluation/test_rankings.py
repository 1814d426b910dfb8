"""Orders of the items: what is equal ties, wherever among the items it stands."""

import numpy as np
import pytest

from hashret.measures import TiedRanking
from hashret.sparse import SparseRows
from indexer.evaluation.rankings import by_features, by_real_values


def sparse(rows):
    owner, indices = np.nonzero(rows)
    indptr = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(rows)))])
    return SparseRows(indptr, indices.astype(np.int32), rows[owner, indices], rows.shape[1])


def sparse_features(queries, items):
    return by_features(sparse(queries), sparse(items))


@pytest.mark.parametrize("order", [by_features, by_real_values, sparse_features])
@pytest.mark.parametrize("n", [2, 5, 33, 130])
@pytest.mark.parametrize("width", [1, 7, 64])
def test_items_that_are_equal_tie(order, n, width):
    rng = np.random.default_rng(n * width)
    queries = rng.standard_normal((9, width)).astype(np.float32)
    items = np.repeat(rng.standard_normal((1, width)), n, axis=0).astype(np.float32)
    found = order(queries, items)(slice(2, 9))
    assert found.shape == (7, n)
    assert (found == found[:, :1]).all()
    relevant = np.arange(n) == np.zeros((7, 1), int)
    precision = TiedRanking.from_distances(found, relevant).precision_at(1)
    np.testing.assert_allclose(precision, 1 / n)


@pytest.mark.parametrize("repeated", [False, True])
def test_dense_orders_are_those_of_brute_force(repeated):
    rng = np.random.default_rng(0)
    queries, items = rng.standard_normal((6, 5)), rng.standard_normal((40, 5))
    if repeated:
        items = items[rng.integers(0, 12, 90)]
        items[3] *= -0.0
        items[7] = 0.0
    euclidean = np.square(queries[:, None] - items).sum(axis=2)
    cosine = (queries[:, None] * items).sum(axis=2)
    cosine = 1.0 - cosine / np.maximum(np.linalg.norm(items, axis=1), 1e-12)
    found = by_features(queries, items)(slice(0, 6)) + np.square(queries).sum(axis=1)[:, None]
    np.testing.assert_allclose(found, euclidean, atol=1e-12)
    found = by_real_values(queries, items)(slice(0, 6))
    np.testing.assert_allclose(found, cosine, atol=1e-12)
    if repeated:
        assert (found[:, 3] == found[:, 7]).all()
