"""What the trunks of steps in order share: a layer from the steps to a vector, then dense ones.

How steps become a vector is in `recursive` and `recurrent`.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor, nn

from hashret.models.base import Encoder
from hashret.models.dense import DenseEncoder
from hashret.specs.ordering import Ordering
from indexer.training.neighbours.lsa import latent_directions
from indexer.training.networks.autoencoder import (
    Autoencoder,
    Batch,
    Layer,
    Sequences,
    Trunk,
    unit_scale,
)
from indexer.training.networks.bottleneck import LogitMoments
from indexer.training.networks.dense import Linear, export
from indexer.training.presets import InOrder
from indexer.training.training_set import Preparation


class StepsLayer(Layer, ABC):
    """The first layer of the encoder: steps in order to a vector, and that to n_out sums.

    `weight` (n_summary, n_out) and `bias` (n_out,) are those of the second part; they start as
    those of a `Linear` layer.
    """

    def __init__(self, n_summary: int, n_out: int, generator: torch.Generator):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(n_summary, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        with torch.no_grad():
            self.weight.normal_(0.0, math.sqrt(2.0 / n_summary), generator=generator)

    @abstractmethod
    def summaries(self, batch: Sequences) -> Tensor:
        """What the steps of each item become, (n, n_summary) float32; zeros without steps."""

    def forward(self, batch: Batch) -> Tensor:
        """(n, n_out) from steps in order."""
        if not isinstance(batch, Sequences):
            raise TypeError("features: expected steps in order, got rows; give their ordering")
        # what goes through many steps is computed in float32 on every device
        with torch.autocast(batch.values.device.type, enabled=False):
            found = self.summaries(batch)
        return torch.addmm(self.bias, found, self.weight)


class StepsTrunk(Trunk, ABC):
    """A layer over the steps of the items, in their order, then dense layers."""

    def __init__(self, settings: InOrder, preparation: Preparation):
        self.settings = settings
        self.features = preparation.items.features
        self.ordering: Ordering = preparation.items.require_ordering()
        self.scale = 1.0 if self.ordering.n_tokens else unit_scale(self.features)
        self.preparation = preparation

    def network(
        self, n_bits: int, n_raw: int, n_outputs: int | None, generator: torch.Generator
    ) -> Autoencoder:
        """A new network; its decoder returns `n_outputs` numbers, which a target must say."""
        if n_outputs is None:
            raise ValueError("target: expected one with a width, got that of the features")
        hidden = self.settings.hidden
        first = self.first_layer(hidden[0], generator)
        down = [Linear(*shape, generator) for shape in pairwise((*hidden, n_raw))]
        up = [Linear(*shape, generator) for shape in pairwise((n_bits, *hidden[::-1], n_outputs))]
        return Autoencoder([first, *down], up, normalised=self.settings.normalised)

    @abstractmethod
    def first_layer(self, n_out: int, generator: torch.Generator) -> StepsLayer:
        """A new layer over the steps."""

    def export(self, network: Autoencoder, moments: LogitMoments, logit_scale: float) -> Encoder:
        """The encoder half, on the fixed-point grid; its dense layers as those of `dense`."""
        layer = network.encoder[0]
        assert isinstance(layer, StepsLayer)  # noqa: S101
        return self.encoder_of(layer, export(network, moments, 1.0, logit_scale))

    @abstractmethod
    def encoder_of(self, layer: StepsLayer, dense: DenseEncoder) -> Encoder:
        """The first layer, in NumPy, with the dense layers behind it."""

    def word_vectors(self, width: int) -> np.ndarray | None:
        """Latent semantic coordinates of the tokens, (n_tokens, at most `width`); None for few.

        Their root mean square is 1. Tokens of which there are few have a vector each of their own.
        """
        if self.ordering.n_tokens < self.settings.least_words:
            return None
        rows, weights = self.preparation.items.bag, self.preparation.word_weights
        rng = self.preparation.rng()
        found = latent_directions(rows, weights, width, rng)
        return found / max(float(np.sqrt(np.square(found, dtype=np.float64).mean())), 1e-12)


def numbers_of(parameter: Tensor) -> np.ndarray:
    """A parameter as float64 numbers."""
    found: np.ndarray = parameter.detach().cpu().double().numpy()
    return found
