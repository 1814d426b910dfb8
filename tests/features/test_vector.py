"""Vectors as features: validated, centred, scaled, geometry kept."""

import numpy as np
import pytest

from hashret.errors import EmptyCorpusError, PayloadError
from hashret.features.vector import VectorFeaturizer
from hashret.specs import VectorSpec

SPEC = VectorSpec(n_features=6)


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
