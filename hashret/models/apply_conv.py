"""Apply a convolutional encoder in NumPy: pixels in, codes out, bit for bit the same.

A convolution is a matrix product over the patches of its input, so the arithmetic is that of
`apply.DenseEncoder`: all on the fixed-point grid of `fixed_point`, exact in any order. Zero padding
adds nothing to a sum.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hashret.codes import Codes
from hashret.errors import DamagedError, PayloadError
from hashret.models.apply import sigmoid, tensor_of
from hashret.models.fixed_point import to_grid
from hashret.sparse import Features, SparseRows
from hashret.specs import ConvSpec

KERNEL, STRIDE = 3, 2
#: Images encoded at once: bounds the memory of a bulk call, never changes its result.
_TILE_IMAGES = 128


def halved(height: int, width: int) -> tuple[int, int]:
    """The size after a convolution of stride 2."""
    return (height + 1) // 2, (width + 1) // 2


class ConvEncoder:
    """3 x 3 convolutions of stride 2 with ReLU between them, then a logit for each bit.

    `weights[i]` is (9 x channels in, channels out) float32, the last (n_flat, n_bits); `biases[i]`
    float64; all multiples of 2^-16. Clamps are as in `apply.DenseEncoder`.
    """

    def __init__(self, spec: ConvSpec, weights: list[np.ndarray], biases: list[np.ndarray]):
        self._spec = spec
        self._weights = [np.asarray(weight, np.float64) for weight in weights]
        self._biases = biases

    @property
    def spec(self) -> ConvSpec:
        """What to rebuild the encoder from, together with `tensors`."""
        return self._spec

    @property
    def n_features(self) -> int:
        """height x width x channels."""
        return self._spec.n_features

    @property
    def n_bits(self) -> int:
        """The length of the codes given, in bits."""
        return self._spec.n_bits

    def logits(self, features: Features) -> np.ndarray:
        """(n, n_bits) float64 logits: a bit is 1 where its logit is positive.

        Raises PayloadError if the features are sparse, have another width than `n_features`, or
        are not finite.
        """
        if isinstance(features, SparseRows) or features.shape[1:] != (self.n_features,):
            raise PayloadError(
                f"features: expected dense (n, {self.n_features}), got {features.shape}; "
                "use the featurizer that was fitted with this model"
            )
        logits = np.empty((len(features), self.n_bits))
        for start in range(0, len(features), _TILE_IMAGES):
            tile = slice(start, start + _TILE_IMAGES)
            logits[tile] = self._tile_logits(features[tile])
        return logits

    def _tile_logits(self, tile: np.ndarray) -> np.ndarray:
        if not np.isfinite(tile).all():
            raise PayloadError(
                "features: expected finite numbers, got NaN or infinity; leave the item out"
            )
        spec = self._spec
        scaled = np.asarray(tile, np.float64) * spec.input_scale
        active = to_grid(np.clip(scaled, -spec.clamps[0], spec.clamps[0]))
        active = active.reshape(len(tile), spec.height, spec.width, spec.channels)
        layers = zip(self._weights[:-1], self._biases[:-1], spec.clamps[1:], strict=True)
        for weight, bias, clamp in layers:
            sums = _patches(active) @ weight
            sums += bias
            active = to_grid(np.clip(sums, 0.0, clamp))
        logits: np.ndarray = active.reshape(len(tile), -1) @ self._weights[-1]
        logits += self._biases[-1]
        return logits

    def encode(self, features: Features) -> Codes:
        """The codes of n rows of features; see `logits`."""
        return Codes.pack(self.logits(features) > 0)

    def probabilities(self, logits: np.ndarray) -> np.ndarray:
        """How certain it is that each bit is 1: the sigmoid of the scaled logits, float32."""
        return sigmoid(logits, self._spec.logit_scale)

    def confidences(self, features: Features, logits: np.ndarray) -> np.ndarray:
        """The `probabilities`."""
        return self.probabilities(logits)

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays by name: ``layers.I.weight`` and ``layers.I.bias``."""
        named = {
            f"layers.{i}.weight": weight.astype(np.float32)
            for i, weight in enumerate(self._weights)
        }
        return named | {f"layers.{i}.bias": bias for i, bias in enumerate(self._biases)}

    @classmethod
    def from_tensors(cls, spec: ConvSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild an encoder. Raises DamagedError if an array is not as the spec says."""
        shapes = spec.layer_shapes()
        if len(spec.clamps) != len(shapes):
            raise DamagedError(
                f"model: expected {len(shapes)} clamps, got {len(spec.clamps)}; train it again"
            )
        weights, biases = [], []
        for i, shape in enumerate(shapes):
            weights.append(tensor_of(tensors, f"layers.{i}.weight", shape, np.float32))
            biases.append(tensor_of(tensors, f"layers.{i}.bias", shape[1:], np.float64))
        return cls(spec, weights, biases)


def _patches(images: np.ndarray) -> np.ndarray:
    """(n, height / 2, width / 2, 9 x channels): what each output of a convolution sees."""
    n, height, width, channels = images.shape
    margin = KERNEL // 2
    padded = np.zeros((n, height + 2 * margin, width + 2 * margin, channels))
    padded[:, margin : margin + height, margin : margin + width] = images
    windows = sliding_window_view(padded, (KERNEL, KERNEL), axis=(1, 2))[:, ::STRIDE, ::STRIDE]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(n, *halved(height, width), -1)
