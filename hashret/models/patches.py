"""The first layer for images: a convolution with learned patches, pooled over a grid of cells.

Every patch of an image is centred and scaled to unit contrast, multiplied with the filters, and
passed through a ReLU: these are its filter responses. The features of the image are the square
roots of the mean responses in each cell of a grid, and the mean colour of each cell. Sources:
Coates, Ng and Lee, "An analysis of single-layer networks in unsupervised feature learning", AISTATS
2011, section 3; Coates and Ng, "The importance of encoding versus training with sparse coding and
vector quantization", ICML 2011 (a linear filter and a threshold instead of distances).
`indexer.training.patch_dictionary` learns the filters. The features of an invariant layer are the
means and deviations of those of all `versions` of the image, mirrored and turned.

All sums are of numbers on the grid of `fixed_point`, and so exact; all else rounds single numbers.
So an image's features are the same in any batch and on any machine.
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
from hashret.specs.encoders import PatchSpec

#: Clamp of pixels in units of the input scale, so that sums of their squares are exact.
PIXEL_CLAMP = 64.0
#: Clamp of responses and features: float32 holds them exactly, with 16 bits after the point.
_FEATURE_CLAMP = 128.0
#: Added to the variance of a patch, so that flat ones are not amplified to full contrast.
VARIANCE_FLOOR = 1e-3
#: Number of images whose patches are computed at once: these fit a core's cache.
_TILE_IMAGES = 4
#: Number of images encoded at once, which bounds memory and never changes a code.
_BATCH_IMAGES = 256

Shape = tuple[int, int, int]


def versions(images: np.ndarray, invariant: tuple[str, ...]) -> list[np.ndarray]:
    """What is to look the same as some images (n, height, width, channels), these first.

    With "mirror" in `invariant` their mirror images, left for right; with "rotation" the images
    turned by one, two and three quarters; with both all eight.
    """
    found = [images]
    if "rotation" in invariant:
        found = [np.rot90(images, quarters, axes=(1, 2)) for quarters in range(4)]
    if "mirror" in invariant:
        found += [each[:, :, ::-1] for each in found]
    return found


def mean_and_deviation(of_versions: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """The mean and the mean absolute deviation of what was computed of each version."""
    mean = np.mean(of_versions, axis=0)
    return mean, np.mean([np.abs(each - mean) for each in of_versions], axis=0)


@dataclass(frozen=True, eq=False)
class PatchLayer:
    """The map from pixels to the features of their patches.

    Filters and biases are multiples of 2^-16; the sum of a filter's absolute values is at most
    `fixed_point.EXACT_SUM` / `PIXEL_CLAMP`.
    """

    shape: Shape
    """Height, width and channels of an image."""
    side: int
    """Height and width of a patch, in pixels."""
    cells: int
    """The number of rows, and of columns, of the grid of cells over which responses are pooled;
    fewer if a small image has fewer responses."""
    input_scale: float
    """The factor by which pixels are multiplied first."""
    filters: np.ndarray
    """(side x side x channels, n_filters) float32; each sums to 0, so brightness has no effect."""
    bias: np.ndarray
    """(n_filters,) float64."""
    mean: np.ndarray
    """(n_out,) float64: the mean features, which are subtracted first."""
    scale: np.ndarray
    """(n_out,) float64: factors of the features after the mean is subtracted."""
    invariant: tuple[str, ...] = ()
    """What changes no feature (`specs.INVARIANCES`); with "rotation" images are square."""

    @property
    def n_places(self) -> int:
        """The number of patches in an image."""
        return (self.shape[0] - self.side + 1) * (self.shape[1] - self.side + 1)

    @property
    def n_responses(self) -> int:
        """The number of filter responses among the features; colours come after them."""
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
        """The features, not centred, (n, n_out) float64: roots of mean responses, then colours.

        Of an invariant layer, the means of both over all versions of the image, and then their mean
        absolute deviations from these, which say how far the versions differ.
        """
        images = self._images(pixels)
        if not self.invariant:
            return self._pooled(images)
        found = [to_grid(self._pooled(each)) for each in versions(images, self.invariant)]
        # on the grid, so the order in which versions are added changes nothing
        return np.hstack(mean_and_deviation(found))

    def _pooled(self, images: np.ndarray) -> np.ndarray:
        responses = _patches_of(images, self.side) @ np.asarray(self.filters, np.float64)
        responses *= _inverse_contrasts(images, self.side)
        responses += self.bias
        np.clip(responses, 0.0, _FEATURE_CLAMP, out=responses)
        roots = np.sqrt(_cell_means(to_grid(responses), self.cells))
        return np.hstack([roots, _cell_means(images, self.cells)])

    def patches(self, pixels: np.ndarray) -> np.ndarray:
        """The patches scaled to unit contrast, not centred, (n, down, across, size) float64.

        The size of a patch is side x side x channels.
        """
        images = self._images(pixels)
        return _patches_of(images, self.side) * _inverse_contrasts(images, self.side)

    def _images(self, pixels: np.ndarray) -> np.ndarray:
        scaled = np.asarray(pixels, np.float64) * self.input_scale
        return to_grid(np.clip(scaled, -PIXEL_CLAMP, PIXEL_CLAMP)).reshape(-1, *self.shape)


def _patches_of(images: np.ndarray, side: int) -> np.ndarray:
    """(n, down, across, side x side x channels): all patches of (n, height, width, channels)."""
    windows = sliding_window_view(images, (side, side), axis=(1, 2))
    size = side * side * images.shape[3]
    return windows.transpose(0, 1, 2, 4, 5, 3).reshape(*windows.shape[:3], size)


def _inverse_contrasts(images: np.ndarray, side: int) -> np.ndarray:
    """(n, down, across, 1): 1 over the standard deviation of each patch of images on the grid."""
    size = side * side * images.shape[3]
    mean = _window_sums(images.sum(axis=3), side) / size
    mean_square = _window_sums(np.square(images).sum(axis=3), side) / size
    variance = np.maximum(mean_square - np.square(mean), 0.0)
    return np.asarray(1.0 / np.sqrt(variance + VARIANCE_FLOOR))[..., None]


def _window_sums(maps: np.ndarray, side: int) -> np.ndarray:
    """The sums over all windows of side x side in (n, height, width)."""
    rows = sliding_window_view(maps, side, axis=1).sum(axis=-1)
    return np.asarray(sliding_window_view(rows, side, axis=2).sum(axis=-1))


def _cell_means(maps: np.ndarray, cells: int) -> np.ndarray:
    """The means over a grid of cells, (n, cells x channels), of (n, down, across, channels).

    If a side is not a multiple of `cells`, neighbouring cells overlap by one row or column.
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
    """A convolution whose responses are pooled (`PatchLayer`), followed by a `DenseEncoder`."""

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
            invariant=layer.invariant,
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

    def activations(self, features: Features) -> list[np.ndarray]:
        """What each hidden dense layer hands to the next, (n, units) float64 each."""
        pixels = self._require_dense(features)
        self._require_finite(pixels)
        return self._dense.activations(self._layer.features(pixels))

    def responses(self, features: Features) -> np.ndarray:
        """The pooled filter responses, centred and scaled, (n, n_responses) float32."""
        pixels = self._require_dense(features)
        self._require_finite(pixels)
        return self._layer.features(pixels)[:, : self._layer.n_responses]

    def tensors(self) -> dict[str, np.ndarray]:
        """The learned arrays by name: those of the dense layers, and ``patches.*``."""
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
        if not largest * PIXEL_CLAMP <= EXACT_SUM:  # also refuses NaN
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
            invariant=spec.invariant,
        )
        return cls(spec, layer, DenseEncoder.from_tensors(spec.dense(), tensors))
