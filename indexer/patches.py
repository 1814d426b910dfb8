"""Patch features: what an image is made of, told by a dictionary of the corpus's own patches.

Patches are standardised, whitened, and clustered by k-means; a cluster answers a patch by how much
nearer than the average cluster it is, and the answers are pooled over a grid (Coates, Ng and Lee,
"An analysis of single-layer networks in unsupervised feature learning", AISTATS 2011, sections 3
and 4.2, where such a dictionary did better than autoencoders and RBMs). Used to find neighbours in
training only: a query needs its pixels and nothing else.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from scipy.cluster.vq import kmeans2
from torch import Tensor
from torch.nn import functional

_CLUSTERS = 64
_SIDE = 6  # pixels; patches a pixel apart: with a stride of 2 nothing is gained by them
_GRID = 4  # cells a side
_ITERATIONS = 12
_SAMPLED_IMAGES = 4_000
_SAMPLED_PATCHES = 40_000
# keep flat patches, and directions that are noise, from being blown up
_LEAST_VARIANCE = 0.001
_LEAST_SPREAD = 0.5
_TILE_IMAGES = 512
_FEW_IMAGES = 32


def patch_features(
    rows: np.ndarray, shape: tuple[int, int, int], rng: np.random.Generator
) -> np.ndarray:
    """(n, n_cells x n_clusters) float32 from (n, height x width x channels) rows of pixels.

    The dictionary is learned on these images.
    """
    dictionary = _Dictionary(rows, shape, rng)
    starts = range(0, len(rows), _TILE_IMAGES)
    return torch.cat([dictionary.answers(rows[i : i + _TILE_IMAGES]) for i in starts]).numpy()


class _Dictionary:
    """Cluster centres of whitened patches."""

    def __init__(self, rows: np.ndarray, shape: tuple[int, int, int], rng: np.random.Generator):
        self._shape = shape
        self._side = min(_SIDE, *shape[:2])
        self._down, self._across = (side - self._side + 1 for side in shape[:2])
        self._mean = float(rows.mean(dtype=np.float64))
        self._scale = 1.0 / max(float(rows.std(dtype=np.float64)), 1e-6)
        some = rng.permutation(len(rows))[:_SAMPLED_IMAGES]
        n_patches = len(some) * self._down * self._across
        chosen = np.sort(rng.permutation(n_patches)[:_SAMPLED_PATCHES])
        sample = self._some_patches(rows[np.sort(some)], chosen).double()
        self._centre = sample.mean(dim=0)
        centred = sample - self._centre
        values, directions = torch.linalg.eigh(centred.T @ centred / len(sample))
        spread = (values.clamp(min=0.0) + _LEAST_SPREAD).rsqrt()
        self._whitening = directions * spread @ directions.T
        # most patches of many corpora are one and the same: a flat background
        white = np.unique((centred @ self._whitening).numpy(), axis=0)
        with warnings.catch_warnings():  # an emptied cluster keeps its place and harms nothing
            warnings.simplefilter("ignore", UserWarning)
            clusters = min(_CLUSTERS, len(white))
            found, _ = kmeans2(white, clusters, _ITERATIONS, minit="points", rng=rng)
        self._clusters = torch.from_numpy(found).float()

    def answers(self, rows: np.ndarray) -> Tensor:
        """(n, n_cells x n_clusters): square roots of the pooled answers of the clusters."""
        centre, whitening = self._centre.float(), self._whitening.float()
        distances = torch.cdist((self._patches(rows) - centre) @ whitening, self._clusters)
        nearer = (distances.mean(dim=2, keepdim=True) - distances).clamp(min=0.0)
        maps = nearer.transpose(1, 2).reshape(len(rows), -1, self._down, self._across)
        grid = (min(_GRID, self._down), min(_GRID, self._across))
        return functional.adaptive_avg_pool2d(maps, grid).sqrt().flatten(1)

    def _some_patches(self, rows: np.ndarray, chosen: np.ndarray) -> Tensor:
        """(n_chosen, side x side x channels): of all patches of the images those of these numbers.

        All patches are a hundred times the images, so they are made of few images at a time. (To
        make the chosen ones alone would be less work, but their sums would be rounded otherwise.)
        """
        parts = []
        each = self._down * self._across
        for start in range(0, len(rows), _FEW_IMAGES):
            low, high = np.searchsorted(chosen, [start * each, (start + _FEW_IMAGES) * each])
            patches = self._patches(rows[start : start + _FEW_IMAGES]).flatten(0, 1)
            parts.append(patches[torch.from_numpy(chosen[low:high] - start * each)])
        return torch.cat(parts)

    def _patches(self, rows: np.ndarray) -> Tensor:
        """(n, n_patches, side x side x channels): standardised patches."""
        pixels = torch.from_numpy(np.ascontiguousarray(rows, np.float32))
        images = pixels.view(-1, *self._shape).permute(0, 3, 1, 2)
        images = (images - self._mean) * self._scale
        patches = functional.unfold(images, self._side).transpose(1, 2)
        centred = patches - patches.mean(dim=2, keepdim=True)
        variance = centred.square().mean(dim=2, keepdim=True)
        return centred / (variance + _LEAST_VARIANCE).sqrt()
