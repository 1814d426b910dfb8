"""Trunks of steps in order: their export, their targets, and what they learn that no bag tells."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from hashret.errors import TrainingError
from hashret.models.steps import Steps, steps_of, tree_levels
from hashret.specs.ordering import Ordering
from indexer.training import TrainingOptions, train
from indexer.training.batches import Batches
from indexer.training.corruption import add_gaussian, mask
from indexer.training.finetune import raw_logits_of
from indexer.training.neighbours.sequence_views import (
    ORDER_COLUMNS,
    order_counts,
    resampled,
    token_counts,
)
from indexer.training.networks.bottleneck import LogitMoments, normalise
from indexer.training.networks.recursive import RecursiveLayer, RecursiveTrunk, pairs_of
from indexer.training.presets import PRESETS, made
from indexer.training.training_set import Preparation, TrainingSet
from tests.models.sequences import in_order, random_series, random_tokens
from tests.training.recipes import change, changed

CPU = torch.device("cpu")
PRESET_NAMES = list(PRESETS["sequence"])
LONGEST = 33
SETS = {
    "tokens": TrainingSet(
        in_order(random_tokens(80, LONGEST, 20), LONGEST), ordering=Ordering(n_tokens=20)
    ),
    "numbers": TrainingSet(
        in_order(random_series(80, LONGEST, 3), LONGEST, 3), ordering=Ordering(3)
    ),
    "words": TrainingSet(
        in_order(random_tokens(80, LONGEST, 20), LONGEST, before=5),
        ordering=Ordering(n_tokens=20, first=5),
    ),
}


def trunk_of(preset, items):
    recipe = changed(PRESETS["sequence"][preset].recipe, pair_steps=2)
    return made(recipe.trunk, Preparation(items, 0, None))


@pytest.mark.parametrize("preset", PRESET_NAMES)
@pytest.mark.parametrize("items", SETS.values(), ids=SETS)
def test_exported_logits_are_those_of_the_network_but_for_rounding(preset, items):
    trunk = trunk_of(preset, items)
    network = trunk.network(16, 16, 7, torch.Generator().manual_seed(0))
    batches = Batches(trunk.features, trunk.scale, CPU, trunk.ordering)
    raw = raw_logits_of(network, batches)
    encoder = trunk.export(network, LogitMoments.of(raw), 1.7)
    expected = normalise(torch.from_numpy(raw)).numpy()
    assert encoder.logits(items.features) == pytest.approx(expected, abs=5e-3)
    assert network.decode(torch.rand(2, 16)).shape == (2, 7)
    for tensor in encoder.tensors().values():
        assert np.array_equal(tensor * 65536.0, np.rint(tensor * 65536.0))


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_an_item_s_logits_depend_on_no_other_item_of_the_batch(preset):
    items = SETS["tokens"]
    trunk = trunk_of(preset, items)
    network = trunk.network(16, 16, 7, torch.Generator().manual_seed(0))
    batches = Batches(trunk.features, trunk.scale, CPU, trunk.ordering)
    with torch.no_grad():
        together = network.raw_logits(batches.batch(np.arange(20)))
        alone = [network.raw_logits(batches.batch(np.array([i]))) for i in range(20)]
    assert together.numpy() == pytest.approx(torch.cat(alone).numpy(), abs=1e-4)


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_weights_without_bound_are_refused(preset):
    trunk = trunk_of(preset, SETS["numbers"])
    network = trunk.network(16, 16, 7, torch.Generator().manual_seed(0))
    moments = LogitMoments(np.zeros(16), np.ones(16))
    layer = network.encoder[0]
    weight = layer.cell if preset == "recursive" else layer.of_state
    with torch.no_grad():
        weight[0, 0] = 300.0
    with pytest.raises(ValueError, match="smaller learning rate"):
        trunk.export(network, moments, 1.0)


@pytest.mark.parametrize("what", ["tokens", "numbers"])
def test_the_cell_learns_to_join_pairs_so_that_they_can_be_taken_apart(what):
    """The error of both nodes, in units of their variance, is below that of the mean of both."""
    items = SETS[what]
    settings = replace(PRESETS["sequence"]["recursive"].recipe.trunk, n_units=24, pair_steps=200)
    trunk = RecursiveTrunk(settings, Preparation(items, 0, None))
    batch = Batches(items.features, trunk.scale, CPU, items.ordering).batch(np.arange(80))
    errors = []
    for layer in (
        RecursiveLayer(items.ordering, 24, 8, torch.Generator().manual_seed(0)),
        trunk.first_layer(8, torch.Generator().manual_seed(0)),
    ):
        nodes = layer.leaves(batch.values)
        pairs, _ = pairs_of(nodes, tree_levels(batch.lengths)[0][0])
        joined, wanted = layer.joined(pairs).detach().numpy(), pairs.detach().numpy()
        inputs = np.hstack([joined, np.ones((len(joined), 1), np.float32)])
        best = inputs @ np.linalg.lstsq(inputs, wanted, rcond=None)[0]
        errors.append(np.square(best - wanted).mean() / wanted.var())
    assert errors[1] < 0.8 * errors[0]
    again = trunk.first_layer(8, torch.Generator().manual_seed(5))
    assert torch.equal(again.cell, layer.cell)  # learned once for all networks
    assert [stage.stage for stage in trunk.preparation.stages] == ["pairs"]


def order_made(n, tokens, n_groups=5, length=20):
    """The same values in every item; a group has an order of its own, in which a few have moved."""
    rng = np.random.default_rng(0)
    orders = [rng.permutation(length) for _ in range(n_groups)]
    values = np.arange(1.0, length + 1) if tokens else rng.standard_normal(length)
    items, groups = [], np.arange(n) % n_groups
    for group in groups:
        order = orders[group].copy()
        for at in rng.integers(0, length - 1, 6):
            order[[at, at + 1]] = order[[at + 1, at]]
        items.append(values[order])
    return in_order(items, length), groups, Ordering(n_tokens=length if tokens else 0)


@pytest.mark.parametrize("preset", PRESET_NAMES)
@pytest.mark.parametrize("tokens", [True, False], ids=["tokens", "numbers"])
def test_items_of_the_same_values_are_told_by_their_order(preset, tokens, monkeypatch):
    rows, groups, ordering = order_made(120, tokens)
    small = {
        "n_units": 24,
        "embedding": 16,
        "hidden": (48,),
        "epochs": 2,
        "pair_steps": 100,
        "pretrain_epochs": 1,
    }
    change(monkeypatch, "sequence", preset, least_steps=160, learning_rate=5e-3, **small)
    options = TrainingOptions(n_bits=32, seed=1, preset=preset, device="cpu")
    encoder, _ = train(rows, "sequence", options, ordering=ordering)
    bits = encoder.encode(rows).bits.astype(np.int16)
    apart = np.abs(bits[:, None] - bits).sum(axis=2) + np.eye(len(bits)) * 99
    nearest = np.argsort(apart, axis=1, kind="stable")[:, :10]
    assert (groups[nearest] == groups[:, None]).mean() > 0.9


@pytest.mark.parametrize("preset", PRESET_NAMES)
def test_the_same_items_give_the_same_encoder(preset, monkeypatch):
    small = {"n_units": 8, "embedding": 8, "hidden": (16,), "epochs": 1, "pair_steps": 2}
    change(monkeypatch, "sequence", preset, least_steps=4, pretrain_epochs=1, **small)
    items, options = SETS["words"], TrainingOptions(n_bits=16, preset=preset, device="cpu")
    one, other = (
        train(items.features, "sequence", options, ordering=items.ordering)[0] for _ in range(2)
    )
    for name, tensor in one.tensors().items():
        assert np.array_equal(tensor, other.tensors()[name])


def test_without_an_ordering_nothing_is_learned():
    with pytest.raises(TrainingError, match="expected steps in order"):
        train(SETS["tokens"].features, "sequence", TrainingOptions(device="cpu"))


def test_a_masked_step_is_the_unknown_token_or_zeros():
    generator = torch.Generator().manual_seed(0)
    for items in SETS.values():
        batch = Batches(items.features, 1.0, CPU, items.ordering).batch(np.arange(80))
        masked = mask(batch, 0.3, generator)
        assert np.array_equal(masked.lengths, batch.lengths)
        flat, before = (
            masked.values.view(len(batch.values), -1),
            batch.values.view(len(batch.values), -1),
        )
        same, zero = (flat == before).all(dim=1), (flat == 0).all(dim=1)
        assert (same | zero).all()
        assert zero.float().mean() - (before == 0).all(dim=1).float().mean() > 0.2


def test_numbers_get_noise_and_tokens_get_none():
    generator = torch.Generator().manual_seed(0)
    tokens, numbers = (
        Batches(one.features, 1.0, CPU, one.ordering).batch(np.arange(80))
        for one in (SETS["tokens"], SETS["numbers"])
    )
    assert add_gaussian(tokens, 0.5, generator) is tokens
    noise = add_gaussian(numbers, 0.5, generator).values - numbers.values
    assert noise.std().item() == pytest.approx(0.5, abs=0.05)


def test_tokens_and_their_order_are_counted():
    steps = Steps(np.array([1, 2, 1, 2, 0, 3, 1, 2, 1, 2]), np.array([5, 0, 1, 4]))
    found = token_counts(steps, 4).to_dense()
    once, twice = 1.0, 1.0 + np.log(2.0)
    assert found == pytest.approx(
        np.array([[twice, twice, 0, 0], [0, 0, 0, 0], [0, 0, once, 0], [twice, twice, 0, 0]])
    )
    order = order_counts(steps)
    assert order.shape == (4, ORDER_COLUMNS)
    assert order.nnz_per_row[1:3].tolist() == [0, 1]
    turned = order_counts(Steps(np.array([2, 1, 2, 1]), np.array([4]))).to_dense()[0]
    own = order.to_dense()[3]
    assert (turned != own).any()
    assert own.max() == pytest.approx(twice)  # 1 before 2, twice


def test_the_parts_of_a_series_are_the_means_of_its_stretches():
    rng = np.random.default_rng(0)
    for length in (1, 2, 5, 12, 31):
        series = rng.standard_normal((length, 2))
        steps = steps_of(in_order([series, [], series[:1]], 31, 2), Ordering(2))
        found = resampled(steps, 6).reshape(3, 6, 2)
        # each step repeated six times is cut into six parts of as many as there are steps
        fine = np.repeat(series, 6, axis=0).reshape(6, length, 2).mean(axis=1)
        assert found[0] == pytest.approx(fine, abs=1e-5)
        assert not found[1].any()
        assert found[2] == pytest.approx(np.repeat(series[:1], 6, axis=0), abs=1e-5)
