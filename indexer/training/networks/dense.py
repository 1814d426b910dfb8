"""The dense trunk: linear layers from features, sparse or dense, to logits and back."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from hashret.models.dense import DenseEncoder
from hashret.models.fixed_point import clamp_for, require_bounded, to_grid
from hashret.sparse import Features, require_sparse
from hashret.specs.encoders import DenseSpec
from indexer.training.neighbours.lsa import latent_directions
from indexer.training.networks.autoencoder import (
    LATENT_LENGTH,
    Autoencoder,
    Batch,
    DecoderLayer,
    Trunk,
    product,
    unit_scale,
)
from indexer.training.networks.bottleneck import LogitMoments
from indexer.training.networks.export import on_grid, weights_of
from indexer.training.presets import Dense
from indexer.training.training_set import Preparation

#: Least number of units of a layer, which otherwise is no wider than there are features.
_LEAST_UNITS = 32


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
        if not isinstance(batch, Tensor):
            return product(batch, self.weight).add(self.bias)
        return torch.addmm(self.bias, batch, self.weight)

    def start_at(self, mean: Tensor) -> None:
        """Set the bias to the mean and halve the weights."""
        with torch.no_grad():
            self.bias.copy_(mean)
            self.weight.mul_(0.5)


def dense_autoencoder(
    n_features: int,
    hidden: tuple[int, ...],
    n_bits: int,
    generator: torch.Generator,
    n_outputs: int | None = None,
    *,
    n_raw: int | None = None,
    normalised: bool = False,
    latent: Tensor | None = None,
) -> Autoencoder:
    """n_features -> hidden -> n_raw, then n_bits -> hidden reversed -> n_outputs; linear layers.

    `n_outputs` None: as many as features; `n_raw` None: as many as bits. The other arguments are
    those of `Autoencoder`.
    """
    down = list(pairwise((n_features, *hidden, n_bits if n_raw is None else n_raw)))
    if latent is not None:
        down[-1] = (down[-1][0] + latent.shape[1], down[-1][1])
    up = pairwise((n_bits, *hidden[::-1], n_features if n_outputs is None else n_outputs))
    return Autoencoder(
        [Linear(*shape, generator) for shape in down],
        [Linear(*shape, generator) for shape in up],
        normalised=normalised,
        latent=latent,
    )


class DenseTrunk(Trunk):
    """Linear layers over the items' features; texts get latent coordinates before the code."""

    def __init__(self, settings: Dense, preparation: Preparation):
        self.settings = settings
        self.features = self._seen(preparation)
        scale = settings.input_scale
        self.scale = unit_scale(self.features) if scale is None else scale
        self._latent: Tensor | None = None
        if settings.n_latent:
            rows, weights = require_sparse(self.features, "coordinates"), preparation.word_weights

            def directions() -> np.ndarray:
                return latent_directions(rows, weights, settings.n_latent, preparation.rng())

            self._latent = torch.from_numpy(preparation.stage("latent", directions))

    def _seen(self, preparation: Preparation) -> Features:
        return preparation.items.features

    def network(
        self, n_bits: int, n_raw: int, n_outputs: int | None, generator: torch.Generator
    ) -> Autoencoder:
        """A new network; hidden layers are no wider than the features, and narrow for few items."""
        n_features = int(self.features.shape[1])
        widest = max(_LEAST_UNITS, min(n_features, self.settings.units_each * len(self.features)))
        return dense_autoencoder(
            n_features,
            tuple(int(min(width, widest)) for width in self.settings.hidden),
            n_bits,
            generator,
            n_outputs,
            n_raw=n_raw,
            normalised=self.settings.normalised,
            latent=self._latent,
        )

    def export(
        self, network: Autoencoder, moments: LogitMoments, logit_scale: float
    ) -> DenseEncoder:
        """The encoder half as a `DenseEncoder`."""
        return export(network, moments, self.scale, logit_scale)


def export(
    network: Autoencoder, moments: LogitMoments, input_scale: float, logit_scale: float
) -> DenseEncoder:
    """The encoder half as a `DenseEncoder`: normalisation folded in, all on the fixed-point grid.

    Raises ValueError if the weights are too large for exact sums.
    """
    weights, biases = weights_of(network)
    latent = None
    if network.latent is not None:
        # the stored encoder gives a unit vector
        weights[-1][-network.n_latent :] *= LATENT_LENGTH
        latent = to_grid(network.latent.cpu().double().numpy())
        require_bounded([latent])
    weights, biases, clamps = on_grid(weights, biases, moments)
    if latent is not None:
        clamps = (min(clamps[0], clamp_for(latent, np.zeros(network.n_latent))), *clamps[1:])
        latent = latent.astype(np.float32)
    spec = DenseSpec(
        n_features=weights[0].shape[0],
        n_bits=weights[-1].shape[1],
        hidden=tuple(weight.shape[1] for weight in weights[:-1]),
        input_scale=input_scale,
        clamps=clamps,
        logit_scale=logit_scale,
        normalised=network.normalised,
        n_latent=network.n_latent,
    )
    return DenseEncoder(spec, weights, biases, latent=latent)
