"""A second layer of patches: what groups of filters respond to together, at places side by side.

The responses of the first layer (`hashret.models.patches`) are maps of an image. A patch of the
second layer is a place with its neighbours in the maps of one group of filters: those whose
whitened responses are strong at the same places. Each group has a dictionary of its own, learned as
the first was, so that a filter of many maps needs few numbers. Sources: Coates and Ng, "Selecting
receptive fields in deep networks", NIPS 2011, section 3, for the groups; Coates, Karpathy and Ng,
"Emergence of object-selective features in unsupervised feature learning", NIPS 2012, for layers of
k-means. Used in training only: a query needs the first layer and nothing else.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from hashret.models.patches import VARIANCE_FLOOR, PatchLayer, mean_and_deviation, versions
from indexer.training.neighbours.randomized_svd import principal_directions
from indexer.training.patch_dictionary import dictionary

_POOL = 2  # places per side whose mean response is one place of a map of the second layer
_SIDE = 2  # places of a patch's side
_GROUPS = 32  # number of groups of filters, which may share filters
_GROUP_FILTERS = 16  # number of filters in a group
_FILTERS = 32  # number of filters of the second layer for each group
_CELLS = 3  # rows, and columns, of the grid of cells over which responses are pooled
_LEARNED_IMAGES = 500  # number of images whose patches the dictionaries are learned from
_PLACES = 4_000  # number of places that groups and dictionaries are learned from
_DIRECTED_IMAGES = 4_000  # number of images that the principal directions are learned from
_FLOOR = 0.1  # added to the variance of a patch, as a share of the mean variance of all patches
_LEAST_SPREAD = 0.1  # added in whitening, as a share of the mean variance of the filters' responses
_TINY = 1e-6  # least divisor: where all images are flat nothing varies
_TILE_IMAGES = 16  # number of images at a time: their responses fit a core's cache


def second_coordinates(
    rows: np.ndarray, first: PatchLayer, count: int, rng: np.random.Generator
) -> np.ndarray | None:
    """The images' responses to a second layer, learned from them, in principal directions.

    (n, at most `count`) float32, centred, from (n, height x width x channels) rows of pixels; they
    are the same for what `first` is invariant to. None for images with too few places.
    """
    if min(n - first.side + 1 for n in first.shape[:2]) < _POOL * _SIDE:
        return None
    layer = _SecondLayer(first, _sample(rows, _LEARNED_IMAGES, rng), rng)
    sampled = _sample(rows, _DIRECTED_IMAGES, rng)
    some = np.concatenate([layer.responses(tile) for tile in _tiles(sampled)])
    mean = some.mean(axis=0)
    some -= mean
    directions = principal_directions(some, min(count, *some.shape), rng)
    if len(some) == len(rows):
        return some @ directions
    return np.concatenate([(layer.responses(tile) - mean) @ directions for tile in _tiles(rows)])


class _SecondLayer:
    """The map from pixels to the pooled responses of the second layer."""

    def __init__(self, first: PatchLayer, rows: np.ndarray, rng: np.random.Generator):
        self._first = first
        self._scale = 1.0
        maps = torch.cat([self._maps(self._images(tile)) for tile in _tiles(rows)])
        self._groups = torch.from_numpy(_energy_groups(_places_of(maps, rng), rng))
        windows = [_windows_of(maps[:, group], rng) for group in self._groups]
        spread = np.mean([window.var(axis=1).mean() for window in windows])
        self._scale = 1.0 / max(float(spread) ** 0.5, _TINY)
        filters, biases = zip(*(self._dictionary(each, rng) for each in windows), strict=True)
        shape = (-1, self._groups.shape[1], _SIDE, _SIDE)
        self._filters = torch.from_numpy(np.vstack(filters)).reshape(shape)
        self._bias = torch.from_numpy(np.concatenate(biases))[:, None, None]

    def responses(self, rows: np.ndarray) -> np.ndarray:
        """(n, n_responses) float32: roots of the mean responses of each filter in each cell.

        Where the first layer is invariant, the means and deviations over the images' versions.
        """
        found = [self._pooled(each) for each in versions(self._images(rows), self._first.invariant)]
        return np.hstack(mean_and_deviation(found)) if self._first.invariant else found[0]

    def _pooled(self, images: np.ndarray) -> np.ndarray:
        maps = self._maps(images)
        n, _, *size = maps.shape
        grouped = maps[:, self._groups.flatten()]
        of_group = grouped.view(n, len(self._groups), -1, *size)
        mean, mean_square = (part.mean(dim=2) for part in (of_group, of_group.square()))
        contrast = _inverse_contrasts(mean, mean_square, _SIDE, _FLOOR)
        responses = functional.conv2d(grouped, self._filters, groups=len(self._groups))
        by_group = responses.view(n, len(self._groups), -1, *responses.shape[2:])
        by_group *= contrast[:, :, None]
        responses += self._bias
        down, across = (min(_CELLS, places) for places in responses.shape[2:])
        means = functional.adaptive_avg_pool2d(responses.relu_(), (down, across))
        return np.asarray(means.sqrt().flatten(1).numpy())

    def _images(self, rows: np.ndarray) -> np.ndarray:
        return rows.reshape(-1, *self._first.shape)

    def _maps(self, images: np.ndarray) -> Tensor:
        """The first layer's responses, pooled, (n, n_filters, down, across), in float32."""
        first = self._first
        scaled = images.transpose(0, 3, 1, 2) * np.float32(first.input_scale)
        pixels = torch.from_numpy(np.ascontiguousarray(scaled, np.float32))
        shape = (-1, first.side, first.side, first.shape[2])
        filters = torch.from_numpy(first.filters.T.reshape(shape).transpose(0, 3, 1, 2).copy())
        mean, mean_square = (part.mean(dim=1, keepdim=True) for part in (pixels, pixels.square()))
        contrast = _inverse_contrasts(mean, mean_square, first.side, VARIANCE_FLOOR)
        responses = functional.conv2d(pixels, filters)
        responses *= contrast
        responses += torch.from_numpy(first.bias.astype(np.float32))[:, None, None]
        return functional.avg_pool2d(responses.relu_(), _POOL).sqrt() * self._scale

    def _dictionary(
        self, windows: np.ndarray, rng: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray]:
        """(`_FILTERS`, size) float32 filters of one group and their biases; some may be zeros."""
        centred = (windows - windows.mean(axis=1, keepdims=True)) * self._scale
        patches = centred / np.sqrt(np.square(centred).mean(axis=1, keepdims=True) + _FLOOR)
        filters, bias = dictionary(patches, _FILTERS, rng)
        spare = _FILTERS - len(bias)
        return (
            np.pad(filters.T, ((0, spare), (0, 0))),
            np.pad(bias, (0, spare)).astype(np.float32),
        )


def _inverse_contrasts(mean: Tensor, mean_square: Tensor, side: int, floor: float) -> Tensor:
    """1 over the standard deviations of patches, from means over channels at each place."""
    mean, mean_square = (functional.avg_pool2d(each, side, 1) for each in (mean, mean_square))
    return ((mean_square - mean.square()).clamp(min=0.0) + floor).rsqrt()


def _energy_groups(places: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """(n_groups, size) int64: filters that are strong at the same places, from (n, n_filters).

    A group is a filter drawn at random and those whose squared responses, whitened, correlate most
    with its own: what linear filters leave in common.
    """
    centred = places - places.mean(axis=0)
    values, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    values = np.maximum(values, 0.0)
    spread = np.sqrt(values + _LEAST_SPREAD * values.mean() + _TINY**2)
    energies = np.square(centred @ (directions / spread @ directions.T))
    energies -= energies.mean(axis=0)
    energies /= np.maximum(np.linalg.norm(energies, axis=0), _TINY)
    n_filters = places.shape[1]
    seeds = rng.permutation(n_filters)[:_GROUPS]
    alike = energies.T[seeds] @ energies
    alike[np.arange(len(seeds)), seeds] = np.inf
    return np.argsort(-alike, axis=1, kind="stable")[:, :_GROUP_FILTERS]


def _places_of(maps: Tensor, rng: np.random.Generator) -> np.ndarray:
    """A sample of places with their responses to all filters, (n, n_filters) float64."""
    places = maps.permute(0, 2, 3, 1).flatten(0, 2).numpy()
    return _sample(places, _PLACES, rng).astype(np.float64)


def _windows_of(maps: Tensor, rng: np.random.Generator) -> np.ndarray:
    """A sample of patches of some maps, (n, n_maps x side x side) float64."""
    windows = functional.unfold(maps, _SIDE).transpose(1, 2).flatten(0, 1).numpy()
    return _sample(windows, _PLACES, rng).astype(np.float64)


def _sample(rows: np.ndarray, count: int, rng: np.random.Generator) -> np.ndarray:
    """At most `count` of the rows, in their order."""
    return rows[np.sort(rng.permutation(len(rows))[:count])]


def _tiles(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[i : i + _TILE_IMAGES] for i in range(0, len(rows), _TILE_IMAGES)]
