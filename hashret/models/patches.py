"""The first layer for images: one convolution with patches, its answers pooled over a grid.

Filters answer to patches that are centred and scaled to one contrast; the ReLU keeps what answers
well, and square roots of the means over the cells of a grid are the features of the image, beside
the mean colour of each cell (Coates, Ng and Lee, "An analysis of single-layer networks in
unsupervised feature learning", AISTATS 2011, section 3; a linear filter and a threshold in place of
distances, Coates and Ng, "The importance of encoding versus training with sparse coding and vector
quantization", ICML 2011). How the filters are learned: `indexer.training.patch_dictionary`.

All sums lie on the grid of `fixed_point`, and everything else is one rounding of one number at a
time, so an image's features are the same in any batch and on any machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hashret.errors import DamagedError
from hashret.models.dense import DenseEncoder
from hashret.models.exact_encoder import ExactEncoder, tensor_of
from hashret.models.fixed_point import EXACT_SUM, to_grid
from hashret.sparse import Features
from hashret.specs import PatchSpec

#: Clamp of pixels in units of the input scale, with which their squares add up exactly.
PIXEL_CLAMP = 64.0
#: Clamp of answers and features: float32 holds them exactly, with 16 bits after the point.
_FEATURE_CLAMP = 128.0
#: Added to the variance of a patch, so that flat ones are not amplified to full contrast.
_VARIANCE_FLOOR = 1e-3
#: Number of images whose patches are computed at once: these fit a core's cache.
_TILE_IMAGES = 4
#: Number of images encoded at once, which bounds memory and never changes a code.
_BATCH_IMAGES = 256

Shape = tuple[int, int, int]


@dataclass(frozen=True, eq=False)
class PatchLayer:
    """Rows of pixels to features of their patches.

    Filters and biases are multiples of 2^-16; the sum of a filter's absolute values is at most
    `fixed_point.EXACT_SUM` / `PIXEL_CLAMP`.
    """

    shape: Shape
    """Height, width and channels of an image."""
    side: int
    """Height and width of a patch, in pixels."""
    cells: int
    """Cells a side that answers are pooled over; fewer where there are fewer places."""
    input_scale: float
    """Pixels are multiplied by this first."""
    filters: np.ndarray
    """(side x side x channels, n_filters) float32; each adds up to 0: light says nothing."""
    bias: np.ndarray
    """(n_filters,) float64."""
    mean: np.ndarray
    """(n_out,) float64: the mean features, which are subtracted first."""
    scale: np.ndarray
    """(n_out,) float64: factors of the features after the mean is subtracted."""

    @property
    def n_places(self) -> int:
        """The number of patches in an image."""
        return (self.shape[0] - self.side + 1) * (self.shape[1] - self.side + 1)

    @property
    def n_answers(self) -> int:
        """The number of filter answers among the features; they come first, then colours."""
        height, width = (min(self.cells, n - self.side + 1) for n in self.shape[:2])
        return height * width * self.filters.shape[1]

    def features(self, pixels: np.ndarray) -> np.ndarray:
        """(n, n_out) float32 multiples of 2^-16 from finite (n, height x width x channels)."""
        found = np.empty((len(pixels), len(self.mean)), np.float32)
        for start in range(0, len(pixels), _TILE_IMAGES):
            tile = slice(start, start + _TILE_IMAGES)
            scaled = (self.pooled(pixels[tile]) - self.mean) * self.scale
            found[tile] = to_grid(np.clip(scaled, -_FEATURE_CLAMP, _FEATURE_CLAMP))
        return found

    def pooled(self, pixels: np.ndarray) -> np.ndarray:
        """(n, n_out) float64: roots of the cells' mean answers, then the cells' mean colours."""
        images = self._images(pixels)
        answers = _patches_of(images, self.side) @ np.asarray(self.filters, np.float64)
        answers *= _inverse_contrasts(images, self.side)
        answers += self.bias
        np.clip(answers, 0.0, _FEATURE_CLAMP, out=answers)
        roots = np.sqrt(_cell_means(to_grid(answers), self.cells))
        return np.hstack([roots, _cell_means(images, self.cells)])

    def patches(self, pixels: np.ndarray) -> np.ndarray:
        """(n, down, across, side x side x channels) float64: patches of one contrast, uncentred."""
        images = self._images(pixels)
        return _patches_of(images, self.side) * _inverse_contrasts(images, self.side)

    def _images(self, pixels: np.ndarray) -> np.ndarray:
        scaled = np.asarray(pixels, np.float64) * self.input_scale
        return to_grid(np.clip(scaled, -PIXEL_CLAMP, PIXEL_CLAMP)).reshape(-1, *self.shape)


def _patches_of(images: np.ndarray, side: int) -> np.ndarray:
    """(n, down, across, side x side x channels): all patches of (n, height, width, channels)."""
    windows = sliding_window_view(images, (side, side), axis=(1, 2))
    n, down, across = windows.shape[:3]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(n, down, across, -1)


def _inverse_contrasts(images: np.ndarray, side: int) -> np.ndarray:
    """(n, down, across, 1): 1 over the standard deviation of each patch of images on the grid."""
    size = side * side * images.shape[3]
    mean = _window_sums(images.sum(axis=3), side) / size
    mean_square = _window_sums(np.square(images).sum(axis=3), side) / size
    variance = np.maximum(mean_square - np.square(mean), 0.0)
    return np.asarray(1.0 / np.sqrt(variance + _VARIANCE_FLOOR))[..., None]


def _window_sums(maps: np.ndarray, side: int) -> np.ndarray:
    """Sums over side x side of (n, height, width), at every place where they fit."""
    rows = sliding_window_view(maps, side, axis=1).sum(axis=-1)
    return np.asarray(sliding_window_view(rows, side, axis=2).sum(axis=-1))


def _cell_means(maps: np.ndarray, cells: int) -> np.ndarray:
    """(n, cells x channels): the means over a grid of cells of (n, down, across, channels).

    Where a side is no multiple of `cells`, cells overlap by one row or column.
    """
    means = [
        maps[:, rows, columns].mean(axis=(1, 2))
        for rows in _cells(maps.shape[1], cells)
        for columns in _cells(maps.shape[2], cells)
    ]
    return np.hstack(means)


def _cells(length: int, cells: int) -> list[slice]:
    count = min(cells, length)
    return [slice(i * length // count, -(-(i + 1) * length // count)) for i in range(count)]


class PatchEncoder(ExactEncoder[PatchSpec]):
    """A convolution whose answers are pooled (`PatchLayer`), then a `DenseEncoder` of these."""

    def __init__(self, spec: PatchSpec, layer: PatchLayer, dense: DenseEncoder):
        super().__init__(spec)
        self._layer = layer
        self._dense = dense

    @classmethod
    def of(cls, layer: PatchLayer, dense: DenseEncoder) -> Self:
        """An encoder that applies `dense` to the features of `layer`.

        `dense` must have an input scale of 1, and neither a query tower nor latent coordinates.
        """
        height, width, channels = layer.shape
        spec = PatchSpec(
            height=height,
            width=width,
            channels=channels,
            n_bits=dense.n_bits,
            n_filters=layer.filters.shape[1],
            side=layer.side,
            cells=layer.cells,
            hidden=dense.spec.hidden,
            input_scale=layer.input_scale,
            clamps=dense.spec.clamps,
            logit_scale=dense.spec.logit_scale,
        )
        if spec.dense() != dense.spec:
            raise ValueError(
                f"dense: expected an encoder of the layer's features, {spec.dense()}, "
                f"got {dense.spec}; train it on them"
            )
        return cls(spec, layer, dense)

    def _tile_rows(self) -> int:
        return _BATCH_IMAGES

    def _tile_logits(self, tile: Features) -> np.ndarray:
        pixels = self._require_dense(tile)
        self._require_finite(pixels)
        return self._dense.logits(self._layer.features(pixels))

    def answers(self, features: Features) -> np.ndarray:
        """The filters' pooled answers, centred and scaled, (n, n_answers) float32."""
        pixels = self._require_dense(features)
        self._require_finite(pixels)
        return self._layer.features(pixels)[:, : self._layer.n_answers]

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays: those of the dense layers, and ``patches.`` filters and the like."""
        layer = self._layer
        return self._dense.tensors() | {
            "patches.filters": layer.filters,
            "patches.bias": layer.bias,
            "patches.mean": layer.mean,
            "patches.scale": layer.scale,
        }

    @classmethod
    def from_tensors(cls, spec: PatchSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild an encoder; the arrays may be read-only and memory-mapped.

        Raises DamagedError if a tensor is missing, has another shape or type than the spec says, or
        has filters too large for exact sums.
        """
        size = spec.side * spec.side * spec.channels
        wide = (spec.dense().n_features,)
        filters = tensor_of(tensors, "patches.filters", (size, spec.n_filters), np.float32)
        bias = tensor_of(tensors, "patches.bias", (spec.n_filters,), np.float64)
        largest = np.abs(filters).sum(axis=0, dtype=np.float64).max()
        if not largest * PIXEL_CLAMP <= EXACT_SUM:  # NaN neither
            raise DamagedError("model: expected smaller filters of patches; train it again")
        layer = PatchLayer(
            shape=(spec.height, spec.width, spec.channels),
            side=spec.side,
            cells=spec.cells,
            input_scale=spec.input_scale,
            filters=filters,
            bias=bias,
            mean=tensor_of(tensors, "patches.mean", wide, np.float64),
            scale=tensor_of(tensors, "patches.scale", wide, np.float64),
        )
        return cls(spec, layer, DenseEncoder.from_tensors(spec.dense(), tensors))
