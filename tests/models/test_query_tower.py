"""A query's weights of the bits: what they are, and that they depend on the query alone."""

import dataclasses
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hashret import specs
from hashret.codes import Codes
from hashret.errors import DamagedError, PayloadError
from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import clamp_for, to_grid
from hashret.models.query_tower import QueryTower
from hashret.rank import expected_agreement
from tests.models.encoders import as_sparse, random_encoder

pytestmark = pytest.mark.usefixtures("kernels")


def towered(n_features=12, n_bits=16, seed=0):
    rng = np.random.default_rng(seed)
    plain = random_encoder((n_features, 9, n_bits), seed)
    weight = to_grid(rng.standard_normal((n_features, n_bits)))
    bias = to_grid(rng.standard_normal(n_bits))
    clamp = clamp_for(weight, bias)
    spec = dataclasses.replace(plain.spec, query_clamp=clamp)
    tensors = plain.tensors() | {"query.weight": weight.astype(np.float32), "query.bias": bias}
    return DenseEncoder.from_tensors(spec, tensors), weight, bias


@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_confidences_do_not_depend_on_their_company_or_form(seed, n):
    encoder, _, _ = towered(seed=seed % 7)
    features = np.random.default_rng(seed).standard_normal((n, 12)).astype(np.float32)
    together = encoder.confidences(features, encoder.logits(features))
    order = np.random.default_rng(seed).permutation(n)
    shuffled = encoder.confidences(features[order], encoder.logits(features[order]))
    np.testing.assert_array_equal(shuffled, together[order])
    for row in range(n):
        alone = features[row : row + 1]
        np.testing.assert_array_equal(encoder.confidences(alone, None)[0], together[row])
    np.testing.assert_array_equal(encoder.confidences(as_sparse(features), None), together)


def test_the_score_is_the_share_of_the_query_s_weight_that_a_code_has():
    encoder, weight, bias = towered()
    rng = np.random.default_rng(1)
    features = rng.standard_normal((5, 12)).astype(np.float32)
    codes = Codes.pack(rng.random((30, 16)) < 0.5)
    signs = 2.0 * codes.bits - 1.0
    weights = features * encoder.spec.input_scale @ weight + bias
    for row, confidences in enumerate(encoder.confidences(features, encoder.logits(features))):
        agreed = np.where(signs * weights[row] > 0, np.abs(weights[row]), 0).sum(axis=1)
        expected = agreed / np.abs(weights[row]).sum()
        np.testing.assert_allclose(expected_agreement(confidences, codes), expected, atol=1e-3)
        best = Codes.pack(weights[row : row + 1] > 0)
        assert expected_agreement(confidences, best)[0] == pytest.approx(1.0, abs=1e-6)


def test_without_weight_there_is_no_opinion():
    tower = QueryTower(np.zeros((4, 8), np.float32), np.zeros(8), 16.0)
    np.testing.assert_array_equal(tower.confidences(np.ones((2, 4))), 0.5)


def test_without_a_tower_confidences_are_probabilities():
    encoder = random_encoder((6, 8))
    features = np.random.default_rng(0).standard_normal((3, 6)).astype(np.float32)
    logits = encoder.logits(features)
    np.testing.assert_array_equal(
        encoder.confidences(features, logits), encoder.probabilities(logits)
    )


def test_it_comes_back_as_it_was_kept_or_is_called_damaged():
    encoder, _, _ = towered()
    spec = specs.from_json(json.loads(json.dumps(specs.to_json(encoder.spec))))
    assert spec == encoder.spec
    tensors = encoder.tensors()
    del tensors["query.bias"]
    with pytest.raises(DamagedError, match=r"query\.bias"):
        DenseEncoder.from_tensors(spec, tensors)
    with pytest.raises(PayloadError, match="expected"):
        encoder.confidences(np.ones((1, 11), np.float32), np.ones((1, 16)))
