"""Codes of vectors: what they keep of the floats, against what they start from, and odd corpora."""

import dataclasses
import math

import numpy as np
import pytest
import torch

from hashret.codes import Codes
from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import UNITS
from indexer.training import TrainingOptions, train
from indexer.training.networks.bottleneck import sign
from indexer.training.networks.two_towers import TwoTowers, export_towers
from indexer.training.presets import PRESETS, Preset
from indexer.training.recipe import TowersRecipe
from indexer.training.vectors import towers
from indexer.training.vectors.itq import itq_projection, itq_rotation, principal_directions
from indexer.training.vectors.towers import (
    NearFloats,
    cross_entropy,
    held_out_recall,
    similarities,
    temperature_for,
)
from tests.models.encoders import random_sparse
from tests.training.watchers import Steps

QUICK = TrainingOptions(n_bits=16, seed=3, device="cpu")


@pytest.fixture(autouse=True, scope="module")
def small_recipe():
    """The recipe with small blocks and few steps: the same code, quickly."""
    with pytest.MonkeyPatch.context() as patch:
        small = TowersRecipe(hidden=64, steps=120, block=256, queries=128, perplexity=8.0)
        patch.setitem(PRESETS["vector"], "towers", Preset("towers", small))
        yield small


def curved(n: int, seed: int = 0, n_features: int = 32) -> np.ndarray:
    """Points near a curved surface of 6 dimensions in `n_features`, off centre."""
    rng = np.random.default_rng(seed)
    maps = np.random.default_rng(99)
    hidden = rng.standard_normal((n, 6)) @ maps.standard_normal((6, 48))
    points = np.tanh(hidden) @ maps.standard_normal((48, n_features)) + 0.5
    return (points + 0.1 * rng.standard_normal(points.shape)).astype(np.float32)


def without_learning(features: np.ndarray, options: TrainingOptions) -> DenseEncoder:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(towers, "_LEAST", 10**9)
        encoder, report = train(features, "vector", options)
    assert [stage.stage for stage in report.stages] == ["rotate"]
    return encoder


def test_learned_codes_keep_more_of_the_floats_than_the_rotation_they_start_from():
    items, queries = curved(1500), curved(300, seed=1)
    gains, n_kept = [], 0
    for seed in range(4):  # what one training gains is up to its seed, and to the processor
        options = dataclasses.replace(QUICK, seed=seed)
        first = without_learning(items, options)
        rotated = held_out_recall(first, queries, items)
        encoder, report = train(items, "vector", options)
        learned = held_out_recall(encoder, queries, items)
        gains.append(np.subtract(learned, rotated))
        assert learned[0] > learned[1]
        codes = encoder.encode(items)
        if not np.array_equal(codes.packed, first.encode(items).packed):  # else it did not pay
            n_kept += 1
            stages = {stage.stage: stage for stage in report.stages}
            assert stages["learn"].recall > stages["rotate"].recall
            assert stages["learn"].n_distinct == codes.n_distinct()
        assert report.options.preset == "towers"
        assert not report.warnings
    assert n_kept >= 2
    by_weights, by_distance = np.mean(gains, axis=0)
    assert by_weights > 0.01
    assert by_distance > 0


def test_the_rotation_is_kept_where_learning_did_harm(monkeypatch):
    items = curved(400)
    wild = TowersRecipe(hidden=8, steps=3, block=200, learning_rate=1e4)
    monkeypatch.setitem(PRESETS["vector"], "towers", Preset("towers", wild))
    monkeypatch.setattr(towers, "_LARGEST_RATE", 5.0)
    encoder, report = train(items, "vector", QUICK)
    recall = {stage.stage: stage.recall for stage in report.stages}
    assert recall["learn"] < recall["rotate"]
    rotated = without_learning(items, QUICK)
    assert np.array_equal(encoder.encode(items).packed, rotated.encode(items).packed)


def test_the_same_seed_gives_the_same_bits_and_another_seed_others():
    items = curved(300)
    state = torch.random.get_rng_state()
    first, _ = train(items, "vector", QUICK)
    torch.rand(3)  # global state must not matter
    again, _ = train(items, "vector", QUICK)
    torch.random.set_rng_state(state)
    for name, tensor in first.tensors().items():
        assert np.array_equal(tensor, again.tensors()[name])
    other, _ = train(items, "vector", dataclasses.replace(QUICK, seed=4))
    assert not np.array_equal(other.encode(items).packed, first.encode(items).packed)


@pytest.mark.parametrize("n", [2, 3, 19, 25, 120])
@pytest.mark.parametrize("n_bits", [8, 64])
def test_small_corpora_and_more_bits_than_items(n, n_bits):
    items = curved(n)
    encoder, report = train(items, "vector", dataclasses.replace(QUICK, n_bits=n_bits))
    codes = encoder.encode(items)
    assert codes.n_bits == n_bits
    assert codes.n_distinct() > 1
    assert report.n_items == n
    assert np.isfinite(encoder.confidences(items, encoder.logits(items))).all()


def test_more_bits_than_features_look_along_different_directions():
    items = curved(500, n_features=6)
    recalls = []
    for n_bits in (8, 64):
        encoder, _ = train(items, "vector", dataclasses.replace(QUICK, n_bits=n_bits))
        bits = encoder.encode(items).bits
        assert len(np.unique(bits, axis=1).T) > 0.8 * n_bits
        recalls.append(held_out_recall(encoder, curved(100, 1, 6), items)[0])
    assert recalls[1] > recalls[0] + 0.2


@pytest.mark.parametrize("value", [0.0, 1.0])
def test_items_all_alike_are_a_warning_and_have_one_code(value):
    items = np.full((60, 5), value, np.float32)
    encoder, report = train(items, "vector", QUICK)
    assert encoder.encode(items).n_distinct() == 1
    assert report.warnings == [
        "items: all are the same, so all have the same code; add different ones"
    ]


def test_extreme_features_are_learned():
    items = curved(100)
    items[:, 0] *= np.float32(30)
    assert train(items, "vector", QUICK)[0].encode(items).n_distinct() > 20
    items = curved(100)
    items[3] = np.float32(3e38)  # all else rounds to nothing beside it
    encoder, report = train(items, "vector", QUICK)
    assert encoder.encode(items[3:5]).n_distinct() == 2
    assert "collapsed" in report.warnings[0]


def test_options_that_mean_nothing_here_are_refused():
    with pytest.raises(ValueError, match="rounds: expected none"):
        train(curved(30), "vector", dataclasses.replace(QUICK, rounds=2))
    with pytest.raises(TypeError, match="dense array"):
        train(random_sparse(30, 20), "vector", QUICK)


def test_epochs_and_neighbours_are_the_callers_choice():
    items, watcher = curved(300), Steps()
    options = dataclasses.replace(QUICK, epochs=2, neighbours=30)
    _, first = train(items, "vector", options, watchers=[watcher])
    assert [call[1:3] for call in watcher.calls if call[0] == "learn"] == [(1, 2), (2, 2)]
    _, other = train(items, "vector", dataclasses.replace(options, neighbours=3))
    assert other.stages[-1].loss < first.stages[-1].loss - 0.5  # fewer neighbours: less entropy


# what training is made of


def test_itq_rotates_to_the_corners_of_a_cube():
    rng = np.random.default_rng(0)
    corners = np.where(rng.random((600, 5)) < 0.5, -1.0, 1.0) + 0.1 * rng.standard_normal((600, 5))
    hidden = corners @ np.linalg.qr(rng.standard_normal((5, 5)))[0]
    rotation = itq_rotation(hidden, rng)
    np.testing.assert_allclose(rotation @ rotation.T, np.eye(5), atol=1e-10)

    def error(rotated):
        return np.square(rotated - np.where(rotated > 0, 1.0, -1.0)).mean()

    assert error(hidden @ rotation) < 0.6 * error(hidden)
    directions = principal_directions(hidden * [9, 1, 1, 1, 1] - hidden.mean(axis=0), 2)
    np.testing.assert_allclose(directions.T @ directions, np.eye(2), atol=1e-10)
    assert abs(directions[0, 0]) > 0.99
    frame = itq_projection(hidden - hidden.mean(axis=0), 20, rng)
    np.testing.assert_allclose(frame @ frame.T, np.eye(5), atol=1e-10)  # a tight frame


def test_the_temperature_gives_the_perplexity_asked_for():
    block = torch.from_numpy(curved(200))
    near = similarities(block[:50], block)
    for perplexity in (2.0, 8.0, 50.0):
        share = torch.softmax(near / temperature_for(near, perplexity), dim=1)
        entropy = torch.special.entr(share).sum(dim=1).mean()
        assert float(entropy.exp()) == pytest.approx(perplexity, rel=0.01)
        assert not share.diagonal().any()


def test_the_cross_entropy_is_least_where_scores_order_as_the_floats():
    block = torch.from_numpy(curved(60))
    near = similarities(block[:20], block)
    share = torch.softmax(near, dim=1)
    best = float(cross_entropy(share, near.nan_to_num(neginf=7.0)))  # oneself is left out
    entropy = float(torch.special.entr(share).sum(dim=1).mean())
    assert best == pytest.approx(entropy, abs=1e-4)
    assert float(cross_entropy(share, -near.nan_to_num(neginf=7.0))) > best + 1.0


def test_bits_are_rounded_and_their_gradient_is_that_of_tanh():
    logits = torch.tensor([-2.0, -0.1, 0.0, 0.3], requires_grad=True)
    bits = sign(logits)
    assert bits.tolist() == [-1.0, -1.0, -1.0, 1.0]
    bits.sum().backward()
    expected = [1.0 - math.tanh(x) ** 2 for x in (-2.0, -0.1, 0.0, 0.3)]
    assert logits.grad.tolist() == pytest.approx(expected, abs=1e-6)


def test_the_loss_reaches_both_towers():
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    network = TwoTowers(rng.standard_normal((32, 8)), np.zeros(8), 16, generator)
    NearFloats(network, 20, 0.5, 0.1)(torch.from_numpy(curved(60))).backward()
    for name, parameter in network.named_parameters():
        if not name.startswith("inner"):  # the shallow network starts at zero
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_what_is_exported_is_what_was_trained():
    generator = torch.Generator().manual_seed(0)
    rng = np.random.default_rng(0)
    network = TwoTowers(rng.standard_normal((32, 24)) / 6, rng.standard_normal(24), 16, generator)
    with torch.no_grad():
        network.outer.normal_(0.0, 0.3, generator=generator)
        network.query.normal_(0.0, 0.3, generator=generator)
    items = curved(80)
    encoder = export_towers(network, 1.0)
    with torch.no_grad():
        logits = network.logits(torch.from_numpy(items)).numpy()
        weights = network.weights(torch.from_numpy(items)).numpy()
    np.testing.assert_allclose(encoder.logits(items), logits, atol=300 / UNITS)
    expected = 0.5 + 0.5 * weights / np.abs(weights).mean(axis=1, keepdims=True)
    confidences = encoder.confidences(items, encoder.logits(items))
    np.testing.assert_allclose(confidences, expected, atol=0.01)
    again = DenseEncoder.from_tensors(encoder.spec, encoder.tensors())
    assert np.array_equal(again.confidences(items, logits), confidences)
    assert np.array_equal(again.encode(items).packed, Codes.pack(encoder.logits(items) > 0).packed)
