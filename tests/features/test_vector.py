"""Vectors as features: validated, centred, scaled, geometry kept."""

import numpy as np
import pytest

from hashret.errors import EmptyCorpusError, PayloadError
from hashret.features.vector import VectorFeaturizer
from hashret.specs import VectorSpec

SPEC = VectorSpec(n_features=6, metric="euclidean")
COSINE = VectorSpec(n_features=6)


def test_centred_scaled_and_independent_of_the_batch():
    rng = np.random.default_rng(0)
    vectors = list((rng.normal(size=(50, 6)) * 7 + 3).astype(np.float32))
    fitted = VectorFeaturizer.fit(vectors, SPEC)
    features = fitted.transform(vectors)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    assert features.std() == pytest.approx(1, abs=1e-4)
    for i, vector in enumerate(vectors):
        np.testing.assert_array_equal(fitted.transform([vector])[0], features[i])
    # one scale for all: ratios of distances stay
    before, after = np.stack(vectors), features
    ratio = np.linalg.norm(before[1:] - before[0], axis=1) / np.linalg.norm(
        after[1:] - after[0], axis=1
    )
    np.testing.assert_allclose(ratio, ratio[0], rtol=1e-4)
    again = VectorFeaturizer.from_tensors(SPEC, fitted.tensors())
    np.testing.assert_array_equal(again.transform(vectors), features)


def test_by_cosine_the_length_says_nothing_and_distances_order_as_cosine():
    rng = np.random.default_rng(0)
    vectors = list((rng.normal(size=(50, 6)) + 1).astype(np.float32))
    fitted = VectorFeaturizer.fit(vectors, COSINE)
    features = fitted.transform(vectors)
    np.testing.assert_allclose(features.mean(axis=0), 0, atol=1e-5)
    longer = [vector * np.float32(length) for length, vector in enumerate(vectors, 1)]
    np.testing.assert_allclose(fitted.transform(longer), features, atol=1e-5)
    for i, vector in enumerate(vectors):
        np.testing.assert_array_equal(fitted.transform([vector * np.float32(4)])[0], features[i])
    stacked = np.stack(vectors)
    unit = stacked / np.linalg.norm(stacked, axis=1, keepdims=True)
    cosine = unit @ unit[0]
    distance = np.linalg.norm(features - features[0], axis=1)
    np.testing.assert_allclose(
        distance**2 / distance[1] ** 2, (1 - cosine) / (1 - cosine[1]), atol=1e-4
    )
    extreme = np.array([[1e-38, 0, 0, 0, 0, 1e-38], [1e18, 0, 0, 0, 0, 1e18]], np.float32)
    np.testing.assert_array_equal(*fitted.transform(list(extreme)))


@pytest.mark.parametrize("n_features", [1, 96, 1536, 70_000])
def test_the_length_of_a_wide_vector_is_exact_in_any_order(n_features):
    rng = np.random.default_rng(n_features)
    vector = rng.normal(size=n_features).astype(np.float32)
    spec, order = VectorSpec(n_features=n_features), rng.permutation(n_features)
    fitted = VectorFeaturizer(spec, np.zeros(n_features, np.float32), 1.0)
    features = fitted.transform([vector])[0]
    np.testing.assert_array_equal(fitted.transform([vector[order]])[0], features[order])
    assert np.linalg.norm(features) == pytest.approx(1, abs=1e-4)


def test_an_unknown_metric_is_refused():
    with pytest.raises(ValueError, match="metric: expected cosine or euclidean, got 'dot'"):
        VectorSpec(metric="dot")


@pytest.mark.parametrize(
    "payload",
    [
        np.ones(5, np.float32),
        np.ones((1, 6), np.float32),
        [1, 2, 3, 4, 5, float("nan")],
        [1, 2, 3, 4, 5, float("inf")],
        [1e300] * 6,
        np.zeros(6),
        "vector",
        None,
    ],
)
def test_what_is_no_vector(payload):
    with pytest.raises(PayloadError):
        VectorFeaturizer.prepare(payload, SPEC)


def test_no_vectors():
    with pytest.raises(EmptyCorpusError):
        VectorFeaturizer.fit([], SPEC)
    assert VectorFeaturizer.suggest_spec([np.ones(9)]).n_features == 9
