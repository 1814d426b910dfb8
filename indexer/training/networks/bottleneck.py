"""Autoencoders as they are trained, and the dense one: linear layers to the bits and up again.

Weights are stored (n_in, n_out): a batch of sparse rows then needs only the rows of the first
matrix that occur in it, and export keeps the layout that queries read. `export` turns a trained
network into the NumPy encoder that is kept; the decoder is thrown away.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

#: Added to the variance of a logit: a bit that never varies stays at its threshold.
_VARIANCE_FLOOR = 1e-5


def normalise(raw: Tensor) -> Tensor:
    """Logits of mean 0 and variance 1 over the batch, per bit.

    Batch normalisation (Ioffe and Szegedy, 2015) without a learned scale: every bit is 1 for about
    half of the items, and none can drown the noise by growing its weights.
    """
    variance, mean = torch.var_mean(raw, dim=0, correction=0)
    return (raw - mean) * torch.rsqrt(variance + _VARIANCE_FLOOR)


@dataclass(frozen=True, slots=True)
class LogitMoments:
    """Where the raw logits of the training items lie, per bit: (n_bits,) float64 each."""

    threshold: np.ndarray
    deviation: np.ndarray

    @classmethod
    def of(cls, raw: np.ndarray) -> LogitMoments:
        """The mean and standard deviation of the rows of `raw`."""
        exact = raw.astype(np.float64)
        return cls(exact.mean(axis=0), np.sqrt(exact.var(axis=0) + _VARIANCE_FLOOR))


class _Sign(torch.autograd.Function):
    """-1 or 1 forward; backward as tanh, so that what is far from its threshold stays.

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
    """The bits as -1 and 1, with the gradient of tanh."""
    bits: Tensor = _Sign.apply(logits)  # type: ignore[no-untyped-call]
    return bits


def noisy_code(raw: Tensor, noise: float, gain: float, generator: torch.Generator) -> Tensor:
    """The code in (0, 1): sigmoid(gain x (normalised logit + noise x a standard normal))."""
    logits = normalise(raw.float())
    drawn = torch.randn(logits.shape, generator=generator, device=logits.device)
    return torch.sigmoid(gain * (logits + noise * drawn))


def ramp(ends: tuple[float, float], done: float) -> float:
    """The value on the straight line between two ends at the share `done` of the way."""
    return ends[0] + (ends[1] - ends[0]) * done
