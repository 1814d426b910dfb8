"""The convolutional trunk: strided convolutions from pixels to logits, transposed ones back.

Convolutions of stride 2 in place of pooling, and transposed convolutions in the decoder (Radford,
Metz and Chintala, "Unsupervised representation learning with deep convolutional generative
adversarial networks", ICLR 2016, section 3; stacked, Masci et al., "Stacked convolutional
auto-encoders for hierarchical feature extraction", ICANN 2011). Rows are images in (height, width,
channels) order, as the image features are.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from hashret.models.conv import KERNEL, STRIDE, ConvEncoder, halved
from hashret.models.patches import Shape
from hashret.specs.encoders import ConvSpec
from indexer.training.networks.autoencoder import (
    Autoencoder,
    Batch,
    DecoderLayer,
    Layer,
    Trunk,
    unit_scale,
)
from indexer.training.networks.bottleneck import LogitMoments
from indexer.training.networks.dense import Linear
from indexer.training.networks.export import on_grid, weights_of
from indexer.training.presets import Conv
from indexer.training.training_set import Preparation


def _images(batch: Batch, shape: Shape) -> Tensor:
    """Rows (n, height x width x channels) as (n, channels, height, width), channels last."""
    if not isinstance(batch, Tensor):
        raise TypeError("features: expected dense rows of pixels, got sparse ones; pass an array")
    return batch.view(-1, *shape).permute(0, 3, 1, 2)


def _rows(images: Tensor) -> Tensor:
    """(n, channels, height, width) as rows (n, height x width x channels)."""
    return images.permute(0, 2, 3, 1).flatten(1)


class Convolution(Layer):
    """3 x 3, stride 2, zero padding: (height, width, channels) to half the size, n_out channels.

    The weight is (9 x channels, n_out), rows in (height, width, channels) order of a patch.
    """

    def __init__(self, shape: Shape, n_out: int, generator: torch.Generator):
        super().__init__()
        self.shape = shape
        n_in = KERNEL * KERNEL * shape[2]
        self.weight = nn.Parameter(torch.empty(n_in, n_out))
        self.bias = nn.Parameter(torch.zeros(n_out))
        with torch.no_grad():
            self.weight.normal_(0.0, math.sqrt(2.0 / n_in), generator=generator)

    def forward(self, batch: Batch) -> Tensor:
        """(n, height / 2 x width / 2 x n_out)."""
        taps = self.weight.view(KERNEL, KERNEL, self.shape[2], -1)  # (3, 3, channels, n_out)
        kernel = taps.permute(3, 2, 0, 1)  # (n_out, channels, 3, 3)
        images = _images(batch, self.shape)  # (n, channels, height, width)
        return _rows(functional.conv2d(images, kernel, self.bias, STRIDE, KERNEL // 2))


class TransposedConvolution(DecoderLayer):
    """The way back: from half the size to `shape` (height, width, channels)."""

    def __init__(self, shape: Shape, n_in: int, generator: torch.Generator):
        super().__init__()
        self.shape = shape
        self.weight = nn.Parameter(torch.empty(n_in, shape[2], KERNEL, KERNEL))
        self.bias = nn.Parameter(torch.zeros(shape[2]))
        taps = n_in * KERNEL * KERNEL / STRIDE**2  # terms that are added in one output
        with torch.no_grad():
            self.weight.normal_(0.0, math.sqrt(2.0 / taps), generator=generator)

    def forward(self, batch: Batch) -> Tensor:
        """(n, height x width x channels)."""
        height, width, _ = self.shape
        small = (*halved(height, width), self.weight.shape[0])
        images = _images(batch, small)  # (n, n_in, height / 2, width / 2)
        # an odd and the next even size have the same half; the even one needs one more row
        more = (1 - height % 2, 1 - width % 2)
        return _rows(
            functional.conv_transpose2d(
                images, self.weight, self.bias, STRIDE, KERNEL // 2, output_padding=more
            )
        )

    def start_at(self, mean: Tensor) -> None:
        """Set the bias to the mean of each channel and halve the weights."""
        with torch.no_grad():
            self.bias.copy_(mean.view(-1, self.shape[2]).mean(dim=0))
            self.weight.mul_(0.5)


def conv_autoencoder(
    shape: Shape,
    filters: tuple[int, ...],
    n_bits: int,
    generator: torch.Generator,
    n_outputs: int | None = None,
    *,
    n_raw: int | None = None,
) -> Autoencoder:
    """Images of `shape` -> a block of stride 2 for each number of filters -> n_raw, and back.

    The decoder takes n_bits; its last layer returns pixels again, or `n_outputs` other numbers.
    `n_raw` None: as many as bits.
    """
    encoder: list[Layer] = []
    decoder: list[DecoderLayer] = []
    for n_out in filters:
        encoder.append(Convolution(shape, n_out, generator))
        smaller = (*halved(shape[0], shape[1]), n_out)
        if decoder or n_outputs is None:
            decoder.insert(0, TransposedConvolution(shape, n_out, generator))
        else:
            decoder.append(Linear(math.prod(smaller), n_outputs, generator))
        shape = smaller
    n_flat = math.prod(shape)
    encoder.append(Linear(n_flat, n_bits if n_raw is None else n_raw, generator))
    decoder.insert(0, Linear(n_bits, n_flat, generator))
    return Autoencoder(encoder, decoder)


class ConvTrunk(Trunk):
    """Convolutions over the pixels of images of one shape."""

    def __init__(self, settings: Conv, preparation: Preparation):
        if preparation.items.shape is None:
            raise ValueError("shape: expected that of images, got none; pass that of the features")
        self.settings = settings
        self.shape = preparation.items.shape
        self.features = preparation.items.features
        self.scale = unit_scale(self.features)

    def network(
        self, n_bits: int, n_raw: int, n_outputs: int | None, generator: torch.Generator
    ) -> Autoencoder:
        """A new network for images of the shape."""
        filters = self.settings.filters
        return conv_autoencoder(self.shape, filters, n_bits, generator, n_outputs, n_raw=n_raw)

    def export(
        self, network: Autoencoder, moments: LogitMoments, logit_scale: float
    ) -> ConvEncoder:
        """The encoder half as a `ConvEncoder`."""
        return export_conv(network, self.shape, moments, self.scale, logit_scale)


def export_conv(
    network: Autoencoder,
    shape: Shape,
    moments: LogitMoments,
    input_scale: float,
    logit_scale: float,
) -> ConvEncoder:
    """The encoder half as a `ConvEncoder`; see `dense.export`."""
    weights, biases, clamps = on_grid(*weights_of(network), moments)
    spec = ConvSpec(
        height=shape[0],
        width=shape[1],
        channels=shape[2],
        filters=tuple(int(weight.shape[1]) for weight in weights[:-1]),
        n_bits=int(weights[-1].shape[1]),
        input_scale=input_scale,
        clamps=clamps,
        logit_scale=logit_scale,
    )
    return ConvEncoder(spec, weights, [np.asarray(bias) for bias in biases])
