"""Take the noise out of an image of any size, patch by patch.

A dense network sees a noisy patch and the standard deviation of its noise, and says what the noise
in it is; that is taken away from each of many overlapping patches, and pixels are the means over
the patches that hold them. It is a denoising autoencoder (Vincent et al., "Stacked denoising
autoencoders", JMLR 2010) that is used as in Burger, Schuler and Harmeling, "Image denoising: can
plain neural networks compete with BM3D?", CVPR 2012. `indexer.training.denoising` teaches it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Self

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hashret.decoders.denoiser import require_tensors
from hashret.specs.denoisers import PatchDenoiserSpec

#: The most noise that is learned, as a share of the range from black to white.
MOST_NOISE = 0.4
#: Levels of noise for which it is learned what `detail` is read from the collection's images.
LEVELS = np.array([0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, MOST_NOISE])
#: Pixels between patches that follow each other; 1 takes four times as long and gained .02 dB.
_STRIDE = 2
#: Side of the tiles in which an image is done, in pixels: they bound memory, and change nothing.
_TILE = 128
#: The median of the absolute value of a normal number, in standard deviations.
_MEDIAN = 0.6745


class PatchDenoiser:
    """A fitted denoiser of images whose levels go from 0, black, to 1, white."""

    def __init__(
        self,
        spec: PatchDenoiserSpec,
        weights: Sequence[np.ndarray],
        biases: Sequence[np.ndarray],
        readings: np.ndarray,
    ):
        """A weight (n_in, n_out) and a bias (n_out,) for each of `spec.layer_shapes()`.

        `readings` (2, len(LEVELS)) is the usual `detail` of the collection's images with noise of
        each level: as it is, and cut at black and white.
        """
        self.spec = spec
        self._weights = [weight.astype(np.float32) for weight in weights]
        self._biases = [bias.astype(np.float32) for bias in biases]
        self._readings = np.maximum.accumulate(readings.astype(np.float64), axis=1)
        window = np.hanning(spec.side + 2)[1:-1].astype(np.float32)
        self._window = window

    def noise_of(self, noisy: np.ndarray) -> float:
        """The standard deviation of the noise of an image (height, width, channels), estimated.

        It is the one with which the collection's own images have as much `detail`, from 0 to
        `MOST_NOISE`: so their texture is not taken for noise.
        """
        is_cut = bool(noisy.min() >= 0.0 and noisy.max() <= 1.0)
        readings = self._readings[int(is_cut)]
        distinct = np.flatnonzero(np.diff(readings, prepend=-1.0) > 0)
        return float(np.interp(detail(noisy), readings[distinct], LEVELS[distinct]))

    def denoised(self, noisy: np.ndarray, noise: float) -> np.ndarray:
        """The image (height, width, channels) without its noise, float32, of any size.

        More noise than `MOST_NOISE` is treated as that. Every channel is denoised by itself where
        the network sees one channel; where it sees three, it gets a single one three times.
        """
        noisy = np.asarray(noisy, np.float32)
        noise = min(noise, MOST_NOISE)
        if self.spec.channels == 1:
            parts = [self._whole(noisy[:, :, i : i + 1], noise) for i in range(noisy.shape[2])]
            return np.concatenate(parts, axis=2)
        if noisy.shape[2] == 3:
            return self._whole(noisy, noise)
        parts = [
            self._whole(np.repeat(noisy[:, :, i : i + 1], 3, axis=2), noise)
            for i in range(noisy.shape[2])
        ]
        return np.concatenate([part.mean(axis=2, keepdims=True) for part in parts], axis=2)

    def _whole(self, noisy: np.ndarray, noise: float) -> np.ndarray:
        clean = np.empty_like(noisy)
        height, width = noisy.shape[:2]
        for top in range(0, height, _TILE):
            rows = _around(top, min(top + _TILE, height), height, self.spec.side)
            for left in range(0, width, _TILE):
                columns = _around(left, min(left + _TILE, width), width, self.spec.side)
                tile = clean[top : top + _TILE, left : left + _TILE]
                tile[:] = self._tile(noisy[np.ix_(rows, columns)], noise, tile.shape)
        return clean

    def _tile(self, padded: np.ndarray, noise: float, shape: tuple[int, ...]) -> np.ndarray:
        """The part of `shape` of an image without noise, of that part and what is around it."""
        side, channels = self.spec.side, self.spec.channels
        windows = sliding_window_view(padded, (side, side), axis=(0, 1))[::_STRIDE, ::_STRIDE]
        down, across = windows.shape[:2]
        patches = windows.transpose(0, 1, 3, 4, 2).reshape(down * across, -1)
        found = self._noise_in(patches, noise).reshape(down, across, side, side, channels)
        total = np.zeros_like(padded)
        for y in range(side):
            rows = slice(y, y + _STRIDE * down, _STRIDE)
            for x in range(side):
                columns = slice(x, x + _STRIDE * across, _STRIDE)
                total[rows, columns] += found[:, :, y, x] * (self._window[y] * self._window[x])
        weights = [self._total_weights(count) for count in (down, across)]
        total /= weights[0][:, None, None] * weights[1][None, :, None]
        edge = side - _STRIDE
        inner = slice(edge, edge + shape[0]), slice(edge, edge + shape[1])
        return np.asarray(padded[inner] - total[inner])

    def _noise_in(self, patches: np.ndarray, noise: float) -> np.ndarray:
        """The noise in patches, (n, side x side x channels) float32."""
        rows = np.empty((len(patches), patches.shape[1] + 1), np.float32)
        np.subtract(patches, 0.5, out=rows[:, :-1])
        rows[:, -1] = noise
        for i, (weight, bias) in enumerate(zip(self._weights, self._biases, strict=True)):
            rows = (np.maximum(rows, 0, out=rows) if i else rows) @ weight + bias
        return rows

    def _total_weights(self, count: int) -> np.ndarray:
        """The sum of the windows of `count` patches in a row, at each pixel of that row."""
        side = self.spec.side
        total = np.zeros(_STRIDE * (count - 1) + side, np.float32)
        for i in range(count):
            total[_STRIDE * i : _STRIDE * i + side] += self._window
        return total

    def tensors(self) -> dict[str, np.ndarray]:
        """Weights and biases in float16, and the readings in float32."""
        found = {f"weight {i}": weight.astype(np.float16) for i, weight in enumerate(self._weights)}
        found |= {f"bias {i}": bias.astype(np.float16) for i, bias in enumerate(self._biases)}
        return found | {"readings": self._readings.astype(np.float32)}

    @classmethod
    def from_tensors(cls, spec: PatchDenoiserSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """The denoiser with this spec and these tensors. Raises `DamagedError` if they differ."""
        shapes: dict[str, tuple[int, ...]] = {"readings": (2, len(LEVELS))}
        layers = range(len(spec.layer_shapes()))
        for i, (n_in, n_out) in enumerate(spec.layer_shapes()):
            shapes |= {f"weight {i}": (n_in, n_out), f"bias {i}": (n_out,)}
        require_tensors(tensors, shapes)
        weights = [tensors[f"weight {i}"] for i in layers]
        return cls(spec, weights, [tensors[f"bias {i}"] for i in layers], tensors["readings"])


def detail(images: np.ndarray) -> float:
    """The deviation of the finest detail of images (..., height, width, channels), robust.

    Of a flat image with Gaussian noise it is the standard deviation of the noise: the median of the
    absolute diagonal details of a Haar wavelet, over .6745 (Donoho and Johnstone, "Ideal spatial
    adaptation by wavelet shrinkage", Biometrika 1994, section 4). It is 0 of a line of pixels.
    """
    both = images[..., :-1, :, :] - images[..., 1:, :, :]
    diagonal = (both[..., :-1, :] - both[..., 1:, :]) / 2.0
    return float(np.median(np.abs(diagonal))) / _MEDIAN if diagonal.size else 0.0


def _around(start: int, stop: int, length: int, side: int) -> np.ndarray:
    """The pixels of all patches with one of `start` to `stop` - 1, mirrored beyond the edges.

    Patches begin at every second pixel of the image, whichever tile they are in, as tiles are even.
    """
    edge = side - _STRIDE
    count = (stop - start - 1 + edge) // _STRIDE + 1
    places = np.arange(start - edge, start - edge + _STRIDE * (count - 1) + side) % (2 * length)
    return np.where(places < length, places, 2 * length - 1 - places)
