"""The bottlenecks between an encoder's logits and its decoder: what stands for a bit in training.

A bit has no gradient, so training uses a substitute that has one and comes to behave like a bit.
The final code is the same for all bottlenecks: a bit is 1 if its normalised logit is above 0, the
mean over the training items. This is what `export` stores.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from indexer.training.presets import Bernoulli, Gaussian, NoisySigmoid, Rounded

#: The slope with which a logistic curve is nearest to the normal distribution function.
PROBIT_SLOPE = 1.702
#: Added to the variance of a logit, so that a bit that never varies stays at its threshold.
_VARIANCE_FLOOR = 1e-5
#: Bounds of the logarithm of the variance of a draw, far beyond any useful value.
_LOG_VARIANCES = (-8.0, 8.0)


class Coded(NamedTuple):
    """The output of a bottleneck for a batch."""

    code: Tensor
    """(n, n_bits); 0 and 1 are the bits, and the decoder takes 2 x code - 1."""
    cost: Tensor | None = None
    """A scalar that is added to the loss; None if the bottleneck has no loss of its own."""


class Final(NamedTuple):
    """The noise and slope between normalised logits and the decoder when training ends."""

    noise: float
    """Standard deviation of the noise on a normalised logit."""
    gain: float | None
    """Slope of the sigmoid after the noise; None if there is no sigmoid."""


class Bottleneck(ABC):
    """Turns raw logits into the decoder's input; noise is drawn from `generator`."""

    raw_per_bit = 1
    """Number of outputs of the encoder's last layer for each bit; the logits come first."""

    def __init__(self, settings: Any, generator: torch.Generator):
        self.settings = settings
        self.generator = generator

    @abstractmethod
    def __call__(self, raw: Tensor, done: float) -> Coded:
        """The code of raw numbers (n, n_bits x raw_per_bit), when the share `done` is trained."""

    @abstractmethod
    def final(self, raw: np.ndarray) -> Final:
        """Its final state, for the raw numbers of all items, (n, n_bits x raw_per_bit) float32."""

    def state(self, raw: np.ndarray, done: float) -> Final:
        """Its state when the share `done` is trained, to be told; the final one unless it grows."""
        return self.final(raw)

    def _noise(self, like: Tensor) -> Tensor:
        """Standard normal noise of the same shape."""
        return torch.randn(like.shape, generator=self.generator, device=like.device)


class NoisySigmoidBottleneck(Bottleneck):
    """sigmoid(gain x (normalised logit + noise x a standard normal)).

    Gaussian noise on a sigmoid's input destroys what lies in its middle range; as it grows, a unit
    keeps information only by moving to 0 or 1, and thresholding then loses little (Salakhutdinov
    and Hinton, Semantic hashing, 2009; Goodfellow, Bengio and Courville, Deep Learning, 2016,
    14.9). The logits are batch-normalised first, so the magnitude of the noise means the same for
    every bit, and no bit can escape it by growing its weights.
    """

    settings: NoisySigmoid

    def __call__(self, raw: Tensor, done: float) -> Coded:
        """The code in (0, 1), with the noise and gain for the share `done`."""
        noise, gain = ramp(self.settings.noise, done), ramp(self.settings.gain, done)
        logits = normalise(raw.float())  # (n, n_bits)
        return Coded(torch.sigmoid(gain * (logits + noise * self._noise(logits))))

    def final(self, raw: np.ndarray) -> Final:
        """The last noise and the last gain."""
        return self.state(raw, 1.0)

    def state(self, raw: np.ndarray, done: float) -> Final:
        """The noise and the gain for the share `done`."""
        return Final(ramp(self.settings.noise, done), ramp(self.settings.gain, done))


class RoundedBottleneck(Bottleneck):
    """1 if the noisy, normalised logit is above 0, else 0; the gradient is that of a sigmoid.

    The decoder sees bits from the first step on. The gradient passes straight through the rounding,
    as if the decoder had been given what was rounded (Bengio, Léonard and Courville, "Estimating or
    propagating gradients through stochastic neurons", 2013, section 4).
    """

    settings: Rounded

    def __call__(self, raw: Tensor, done: float) -> Coded:
        """The bits, with the noise for the share `done`."""
        noise, logits = ramp(self.settings.noise, done), normalise(raw.float())  # (n, n_bits)
        if noise:
            logits = logits + noise * self._noise(logits)
        return Coded(straight_through(torch.sigmoid(self.settings.gain * logits), logits > 0))

    def final(self, raw: np.ndarray) -> Final:
        """The last noise or, without any, the one that the sigmoid amounts to."""
        return Final(self.settings.noise[1] or PROBIT_SLOPE / self.settings.gain, None)


class BernoulliBottleneck(Bottleneck):
    """A bit drawn with the probability sigmoid(gain x normalised logit): a stochastic encoder.

    The gradient passes straight through the draw to the probability. With the divergence from fair
    coins the loss is the negative evidence lower bound of a variational autoencoder whose latent
    variables are bits (Shen et al., "NASH: toward end-to-end neural architecture for generative
    semantic hashing", ACL 2018, sections 3.1 and 3.2). Its weight grows from the first to the last,
    as the divergence would otherwise silence bits before the decoder uses them (Bowman et al.,
    CoNLL 2016); normalised logits keep each bit in use as well.
    """

    settings: Bernoulli

    def __call__(self, raw: Tensor, done: float) -> Coded:
        """Bits drawn for each item, and the loss of their divergence, if that has any weight."""
        logits = self.settings.gain * normalise(raw.float())  # (n, n_bits)
        chance = torch.sigmoid(logits)
        drawn = torch.rand(logits.shape, generator=self.generator, device=logits.device) < chance
        code = straight_through(chance, drawn)
        if not any(self.settings.divergence):
            return Coded(code)
        # p log 2p + (1 - p) log 2(1 - p), without a logarithm of 0
        divergence = math.log(2.0) - (functional.softplus(logits) - chance * logits)
        return Coded(code, ramp(self.settings.divergence, done) * divergence.sum(dim=1).mean())

    def final(self, raw: np.ndarray) -> Final:
        """The noise under which a bit is 1 about as often."""
        return Final(PROBIT_SLOPE / self.settings.gain, None)


class GaussianBottleneck(Bottleneck):
    """normalised mean + deviation x a standard normal; the encoder gives both for each item.

    This is a variational autoencoder with the prior of a standard normal for each bit: with the
    divergence from it, the loss is the negative evidence lower bound (Kingma and Welling,
    "Auto-encoding variational Bayes", ICLR 2014; its means thresholded as codes, Chaidaroon and
    Fang, "Variational deep semantic hashing", SIGIR 2017). The decoder takes the real number that
    was drawn. Means are batch-normalised, so the divergence can't make a bit say nothing (Zhu et
    al., "A batch normalized inference network keeps the KL vanishing away", ACL 2020), and its
    weight grows from the first to the last (Bowman et al., CoNLL 2016).
    """

    settings: Gaussian
    raw_per_bit = 2  # the mean and the logarithm of the variance

    def __call__(self, raw: Tensor, done: float) -> Coded:
        """Real numbers drawn around the means, and the loss of their divergence from the prior."""
        raw_mean, log_variance = raw.float().chunk(2, dim=1)  # (n, n_bits) each
        mean, log_variance = normalise(raw_mean), log_variance.clamp(*_LOG_VARIANCES)
        drawn = mean + torch.exp(0.5 * log_variance) * self._noise(mean)  # (n, n_bits)
        divergence = 0.5 * (mean.square() + log_variance.exp() - 1.0 - log_variance)
        cost = ramp(self.settings.divergence, done) * divergence.sum(dim=1).mean()
        return Coded(0.5 * (drawn + 1.0), cost)

    def final(self, raw: np.ndarray) -> Final:
        """The mean deviation over items and bits."""
        log_variances = raw[:, raw.shape[1] // 2 :].clip(*_LOG_VARIANCES)
        return Final(float(np.exp(0.5 * log_variances).mean()), None)


def straight_through(soft: Tensor, is_one: Tensor) -> Tensor:
    """0 and 1 where `is_one` says so, exactly, with the gradient of `soft`."""
    return is_one.to(soft.dtype) + (soft - soft.detach())


def ramp(ends: tuple[float, float], done: float) -> float:
    """The value at the share `done` of the way on a straight line between two ends."""
    return ends[0] + (ends[1] - ends[0]) * done


def normalise(raw: Tensor) -> Tensor:
    """Logits (n, n_bits) of mean 0 and variance 1 over the batch, per bit.

    Batch normalisation (Ioffe and Szegedy, 2015) without a learned scale: every bit is 1 for about
    half of the items, and none can drown the noise by growing its weights.
    """
    variance, mean = torch.var_mean(raw, dim=0, correction=0)  # (n_bits,) each
    return (raw - mean) * torch.rsqrt(variance + _VARIANCE_FLOOR)


@dataclass(frozen=True, slots=True)
class LogitMoments:
    """The mean and deviation of the training items' raw logits, (n_bits,) float64 each."""

    threshold: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, raw: np.ndarray) -> LogitMoments:
        """The mean and standard deviation of the rows of `raw`."""
        exact = raw.astype(np.float64)
        return cls(exact.mean(axis=0), np.sqrt(exact.var(axis=0) + _VARIANCE_FLOOR))


class _Sign(torch.autograd.Function):
    """-1 or 1 forward; the gradient of tanh backward, so that sure bits hardly move.

    A straight-through estimator (Bengio, Léonard, Courville, 2013), saturating.
    """

    @staticmethod
    def forward(ctx: torch.autograd.function.FunctionCtx, logits: Tensor) -> Tensor:
        ctx.save_for_backward(logits)
        return torch.where(logits > 0, 1.0, -1.0).to(logits.dtype)

    @staticmethod
    def backward(ctx: torch.autograd.function.FunctionCtx, *gradients: Tensor) -> Tensor:
        (logits,) = ctx.saved_tensors  # type: ignore[attr-defined]
        return gradients[0] * (1.0 - torch.tanh(logits).square())


def sign(logits: Tensor) -> Tensor:
    """The bits as -1 and 1, with the gradient of tanh; the bottleneck of `vectors.towers`."""
    bits: Tensor = _Sign.apply(logits)  # type: ignore[no-untyped-call]
    return bits
