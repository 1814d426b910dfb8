"""Folds of a coordinate, against arithmetic value by value; and a network that begins as they say."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.training import TrainingOptions, train
from indexer.training.networks.folded import Fold, FoldedTrunk, Folds, allotted, cells
from indexer.training.networks.linear_start import OPEN, linear_start
from indexer.training.parts import Folded
from indexer.training.training_set import Preparation, TrainingSet
from tests.training.corpora import grouped_points, stripes
from tests.training.recipes import change


def folds_of(rng, variance=1.0, n=400):
    values = rng.standard_normal(n) ** 3
    return Folds((values - values.mean()) / values.std(), variance)


@given(turns=st.lists(st.floats(0.01, 2.0), max_size=5), middle=st.floats(-1.0, 1.0))
def test_a_fold_again_is_less_its_sign(turns, middle):
    values = np.random.default_rng(0).normal(0, 2, 500)
    fold, expected = Fold(np.empty(0), np.array([middle])), values - middle
    for turn in turns:
        fold, expected = fold.again(turn), expected - turn * np.sign(expected)
        assert np.abs(fold(values) - expected).max() < 1e-9
        assert (np.diff(fold.jumps) > 0).all()


@settings(max_examples=15)
@given(seed=st.integers(0, 1000), n_bits=st.integers(1, 6))
def test_bits_say_the_cell_that_a_value_is_in(seed, n_bits):
    one = folds_of(np.random.default_rng(seed))
    folds = one.first(n_bits)
    assert len(folds[-1].jumps) < 1 << (n_bits - 1)
    owner = cells(folds, one.values)
    means = np.array([one.values[owner == cell].mean() for cell in owner])
    assert one.error(n_bits) == pytest.approx(np.square(one.values - means).mean())
    assert one.error(n_bits) < one.error(n_bits - 1) if n_bits > 1 else one.error(1) < 1.0


def test_two_bits_of_normal_numbers_are_the_best_quantiser():
    values = np.random.default_rng(0).standard_normal(20_000)
    one = Folds((values - values.mean()) / values.std(), 1.0)
    assert one.error(1) == pytest.approx(0.3634, abs=0.01)  # of Max, 1960
    assert one.error(2) == pytest.approx(0.1175, abs=0.005)


def test_a_bit_goes_where_the_error_falls_most():
    rng = np.random.default_rng(3)
    coordinates = [folds_of(rng, variance) for variance in (9.0, 4.0, 1.0, 0.5, 0.01)]
    told = allotted(coordinates, 8, 1000)
    assert sum(told) == 8
    assert told[0] > told[4] == 0

    def error(i, n_bits):
        return coordinates[i].error(n_bits) if n_bits else coordinates[i].variance

    for i in range(5):
        for j in range(5):
            if i != j and told[i]:
                lost = error(i, told[i] - 1) - error(i, told[i])
                assert lost >= error(j, told[j]) - error(j, told[j] + 1)
    # the units that compute a coordinate's folds: at most one less than it has cells
    few = allotted(coordinates, 8, 10)
    assert sum((1 << bits) - 1 for bits in few) <= 10
    assert allotted([folds_of(rng, 1e-9)], 8, 1000) == [0]


def test_the_network_begins_as_the_quantised_coordinates():
    rng = np.random.default_rng(0)
    rows = rng.standard_normal((800, 12)) @ np.diag(0.6 ** np.arange(12)) @ _turn(rng, 12) + 3.0
    preparation = Preparation(TrainingSet(rows.astype(np.float32)), 0, None)
    trunk = FoldedTrunk(Folded(hidden=(64,)), preparation)
    network = trunk.network(16, 16, None, torch.Generator().manual_seed(0))
    seen = torch.from_numpy(rows.astype(np.float32)) * trunk.scale
    with torch.no_grad():
        raw = network.raw_logits(seen)
        bits = raw > raw.mean(dim=0)
        rebuilt = (network.decode(bits.float()) / trunk.scale).numpy()
    # the same in its own words: cells of the principal coordinates, by their means
    mean = rows.mean(axis=0)
    directions = np.linalg.svd(rows - mean, full_matrices=False)[2].T
    coordinates = [Folds(c / c.std(), c.var()) for c in ((rows - mean) @ directions).T]
    told = allotted([Folds(c.values, c.variance * trunk.scale**2) for c in coordinates], 16, 64)
    assert sum(told) == 16
    assert max(told) > 1
    best = sum(
        one.error(n) if n else one.variance for one, n in zip(coordinates, told, strict=True)
    )
    error = float(np.square(rows - rebuilt).sum(axis=1).mean())
    assert error < 1.5 * best  # a linear decoder has steps of one size, where means of cells differ


def test_a_linear_start_is_the_linear_map_where_there_is_one():
    rng = np.random.default_rng(0)
    bits = rng.random((3000, 24)) < rng.uniform(0.3, 0.7, 24)
    true = rng.standard_normal((24, 40)) * (rng.random((24, 40)) < 0.3)
    wanted = (2.0 * bits - 1.0) @ true + 5.0
    weights, biases = linear_start(bits, wanted, rng)
    told = np.maximum(2.0 * bits - 1.0 + OPEN, 0.0) @ weights + biases  # the units are open
    assert np.square(told - wanted).mean() < 0.01 * wanted.var(axis=0).mean()
    # of noise there is nothing to know
    weights, _ = linear_start(bits, rng.standard_normal((3000, 40)), rng)
    assert np.count_nonzero(weights.any(axis=1)) < 24


def _turn(rng, n):
    return np.linalg.qr(rng.standard_normal((n, n)))[0]


@pytest.mark.parametrize("spoil", ["constant", "two items", "one number", "low rank", "small"])
def test_poor_items_are_learned_from_all_the_same(spoil, monkeypatch):
    change(monkeypatch, "vector", "rebuilding", hidden=(32,), epochs=1, least_steps=4)
    rows, _ = grouped_points(60)
    if spoil == "constant":
        rows[:] = rows[0]
    elif spoil == "two items":
        rows = rows[:2]
    elif spoil == "one number":
        rows = rows[:, :1].copy()
    elif spoil == "low rank":
        rows = rows[:, :2] @ np.ones((2, 24), np.float32)
    else:
        rows *= 1e-4
    options = TrainingOptions(n_bits=32, preset="rebuilding", device="cpu")
    encoder, _ = train(rows, "vector", options)
    codes = encoder.encode(rows)
    assert (codes.n_bits, len(codes)) == (32, len(rows))
    if spoil not in ("constant", "two items"):
        assert codes.n_distinct() > 4


@pytest.mark.parametrize(("n_bits", "stays"), [(64, False), (72, True)])
def test_long_codes_stay_as_they_begin(n_bits, stays, monkeypatch):
    change(monkeypatch, "image", "rebuilding", hidden=(96,), least_steps=8, epochs=1)
    pixels, _ = stripes(100)
    trunk = FoldedTrunk(
        Folded(hidden=(96,)), Preparation(TrainingSet(pixels, (16, 16, 1)), 0, None)
    )
    begun = trunk.network(n_bits, n_bits, None, torch.Generator().manual_seed(0))
    with torch.no_grad():
        raw = begun.raw_logits(torch.from_numpy(pixels) * trunk.scale)
    n_told = 40  # the others begin at random
    started = (raw > raw.mean(dim=0)).numpy()[:, :n_told]
    options = TrainingOptions(n_bits=n_bits, preset="rebuilding", device="cpu")
    encoder, report = train(pixels, "image", options, shape=(16, 16, 1))
    agree = (encoder.encode(pixels).bits[:, :n_told] == started).mean()
    assert (agree > 0.995) == stays
    assert report.stages[-1].loss is not None
