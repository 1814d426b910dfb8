"""The autoencoder that every trunk trains: an encoder down to the bits, a decoder up again.

A trunk makes the network and, after training, exports its encoder to NumPy; the decoder is
discarded. Weights are stored (n_in, n_out): for a batch of sparse rows, only the rows of the
first matrix are read whose features occur in it, and queries read the same layout.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hashret.models.base import Encoder
from hashret.models.fixed_point import NORM_FLOOR
from hashret.sparse import Features, values_of
from hashret.specs.ordering import Ordering
from indexer.training.networks.bottleneck import LogitMoments

#: Euclidean length of the latent coordinates in training, beside hundreds of units near 1.
LATENT_LENGTH = 30.0


@dataclass(frozen=True, slots=True)
class Bags:
    """A batch of sparse rows: row i holds `values[offsets[i]:offsets[i + 1]]` at `indices`."""

    indices: Tensor
    values: Tensor
    offsets: Tensor


@dataclass(frozen=True, slots=True)
class Sequences:
    """A batch of items as steps in order, as `hashret.models.steps.Steps` but for the tensor."""

    values: Tensor
    """(n_steps, width) float32 numbers, or (n_steps,) int64 tokens; item after item."""
    lengths: np.ndarray
    """(n,) int64: the number of steps of each item."""

    def keeping(self, is_kept: Tensor) -> Sequences:
        """The batch with the other steps set to 0, which is the unknown token; (n_steps,) bool."""
        each = is_kept if self.values.ndim == 1 else is_kept[:, None]
        return Sequences(self.values * each, self.lengths)


Batch = Tensor | Bags | Sequences


def product(batch: Batch, weight: Tensor) -> Tensor:
    """Rows (n, n_in), sparse or dense, times (n_in, n_out): (n, n_out)."""
    if isinstance(batch, Sequences):
        raise TypeError("features: expected rows, got steps in order; take another trunk")
    if not isinstance(batch, Bags):
        return batch @ weight
    return functional.embedding_bag(
        batch.indices,  # (nnz,)
        weight,
        batch.offsets,  # (n + 1,)
        mode="sum",
        per_sample_weights=batch.values,  # (nnz,)
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
    """A layer of the decoder, which can start at the mean of what it rebuilds."""

    @abstractmethod
    def start_at(self, mean: Tensor) -> None:
        """Initialise the layer so that its output is near `mean` (n_out,)."""


@dataclass(frozen=True, slots=True)
class HiddenLayer:
    """What a hidden layer of the encoder made of a batch, for terms of the loss."""

    layer: Layer
    sums: Tensor
    """(n, width): its sums before normalisation and ReLU."""
    active: Tensor
    """(n, width): its output."""
    normalised: bool


class Autoencoder(nn.Module):
    """An encoder to raw logits and a decoder with as many layers, with ReLUs between layers.

    If `normalised`, the sums of the encoder's hidden layers are normalised for each item before the
    ReLU (Ba, Kiros and Hinton, Layer normalization, 2016), because their size, which depends on how
    many and how rare the item's words are, says nothing of its subject. `latent` (n_features,
    n_latent) are fixed directions: the item's coordinates in them, scaled to unit length, enter the
    last layer of the encoder after the outputs of the hidden layers.

    `encoder[-1]` returns raw logits. A bottleneck turns them into a code, which `decode` takes.
    `decoder[-1 - i]` rebuilds the input of `encoder[i]`; the last one may rebuild another target
    than the features (`objectives`).
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
        # the lists above are typed; PyTorch finds the layers by this one
        self.layers = nn.ModuleList([*encoder, *decoder])

    def copy_hidden(self, other: Autoencoder) -> None:
        """Copy all layers of `other` except the two next to the code."""
        pairs = zip(
            [*self.encoder[:-1], *self.decoder[1:]],
            [*other.encoder[:-1], *other.decoder[1:]],
            strict=True,
        )
        for mine, theirs in pairs:
            mine.load_state_dict(theirs.state_dict())

    def encode(self, batch: Batch) -> tuple[list[HiddenLayer], Tensor]:
        """The hidden layers, and the input of a bottleneck, float32, (n, n_raw).

        n_raw is a multiple of n_bits.
        """
        hidden = self._hidden_layers(len(self.encoder) - 1, batch)
        active = self._with_latent(hidden[-1].active, batch) if hidden else batch
        return hidden, self.encoder[-1].forward(active).float()

    def raw_logits(self, batch: Batch) -> Tensor:
        """The input of a bottleneck, float32, (n, n_raw); n_raw is a multiple of n_bits."""
        return self.encode(batch)[1]

    def hidden(self, count: int, batch: Batch) -> Tensor:
        """The output of the first `count` >= 1 hidden layers; if these are all, and coordinates."""
        active = self._hidden_layers(count, batch)[-1].active  # (n, hidden[count - 1])
        return self._with_latent(active, batch) if count == len(self.encoder) - 1 else active

    def _hidden_layers(self, count: int, batch: Batch) -> list[HiddenLayer]:
        found: list[HiddenLayer] = []
        for layer in self.encoder[:count]:
            found.append(self.hidden_layer(layer, batch))
            batch = found[-1].active
        return found

    def hidden_layer(self, layer: Layer, batch: Batch) -> HiddenLayer:
        """What one hidden layer of the encoder makes of its input."""
        sums = layer.forward(batch)
        return HiddenLayer(layer, sums, self.activated(sums), self.normalised)

    def _with_latent(self, active: Tensor, batch: Batch) -> Tensor:
        """The input of the encoder's last layer: the last hidden units, and the coordinates."""
        if self.latent is None:
            return active
        sums = product(batch, self.latent).float()  # (n, n_latent)
        length = torch.rsqrt(sums.square().sum(dim=1, keepdim=True) + NORM_FLOOR)  # (n, 1)
        return torch.cat([active, LATENT_LENGTH * length * sums], dim=1)

    @property
    def n_latent(self) -> int:
        """The number of latent coordinates that enter the last layer, as its last columns."""
        return 0 if self.latent is None else self.latent.shape[1]

    def activated(self, sums: Tensor) -> Tensor:
        """The output of a hidden layer of the encoder with these sums, (n, width)."""
        if self.normalised:
            sums = functional.layer_norm(sums, sums.shape[1:], eps=NORM_FLOOR)
        return functional.relu(sums)

    def decode(self, code: Tensor) -> Tensor:
        """The decoder's output (n, n_outputs) for codes (n, n_bits); no final nonlinearity."""
        active = 2.0 * code - 1.0  # (n, n_bits), bits as -1 and 1
        for layer in self.decoder[:-1]:
            active = functional.relu(layer.forward(active))  # (n, hidden[i]), backwards
        return self.decoder[-1].forward(active)


class Trunk(ABC):
    """The layers from features to logits and back: made anew for each network, and exported.

    `features` times `scale` are the network's input. They need not be the items' own features:
    `of_items` turns an encoder of the former into one of the latter.
    """

    features: Features
    scale: float
    ordering: Ordering | None = None
    """Where the steps are in a row of features, if the network takes them in order."""

    @abstractmethod
    def network(
        self, n_bits: int, n_raw: int, n_outputs: int | None, generator: torch.Generator
    ) -> Autoencoder:
        """A new network; its encoder returns n_raw numbers, its decoder takes n_bits.

        The decoder returns `n_outputs` numbers; None: as many as there are features.
        """

    @abstractmethod
    def export(self, network: Autoencoder, moments: LogitMoments, logit_scale: float) -> Encoder:
        """The encoder in NumPy, for rows like `features`, with the normalisation folded in.

        Raises ValueError if the weights are too large for exact sums.
        """

    def of_items(self, encoder: Encoder) -> Encoder:
        """An encoder that `export` returned, as an encoder of the items' own features."""
        return encoder


def unit_scale(features: Features) -> float:
    """The factor that makes the root mean square of the features' stored numbers 1."""
    mean_square = float(np.square(values_of(features), dtype=np.float64).mean())
    return float(1.0 / np.sqrt(max(mean_square, 1e-12)))
