"""The bottlenecks whose decoder sees bits: what it sees, which gradient passes, what it costs."""

import numpy as np
import pytest
import torch
from torch.distributions import Bernoulli as Coin
from torch.distributions import kl_divergence

from indexer.training.networks.bottleneck import (
    PROBIT_SLOPE,
    BernoulliBottleneck,
    RoundedBottleneck,
    normalise,
)
from indexer.training.parts import Bernoulli, Rounded


def rng():
    return torch.Generator().manual_seed(0)


def raw_logits(n=60, n_bits=6, scale=3.0):
    return (scale * torch.randn(n, n_bits, generator=rng()) + 1.0).requires_grad_()


def gradient_of_sum(code, raw, weights):
    (found,) = torch.autograd.grad((code * weights).sum(), raw, retain_graph=True)
    return found


BITS = [
    RoundedBottleneck(Rounded(), rng()),
    RoundedBottleneck(Rounded(noise=(0.0, 0.0)), rng()),
    BernoulliBottleneck(Bernoulli(), rng()),
]


@pytest.mark.parametrize("bottleneck", BITS, ids=["rounded", "without noise", "bernoulli"])
def test_the_decoder_sees_bits_exactly_at_any_time(bottleneck):
    for done in (0.0, 0.5, 1.0):
        code, cost = bottleneck(raw_logits(), done)
        assert set(code.detach().unique().tolist()) == {0.0, 1.0}
        assert cost is None


def test_without_noise_a_bit_is_1_above_its_mean_and_the_gradient_is_the_sigmoids():
    raw, weights = raw_logits(), torch.randn(60, 6, generator=rng())
    code, _ = RoundedBottleneck(Rounded(noise=(0.0, 0.0), gain=3.0), rng())(raw, 0.3)
    assert torch.equal(code.detach(), (raw > raw.mean(dim=0)).float())
    soft = torch.sigmoid(3.0 * normalise(raw))
    expected = gradient_of_sum(soft, raw, weights)
    assert torch.allclose(gradient_of_sum(code, raw, weights), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize(("done", "noise"), [(0.0, 0.2), (0.5, 0.6), (1.0, 1.0)])
def test_noise_flips_bits_as_often_as_a_normal_distribution_says(done, noise):
    raw = raw_logits(n=8)
    bottleneck = RoundedBottleneck(Rounded(noise=(0.2, 1.0)), rng())
    often = torch.stack([bottleneck(raw, done).code for _ in range(3000)]).mean(dim=0)
    expected = torch.special.ndtr(normalise(raw) / noise)
    assert often.detach().numpy() == pytest.approx(expected.detach().numpy(), abs=0.04)


def test_a_bit_is_drawn_with_its_probability_and_the_gradient_is_that_of_the_probability():
    raw, weights = raw_logits(n=8), torch.randn(8, 6, generator=rng())
    bottleneck = BernoulliBottleneck(Bernoulli(gain=1.5), rng())
    chance = torch.sigmoid(1.5 * normalise(raw))
    often = torch.stack([bottleneck(raw, 0.5).code.detach() for _ in range(3000)]).mean(dim=0)
    assert often.numpy() == pytest.approx(chance.detach().numpy(), abs=0.04)
    code, _ = bottleneck(raw, 0.5)
    expected = gradient_of_sum(chance, raw, weights)
    assert torch.allclose(gradient_of_sum(code, raw, weights), expected, rtol=1e-6, atol=0)


@pytest.mark.parametrize("scale", [1.0, 1e4])
def test_the_divergence_is_from_fair_coins_and_warms_up(scale):
    raw = raw_logits(scale=scale)
    chance = torch.sigmoid(2.0 * normalise(raw))
    fair = Coin(torch.full_like(chance, 0.5))
    expected = kl_divergence(Coin(chance), fair).sum(dim=1).mean().item()
    bottleneck = BernoulliBottleneck(Bernoulli(divergence=(0.0, 0.04)), rng())
    costs = [bottleneck(raw, done).cost.item() for done in (0.0, 0.25, 1.0)]
    assert costs == pytest.approx([0.0, 0.01 * expected, 0.04 * expected], rel=1e-5)


def test_bits_that_are_certain_have_a_finite_divergence_of_one_bit_each():
    raw = torch.tensor([[-1.0], [1.0]])
    bottleneck = BernoulliBottleneck(Bernoulli(gain=1e6, divergence=(1.0, 1.0)), rng())
    assert bottleneck(raw, 0.0).cost.item() == pytest.approx(np.log(2.0))


def test_the_confidence_of_a_bit_is_how_often_training_drew_it():
    assert PROBIT_SLOPE / BernoulliBottleneck(Bernoulli(gain=2.5), rng()).final(None).noise == 2.5
    assert RoundedBottleneck(Rounded(noise=(0.1, 0.7)), rng()).final(None).noise == 0.7
    silent = RoundedBottleneck(Rounded(noise=(0.0, 0.0), gain=4.0), rng())
    assert PROBIT_SLOPE / silent.final(None).noise == 4.0
