"""Learn a dictionary of the corpus's own patches, which is the first layer of image encoders.

Patches are normalised to unit contrast, whitened, and clustered by k-means. The response of a
filter is how far a patch extends in the direction of a cluster's centre, beyond a threshold. This
is the first step of the greedy pre-training for images; later steps don't change it.

Sources: Coates, Ng and Lee, "An analysis of single-layer networks in unsupervised feature
learning", AISTATS 2011, sections 3 and 4.2, where such a dictionary did better than autoencoders
and RBMs; Coates and Ng, "The importance of encoding versus training with sparse coding and vector
quantization", ICML 2011, for the threshold. Measurements: docs/adr/0023.
"""

from __future__ import annotations

import warnings
from dataclasses import replace

import numpy as np
from scipy.cluster.vq import kmeans2

from hashret.models.fixed_point import require_bounded, to_grid
from hashret.models.patches import PatchLayer, Shape

_FILTERS = 64  # number of filters; more gained little for their time (docs/adr/0023)
_SIDE = 6  # pixels of a patch's side; patches are one pixel apart, as a stride of 2 gained nothing
_CELLS = 4  # rows, and columns, of the grid of cells over which responses are pooled
_ITERATIONS = 12  # iterations of k-means; further ones hardly move a centre
_SAMPLED_IMAGES = 4_000  # number of images from which patches are taken
_SAMPLED_PATCHES = 40_000  # number of patches that are clustered, hundreds for each filter
_LEAST_SPREAD = 0.5  # added to each variance in whitening, so that noise is not amplified
_THRESHOLD = 0.5  # threshold of an response, in standard deviations of all responses
_LEAST_DEVIATION = 1e-3  # least divisor: the deviation is 0 if all images are alike
_FEW_IMAGES = 8  # number of images whose patches are in memory together


def learn_patches(
    rows: np.ndarray, shape: Shape, rng: np.random.Generator, invariant: tuple[str, ...] = ()
) -> PatchLayer:
    """The layer for images like these (n, height x width x channels) rows of pixels, n >= 1.

    `invariant` is that of the layer; ValueError for "rotation" of images that are not square.
    """
    if "rotation" in invariant and shape[0] != shape[1]:
        raise ValueError(
            f"shape: expected square images for rotation, got {shape[0]} x {shape[1]} pixels; "
            "give an ImageSpec of equal height and width"
        )
    side = min(_SIDE, *shape[:2])
    scale = 1.0 / max(float(rows.std(dtype=np.float64)), 1e-6)
    some = rows[np.sort(rng.permutation(len(rows))[:_SAMPLED_IMAGES])]
    size, none = side * side * shape[2], np.zeros(0)
    bare = PatchLayer(shape, side, _CELLS, scale, np.zeros((size, 0), np.float32), none, none, none)
    filters, bias = dictionary(_sampled(bare, some, rng), _FILTERS, rng)
    require_bounded([filters])
    layer = PatchLayer(shape, side, _CELLS, scale, filters, bias, none, none, invariant)
    blocks = range(0, len(some), _FEW_IMAGES)
    pooled = np.concatenate([layer.pooled(some[i : i + _FEW_IMAGES]) for i in blocks])
    mean = pooled.mean(axis=0)
    pooled -= mean
    n, width = layer.n_responses, pooled.shape[1]
    begins = [n, width // 2, width // 2 + n] if invariant else [n]
    parts = np.split(pooled, begins, axis=1)
    deviations = [max(float(np.sqrt(np.square(part).mean())), _LEAST_DEVIATION) for part in parts]
    each = np.repeat(deviations, np.diff([0, *begins, width]))
    return replace(layer, mean=mean, scale=1.0 / each)


def _sampled(bare: PatchLayer, rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A sample of patches of unit contrast and mean 0, (at most `_SAMPLED_PATCHES`, size).

    All patches together take a hundred times the memory of the images, so only those of a few
    images are made at a time.
    """
    each = bare.n_places
    chosen = np.sort(rng.permutation(len(rows) * each)[:_SAMPLED_PATCHES])
    parts = []
    for start in range(0, len(rows), _FEW_IMAGES):
        low, high = np.searchsorted(chosen, [start * each, (start + _FEW_IMAGES) * each])
        patches = bare.patches(rows[start : start + _FEW_IMAGES])
        parts.append(patches.reshape(-1, patches.shape[-1])[chosen[low:high] - start * each])
    patches = np.concatenate(parts)
    return np.asarray(patches - patches.mean(axis=1, keepdims=True))


def dictionary(
    patches: np.ndarray, count: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """At most `count` filters (size, count) float32 and their biases, from (n, size) patches.

    The patches are of unit contrast and mean 0. All is on the grid of `fixed_point`, and each
    filter sums to 0.
    """
    centre = patches.mean(axis=0)
    centred = patches - centre
    values, directions = np.linalg.eigh(centred.T @ centred / len(centred))
    spread = 1.0 / np.sqrt(np.maximum(values, 0.0) + _LEAST_SPREAD)
    whitening = directions * spread @ directions.T
    # in many corpora most patches are the same flat background
    white = np.unique(centred @ whitening, axis=0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # an empty cluster keeps its centre: no harm
        found, _ = kmeans2(white, min(count, len(white)), _ITERATIONS, minit="points", rng=rng)
    lengths = np.maximum(np.linalg.norm(found, axis=1, keepdims=True), 1e-6)
    filters = to_grid(whitening @ (found / lengths).T)
    # the encoder does not centre patches, which makes no difference for a filter that sums to 0
    filters = to_grid(filters - filters.mean(axis=0))
    filters[0] -= filters.sum(axis=0)
    responses = centred @ filters
    bias = to_grid(-(centre @ filters) - _THRESHOLD * responses.std())
    return filters.astype(np.float32), bias
