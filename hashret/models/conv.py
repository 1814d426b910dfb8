"""Apply a convolutional encoder in NumPy: pixels in, codes out, bit for bit the same.

A convolution is a matrix product over the patches of its input, so the arithmetic is that of
`dense.DenseEncoder`: all on the fixed-point grid of `fixed_point`, exact in any order. Zero padding
adds nothing to a sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hashret.models.exact_encoder import ExactEncoder, layers_of, named_layers
from hashret.models.fixed_point import to_grid
from hashret.sparse import Features
from hashret.specs.encoders import ConvSpec

KERNEL, STRIDE = 3, 2
#: Number of images encoded at once, which bounds the memory of patches and never changes a code.
_TILE_IMAGES = 128


def halved(height: int, width: int) -> tuple[int, int]:
    """The size after a convolution of stride 2."""
    return (height + 1) // 2, (width + 1) // 2


class ConvEncoder(ExactEncoder[ConvSpec]):
    """3 x 3 convolutions of stride 2 with ReLU between them, then a logit for each bit.

    `weights[i]` is (9 x channels in, channels out) float32, the last (n_flat, n_bits); `biases[i]`
    float64; all multiples of 2^-16. Clamps are as in `dense.DenseEncoder`.
    """

    def __init__(self, spec: ConvSpec, weights: list[np.ndarray], biases: list[np.ndarray]):
        super().__init__(spec)
        self._weights = [np.asarray(weight, np.float64) for weight in weights]
        self._biases = biases

    def _tile_rows(self) -> int:
        return _TILE_IMAGES

    def _tile_logits(self, tile: Features) -> np.ndarray:
        spec = self._spec
        active = self._inputs(self._require_dense(tile))  # (n, height x width x channels)
        active = active.reshape(len(tile), spec.height, spec.width, spec.channels)
        layers = zip(self._weights[:-1], self._biases[:-1], spec.clamps[1:], strict=True)
        for weight, bias, clamp in layers:
            sums = _patches(active) @ weight  # (n, height / 2, width / 2, channels out)
            sums += bias
            active = to_grid(np.clip(sums, 0.0, clamp))
        logits: np.ndarray = active.reshape(len(tile), len(self._weights[-1])) @ self._weights[-1]
        logits += self._biases[-1]
        return logits

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays by name: ``layers.I.weight`` and ``layers.I.bias``."""
        return named_layers(self._weights, self._biases)

    @classmethod
    def from_tensors(cls, spec: ConvSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild an encoder. Raises DamagedError if an array is not as the spec says."""
        return cls(spec, *layers_of(spec, tensors))


def _patches(images: np.ndarray) -> np.ndarray:
    """(n, height / 2, width / 2, 9 x channels): what each output of a convolution sees."""
    n, height, width, channels = images.shape
    margin = KERNEL // 2
    padded = np.zeros((n, height + 2 * margin, width + 2 * margin, channels))
    padded[:, margin : margin + height, margin : margin + width] = images
    # (n, height / 2, width / 2, channels, 3, 3)
    windows = sliding_window_view(padded, (KERNEL, KERNEL), axis=(1, 2))[:, ::STRIDE, ::STRIDE]
    size = KERNEL * KERNEL * channels
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(n, *halved(height, width), size)
