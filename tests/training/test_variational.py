"""The Gaussian bottleneck: what it draws, what it costs, and the codes that it ends in."""

import numpy as np
import pytest
import torch
from torch.distributions import Normal, kl_divergence

from hashret.models.dense import DenseEncoder
from hashret.models.patches import PatchEncoder
from indexer.training import TrainingOptions, train
from indexer.training.networks.bottleneck import GaussianBottleneck, normalise
from indexer.training.parts import Gaussian
from tests.training.corpora import grouped_points, grouped_words, stripes
from tests.training.recipes import change


def rng():
    return torch.Generator().manual_seed(0)


def bottleneck(divergence=(0.0, 1.0)):
    return GaussianBottleneck(Gaussian(divergence), rng())


def test_what_it_draws_has_the_normalised_mean_and_the_deviation_asked_for():
    raw_mean, log_variance = torch.randn(3, 2, generator=rng()), torch.tensor([[-2.0, 1.0]] * 3)
    drawing = bottleneck()
    raw = torch.cat([raw_mean, log_variance], dim=1)
    drawn = torch.stack([2.0 * drawing(raw, 1.0).code - 1.0 for _ in range(4000)])
    assert drawn.mean(dim=0).numpy() == pytest.approx(normalise(raw_mean).numpy(), abs=0.12)
    assert drawn.std(dim=0).numpy() == pytest.approx((0.5 * log_variance).exp().numpy(), rel=0.06)


def test_its_cost_is_the_divergence_from_the_prior_by_a_growing_weight():
    raw = torch.randn(50, 12, generator=rng())
    mean, deviation = normalise(raw[:, :6]), torch.exp(0.5 * raw[:, 6:])
    prior = Normal(torch.zeros(6), torch.ones(6))
    expected = kl_divergence(Normal(mean, deviation), prior).sum(dim=1).mean().item()
    drawing = bottleneck((0.0, 0.02))
    costs = [drawing(raw, done).cost.item() for done in (0.0, 0.5, 1.0)]
    assert costs == pytest.approx([0.0, 0.01 * expected, 0.02 * expected], rel=1e-5)


def test_variances_without_bound_do_no_harm():
    raw = torch.cat([torch.randn(9, 4, generator=rng()), torch.full((9, 4), 1e4)], dim=1)
    code, cost = bottleneck()(raw, 1.0)
    assert torch.isfinite(code).all()
    assert torch.isfinite(cost)


def test_the_encoder_learns_through_mean_and_variance():
    raw = torch.randn(20, 8, generator=rng(), requires_grad=True)
    code, cost = bottleneck()(raw, 1.0)
    (code.square().mean() + cost).backward()
    assert (raw.grad.abs().amax(dim=0) > 0).all()


def purity(encoder, features, groups):
    """The share of each item's ten nearest by its code that are of its group; chance is .25."""
    bits = encoder.encode(features).bits.astype(np.int16)
    apart = np.abs(bits[:, None] - bits).sum(axis=2) + np.eye(len(bits)) * 99
    return (groups[np.argsort(apart, axis=1, kind="stable")[:, :10]] == groups[:, None]).mean()


@pytest.mark.parametrize(
    ("kind", "corpus", "shape", "encoder_class"),
    [
        ("text", grouped_words, None, DenseEncoder),
        ("vector", grouped_points, None, DenseEncoder),
        ("image", stripes, (16, 16, 1), PatchEncoder),
    ],
)
def test_its_codes_are_exact_ones_of_the_kinds_encoder(
    kind, corpus, shape, encoder_class, monkeypatch
):
    change(monkeypatch, kind, "variational", hidden=(48,), least_steps=60)
    features, groups = corpus(240)
    options = TrainingOptions(n_bits=16, seed=3, device="cpu", preset="variational", epochs=25)
    encoder, report = train(features, kind, options, shape=shape)
    assert type(encoder) is encoder_class
    assert encoder.n_bits == 16
    assert purity(encoder, features, groups) > 0.85
    final = report.stages[-1]
    assert final.saturated is None
    assert 0.0 < final.noise < 2.0
    assert 0.2 < final.bit_balance[0] <= final.bit_balance[2] < 0.8  # thresholds at the means
    assert not report.warnings


def test_the_divergence_is_part_of_what_is_trained(monkeypatch):
    points, _ = grouped_points(120)
    options = TrainingOptions(n_bits=8, seed=3, device="cpu", preset="variational", epochs=60)

    def noise(weight):
        ends = (weight, weight)
        settings = {"hidden": (16,), "learning_rate": 0.01, "bottleneck": Gaussian(ends)}
        with monkeypatch.context() as patch:
            change(patch, "vector", "variational", **settings)
            return train(points, "vector", options)[1].stages[-1].noise

    # the prior's deviation is 1; nothing but the divergence asks for any
    assert noise(0.0) < 0.3
    assert noise(5.0) == pytest.approx(1.0, abs=0.15)
