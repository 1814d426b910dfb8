"""Autoencoders as they are trained, and the dense one: linear layers to the bits and up again.

Weights are stored (n_in, n_out): a batch of sparse rows then needs only the rows of the first
matrix that occur in it, and export keeps the layout that queries read. `export` turns a trained
network into the NumPy encoder that is kept; the decoder is thrown away.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from hashret.models.fixed_point import NORM_FLOOR

#: How long the vector of latent coordinates is in training, beside hundreds of units near 1.
_LATENT_LENGTH = 30.0


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
