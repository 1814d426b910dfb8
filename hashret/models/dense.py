"""Autoencoders as they are trained, and the dense one: linear layers to the bits and up again.

Weights are stored (n_in, n_out): a batch of sparse rows then needs only the rows of the first
matrix that occur in it, and export keeps the layout that queries read. `export` turns a trained
network into the NumPy encoder that is kept; the decoder is thrown away.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hashret.models.apply import DenseEncoder
from hashret.models.fixed_point import (
    MAX_WEIGHT,
    NORM_FLOOR,
    clamp_for,
    require_bounded,
    to_grid,
)
from hashret.specs import DenseSpec

#: How long the vector of latent coordinates is in training, beside hundreds of units near 1.
_LATENT_LENGTH = 30.0
#: Added to the variance of a logit: a bit that never varies stays at its threshold.
_VARIANCE_FLOOR = 1e-5


@dataclass(frozen=True, slots=True)
class Bags:
    """A batch of sparse rows: row i holds `values[offsets[i]:offsets[i + 1]]` at `indices`."""

    indices: Tensor
    values: Tensor
    offsets: Tensor


Batch = Tensor | Bags


def product(batch: Batch, weight: Tensor) -> Tensor:
    """Rows (n, n_in), sparse or dense, times (n_in, n_out)."""
    if not isinstance(batch, Bags):
        return batch @ weight
    return functional.embedding_bag(
        batch.indices,
        weight,
        batch.offsets,
        mode="sum",
        per_sample_weights=batch.values,
        include_last_offset=True,
    )


class Layer(nn.Module, ABC):
    """One layer of an autoencoder: rows in, rows out, (n, n_in) to (n, n_out)."""

    weight: nn.Parameter
    bias: nn.Parameter

    @abstractmethod
    def forward(self, batch: Batch) -> Tensor:
        """The rows before any nonlinearity."""


class DecoderLayer(Layer):
    """A layer that may rebuild features, and so can begin near their mean."""

    @abstractmethod
    def start_at(self, mean: Tensor) -> None:
        """Begin near the (n_out,) mean of what it is to rebuild."""


class Linear(DecoderLayer):
    """An affine layer with its weight stored (n_in, n_out), He-initialised, bias zero."""

    def __init__(self, n_in: int, n_out: int, generator: torch.Generator):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        with torch.no_grad():
            self.weight.normal_(0.0, math.sqrt(2.0 / n_in), generator=generator)

    def forward(self, batch: Batch) -> Tensor:
        """(n, n_out) from (n, n_in), sparse or dense."""
        if isinstance(batch, Bags):
            return product(batch, self.weight).add(self.bias)
        return torch.addmm(self.bias, batch, self.weight)

    def start_at(self, mean: Tensor) -> None:
        """The bias is the mean, and the weights are halved."""
        with torch.no_grad():
            self.bias.copy_(mean)
            self.weight.mul_(0.5)


class Autoencoder(nn.Module):
    """Layers down to the bits, and as many up again; the ReLU stands between them.

    If `normalised`, what the encoder's hidden layers sum up is normalised item by item before it
    (Ba, Kiros and Hinton, Layer normalization, 2016): how loudly the words of an item speak, few
    and rare ones or many, says nothing of what it is about. `latent` (n_features, n_latent) are
    fixed directions: an item's coordinates in them, as a unit vector, enter the last layer of the
    encoder too, behind what the hidden layers give.

    `encoder[-1]` gives raw logits. Training normalises them over the batch (`normalise`), adds
    noise and takes the sigmoid; `decode` starts from there. `decoder[-1 - i]` rebuilds what
    `encoder[i]` takes, but the last may tell of the item something else than its features.
    """

    latent: Tensor | None

    def __init__(
        self,
        encoder: Sequence[Layer],
        decoder: Sequence[DecoderLayer],
        *,
        normalised: bool = False,
        latent: Tensor | None = None,
    ):
        super().__init__()
        if latent is not None and len(encoder) < 2:
            raise ValueError("latent: expected hidden layers, got none; give the encoder one")
        self.normalised = normalised
        self.register_buffer("latent", latent)
        self.encoder = encoder
        self.decoder = decoder
        # plain lists for their types; this is what makes PyTorch see the layers
        self.layers = nn.ModuleList([*encoder, *decoder])

    def copy_hidden(self, other: Autoencoder) -> None:
        """Take over all layers of `other` but the two that touch the code."""
        pairs = zip(
            [*self.encoder[:-1], *self.decoder[1:]],
            [*other.encoder[:-1], *other.decoder[1:]],
            strict=True,
        )
        for mine, theirs in pairs:
            mine.load_state_dict(theirs.state_dict())

    def raw_logits(self, batch: Batch) -> Tensor:
        """(n, n_bits) float32 before normalisation."""
        active = self.hidden(len(self.encoder) - 1, batch) if len(self.encoder) > 1 else batch
        return self.encoder[-1].forward(active).float()

    def hidden(self, count: int, batch: Batch) -> Tensor:
        """The output of the first `count` >= 1 hidden layers; of all, with latent coordinates."""
        active = self.activated(self.encoder[0].forward(batch))
        for layer in self.encoder[1:count]:
            active = self.activated(layer.forward(active))
        if self.latent is not None and count == len(self.encoder) - 1:
            sums = product(batch, self.latent).float()
            length = torch.rsqrt(sums.square().sum(dim=1, keepdim=True) + NORM_FLOOR)
            active = torch.cat([active, _LATENT_LENGTH * length * sums], dim=1)
        return active

    @property
    def n_latent(self) -> int:
        """So many of the columns that enter the last layer are coordinates, the last ones."""
        return 0 if self.latent is None else self.latent.shape[1]

    def activated(self, sums: Tensor) -> Tensor:
        """The output of a hidden layer of the encoder that sums up to this."""
        if self.normalised:
            sums = functional.layer_norm(sums, sums.shape[1:], eps=NORM_FLOOR)
        return functional.relu(sums)

    def decode(self, code: Tensor) -> Tensor:
        """(n, n_outputs) from codes in [0, 1]: the last layer's output, no nonlinearity."""
        active = 2.0 * code - 1.0
        for layer in self.decoder[:-1]:
            active = functional.relu(layer.forward(active))
        return self.decoder[-1].forward(active)


def dense_autoencoder(
    n_features: int,
    hidden: tuple[int, ...],
    n_bits: int,
    generator: torch.Generator,
    n_outputs: int | None = None,
    *,
    normalised: bool = False,
    latent: Tensor | None = None,
) -> Autoencoder:
    """n_features -> hidden -> bits -> hidden reversed -> n_outputs, all of it linear layers.

    `n_outputs` None: as many as features. The rest is for `Autoencoder`.
    """
    down = list(pairwise((n_features, *hidden, n_bits)))
    if latent is not None:
        down[-1] = (down[-1][0] + latent.shape[1], n_bits)
    up = pairwise((n_bits, *hidden[::-1], n_features if n_outputs is None else n_outputs))
    return Autoencoder(
        [Linear(*shape, generator) for shape in down],
        [Linear(*shape, generator) for shape in up],
        normalised=normalised,
        latent=latent,
    )


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


def export(
    network: Autoencoder, moments: LogitMoments, input_scale: float, logit_scale: float
) -> DenseEncoder:
    """The encoder half as a `DenseEncoder`: normalisation folded in, all on the fixed-point grid.

    Raises ValueError if the weights are too large for exact sums.
    """
    weights = [layer.weight.detach().cpu().double().numpy() for layer in network.encoder]
    biases = [layer.bias.detach().cpu().double().numpy() for layer in network.encoder]
    latent = None
    if network.latent is not None:
        # what is kept gives a unit vector
        weights[-1][-network.n_latent :] *= _LATENT_LENGTH
        latent = to_grid(network.latent.cpu().double().numpy())
        require_bounded([latent])
    weights, biases, clamps = on_grid(weights, biases, moments)
    hidden = tuple(weight.shape[1] for weight in weights[:-1])
    if latent is not None:
        clamps = (min(clamps[0], clamp_for(latent, np.zeros(network.n_latent))), *clamps[1:])
        latent = latent.astype(np.float32)
    spec = DenseSpec(
        n_features=weights[0].shape[0],
        n_bits=weights[-1].shape[1],
        hidden=hidden,
        input_scale=input_scale,
        clamps=clamps,
        logit_scale=logit_scale,
        normalised=network.normalised,
        n_latent=network.n_latent,
    )
    return DenseEncoder(spec, weights, biases, latent=latent)


def on_grid(
    weights: list[np.ndarray], biases: list[np.ndarray], moments: LogitMoments
) -> tuple[list[np.ndarray], list[np.ndarray], tuple[float, ...]]:
    """Weights (n_in, n_out) and biases with the normalisation folded in, on the grid, and clamps.

    Weights come back as float32, biases as float64 (`fixed_point`). Raises ValueError if they are
    too large for exact sums.
    """
    weights[-1] = weights[-1] / moments.deviation
    biases[-1] = (biases[-1] - moments.threshold) / moments.deviation
    # a bit that hardly varies would need weights beyond float32: its logits are scaled down,
    # which changes neither its sign nor its threshold
    largest = np.maximum(np.abs(weights[-1]).max(axis=0), np.abs(biases[-1]) / 1024.0)
    shrink = 1.0 / np.maximum(1.0, largest / (MAX_WEIGHT / 2.0))
    weights[-1], biases[-1] = weights[-1] * shrink, biases[-1] * shrink
    weights = [to_grid(weight) for weight in weights]
    biases = [to_grid(bias) for bias in biases]
    require_bounded(weights)
    clamps = tuple(clamp_for(w, b) for w, b in zip(weights, biases, strict=True))
    return [weight.astype(np.float32) for weight in weights], biases, clamps
