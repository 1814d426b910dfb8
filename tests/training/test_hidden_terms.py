"""Terms of hidden layers, against their definitions."""

import numpy as np
import pytest
import torch
from torch.func import jacrev, vmap

from indexer.training import TrainingOptions, train
from indexer.training.layers.hidden_terms import (
    ContractionTerm,
    SparsityTerm,
    divergence_from_rate,
    mean_activation,
    squared_jacobian,
)
from indexer.training.networks.autoencoder import HiddenLayer
from indexer.training.networks.conv import Convolution
from indexer.training.networks.dense import dense_autoencoder
from indexer.training.objectives import CodedBatch
from indexer.training.presets import Contraction, Sparsity
from tests.training.corpora import grouped_points
from tests.training.recipes import change


def rng():
    return torch.Generator().manual_seed(0)


def network(*, normalised=False, hidden=(9, 5)):
    return dense_autoencoder(7, hidden, 4, rng(), normalised=normalised)


@pytest.mark.parametrize("normalised", [False, True])
def test_the_contraction_in_closed_form_is_the_jacobians_norm(normalised):
    net, rows = (
        network(normalised=normalised).double(),
        torch.randn(11, 7, generator=rng()).double(),
    )
    layer = net.encoder[0]
    with torch.no_grad():
        layer.bias.normal_(generator=rng())  # as if learned
    jacobians = vmap(jacrev(lambda row: net.activated(layer.forward(row[None]))[0]))(rows)
    expected = jacobians.square().sum(dim=(1, 2))
    found = squared_jacobian(layer.weight, layer.forward(rows), normalised=normalised)
    assert found.detach().numpy() == pytest.approx(expected.detach().numpy(), rel=1e-9)
    # which without normalisation is that of the active units' weights
    if not normalised:
        active = net.activated(layer.forward(rows)) > 0
        assert torch.allclose(found, active.double() @ layer.weight.square().sum(dim=0))


def test_a_term_is_weighted_for_each_unit_and_is_of_linear_layers():
    net, rows = network(), torch.randn(11, 7, generator=rng())
    hidden, _ = net.encode(rows)
    squares = squared_jacobian(net.encoder[0].weight, hidden[0].sums, normalised=False)
    found = ContractionTerm(Contraction(0.3)).of_layer(hidden[0])
    assert found.item() == pytest.approx(0.3 * squares.mean().item() / 9, rel=1e-6)
    layer = Convolution((4, 4, 1), 3, rng())
    other = HiddenLayer(layer, torch.zeros(2, 12), torch.zeros(2, 12), normalised=False)
    with pytest.raises(TypeError, match="expected a linear layer, got Convolution; choose a trunk"):
        ContractionTerm(Contraction(0.3)).of_layer(other)


def batch_of(hidden):
    code = torch.zeros(3, 4)
    return CodedBatch(np.arange(3), code, None, lambda rows: code, hidden)


def test_in_fine_tuning_sparsity_is_of_every_hidden_layer_and_contraction_of_none():
    hidden, _ = network().encode(torch.randn(11, 7, generator=rng()))
    term = SparsityTerm(Sparsity(0.5))
    expected = sum(term.of_layer(one).item() for one in hidden)
    assert len(hidden) == 2
    assert term(batch_of(hidden)).item() == pytest.approx(expected)
    assert term(batch_of(())).item() == 0.0
    assert ContractionTerm(Contraction(0.5))(batch_of(hidden)).item() == 0.0


def test_the_mean_activation_is_scaleless_and_least_where_few_are_active():
    active = torch.rand(40, 30, generator=rng())
    few = active * (torch.rand(40, 30, generator=rng()) < 0.1)
    assert mean_activation(torch.full((4, 5), 7.0)).item() == pytest.approx(1.0)
    assert mean_activation(9 * active).item() == pytest.approx(mean_activation(active).item(), 1e-4)
    assert mean_activation(few).item() < 0.5 * mean_activation(active).item()
    assert mean_activation(torch.zeros(4, 5)).item() == 0.0


def test_the_divergence_from_a_rate_is_that_of_two_coins():
    often = torch.tensor([0.05, 0.2, 0.7])
    active = -torch.log1p(-often).repeat(10, 1)
    coins = (
        torch.distributions.Bernoulli(torch.full((3,), 0.2)),
        torch.distributions.Bernoulli(often),
    )
    expected = torch.distributions.kl_divergence(*coins).mean().item()
    assert divergence_from_rate(active, 0.2).item() == pytest.approx(expected, rel=1e-5)
    assert divergence_from_rate(active[:, 1:2], 0.2).item() == pytest.approx(0.0, abs=1e-6)
    assert np.isfinite(divergence_from_rate(torch.zeros(4, 3), 0.2).item())
    assert np.isfinite(divergence_from_rate(torch.full((4, 3), 1e6), 0.2).item())


def active_share(encoder, points):
    """The share of the exported encoder's first hidden units that are active."""
    tensors = encoder.tensors()
    sums = points * np.float32(encoder.spec.input_scale) @ tensors["layers.0.weight"]
    return (sums + tensors["layers.0.bias"] > 0).mean()


def test_sparse_leaves_fewer_hidden_units_active_and_a_rate_is_kept(monkeypatch):
    points, _ = grouped_points(120)

    def share(*terms):
        with monkeypatch.context() as patch:
            settings = {"hidden": (40,), "terms": terms, "learning_rate": 0.01}
            change(patch, "vector", "sparse", **settings)
            options = TrainingOptions(n_bits=8, seed=1, device="cpu", preset="sparse", epochs=25)
            return active_share(train(points, "vector", options)[0], points)

    free, sparse = share(), share(Sparsity(2.0))
    assert sparse < 0.6 * free
    assert share(Sparsity(5.0, rate=0.1)) < share(Sparsity(5.0, rate=0.6))
