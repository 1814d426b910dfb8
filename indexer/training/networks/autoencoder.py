"""The autoencoder as every trunk trains it: layers down to the bits, and as many up again.

A trunk makes one, and turns what was learned into the NumPy encoder that is stored; the decoder is
thrown away. Weights are stored (n_in, n_out): a batch of sparse rows then needs only the rows of
the first matrix that occur in it, and export keeps the layout that queries read.
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
from indexer.training.networks.bottleneck import LogitMoments

#: The length of the vector of latent coordinates in training, beside hundreds of units near 1.
LATENT_LENGTH = 30.0


@dataclass(frozen=True, slots=True)
class Bags:
    """A batch of sparse rows: row i holds `values[offsets[i]:offsets[i + 1]]` at `indices`."""

    indices: Tensor
    values: Tensor
    offsets: Tensor


Batch = Tensor | Bags


def product(batch: Batch, weight: Tensor) -> Tensor:
    """Rows (n, n_in), sparse or dense, times (n_in, n_out): (n, n_out)."""
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

    `encoder[-1]` gives raw logits. A bottleneck makes a code of them; `decode` starts from there.
    `decoder[-1 - i]` rebuilds what `encoder[i]` takes, but the last may rebuild something else of
    the item than its features (`objectives`).
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
        """What a bottleneck takes, float32, (n, n_bits) or a multiple of it wide."""
        active = self.hidden(len(self.encoder) - 1, batch) if len(self.encoder) > 1 else batch
        return self.encoder[-1].forward(active).float()  # (n, n_raw)

    def hidden(self, count: int, batch: Batch) -> Tensor:
        """The output of the first `count` >= 1 hidden layers; of all, with latent coordinates."""
        active = self.activated(self.encoder[0].forward(batch))  # (n, hidden[0])
        for layer in self.encoder[1:count]:
            active = self.activated(layer.forward(active))  # (n, hidden[i])
        if self.latent is not None and count == len(self.encoder) - 1:
            sums = product(batch, self.latent).float()  # (n, n_latent)
            length = torch.rsqrt(sums.square().sum(dim=1, keepdim=True) + NORM_FLOOR)  # (n, 1)
            active = torch.cat([active, LATENT_LENGTH * length * sums], dim=1)
        return active

    @property
    def n_latent(self) -> int:
        """So many of the columns that enter the last layer are coordinates, the last ones."""
        return 0 if self.latent is None else self.latent.shape[1]

    def activated(self, sums: Tensor) -> Tensor:
        """The output of a hidden layer of the encoder that sums up to this, (n, width)."""
        if self.normalised:
            sums = functional.layer_norm(sums, sums.shape[1:], eps=NORM_FLOOR)
        return functional.relu(sums)

    def decode(self, code: Tensor) -> Tensor:
        """(n, n_outputs) from codes (n, n_bits): the last layer's output, no nonlinearity."""
        active = 2.0 * code - 1.0  # (n, n_bits), bits as -1 and 1
        for layer in self.decoder[:-1]:
            active = functional.relu(layer.forward(active))  # (n, hidden[i]), backwards
        return self.decoder[-1].forward(active)


class Trunk(ABC):
    """The layers from features to logits and back: made anew for each network, and exported.

    `features` are what the network takes of the training items, times `scale`. That need not be
    the items' own features: `of_items` says how an encoder of it takes those.
    """

    features: Features
    scale: float

    @abstractmethod
    def network(
        self, n_bits: int, n_raw: int, n_outputs: int | None, generator: torch.Generator
    ) -> Autoencoder:
        """A new one; its encoder gives n_raw raw numbers, its decoder takes n_bits.

        The decoder gives `n_outputs` numbers; None: as many as there are features.
        """

    @abstractmethod
    def export(self, network: Autoencoder, moments: LogitMoments, logit_scale: float) -> Encoder:
        """The encoder half in NumPy, of `features`, with the normalisation folded in.

        Raises ValueError if the weights are too large for exact sums.
        """

    def of_items(self, encoder: Encoder) -> Encoder:
        """What `export` gave, as an encoder of the items' own features."""
        return encoder


def unit_scale(features: Features) -> float:
    """What makes the root mean square of the features' stored numbers 1."""
    mean_square = float(np.square(values_of(features), dtype=np.float64).mean())
    return float(1.0 / np.sqrt(max(mean_square, 1e-12)))
