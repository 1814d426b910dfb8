"""Autoencoders as they are trained, and the dense one: linear layers to the bits and up again.

Weights are stored (n_in, n_out): a batch of sparse rows then needs only the rows of the first
matrix that occur in it, and export keeps the layout that queries read. `export` turns a trained
network into the NumPy encoder that is kept; the decoder is thrown away.
"""

from __future__ import annotations

import math
from itertools import pairwise

import torch
from torch import Tensor, nn

from indexer.training.networks.autoencoder import Autoencoder, Bags, Batch, DecoderLayer, product


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
