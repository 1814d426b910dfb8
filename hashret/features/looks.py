"""The looks of an image: a small vector, stored beside its code, that altered copies share.

It has three parts: the model's filter responses to the image in grey, reduced to 128 numbers; the
grey image at 8 x 8 pixels, centred; and the mean colours of a grid. The first two have unit length,
so that brightness and contrast have no effect, and the colours have little weight. So a copy that
is grey, darker, cropped or compressed again is nearer to its original than another image is, but
only the image itself is at distance 0.

The responses are reduced by a random projection with fixed signs, which preserves distances
(Achlioptas, "Database-friendly random projections", JCSS 2003). An eighth of the numbers finds
copies as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from hashret.features.levels import area_sums, luma_of
from hashret.specs import ImageSpec

#: The weights of the three parts in a squared distance, chosen on 1,500 photographs: with more
#: weight on the grey image, fewer copies with a border or a caption are found; with none, fewer
#: brighter ones.
_RESPONSES, _GREY, _COLOURS = 1.0, 0.1, 0.02
_GREY_SIDE, _COLOUR_SIDE = 8, 4  # cells in a row or column of the grid; fewer in a smaller image
_N_SUMS = 128  # numbers that responses are reduced to, a multiple of 64; fewer are not reduced

# Copies are nearer to each other than `_COPY_SHARE` of the distance within which `_PAIRS`, one in
# twenty, of all pairs of images are. (All pairs, and not the nearest image of each, because many
# images may be in a corpus more than once.) Of 1,500 photographs, all copies that were grey,
# recompressed or darker are found, and 98 % of the brighter ones. One photograph in ten has another
# one within this distance, with the same label. At 1.2 times this distance, some have other labels.
_COPY_SHARE, _PAIRS = 0.6, 0.05
_SAMPLE = 2_000  # images whose pairs are measured

#: A function from levels, (n, height, width, channels), to filter responses, (n, n_responses).
Responses = Callable[[np.ndarray], np.ndarray]


def n_looks(spec: ImageSpec, n_responses: int) -> int:
    """The width of `looks` for a model with `n_responses` filter responses."""
    sides = spec.height, spec.width
    grey, colours = (
        min(most, sides[0]) * min(most, sides[1]) for most in (_GREY_SIDE, _COLOUR_SIDE)
    )
    return min(n_responses, _N_SUMS) + grey + colours * spec.channels


def looks(levels: np.ndarray, responses: Responses) -> np.ndarray:
    """The looks, (n, n_looks) float32 in half precision, of levels (n, height, width, channels)."""
    grey = luma_of(levels)
    parts = [
        (_RESPONSES, _unit(_summed(responses(np.repeat(grey, levels.shape[3], axis=3))))),
        (_GREY, _unit(_centred(_cells(grey, _GREY_SIDE)))),
        (_COLOURS, _cells(levels, _COLOUR_SIDE) / 255.0),
    ]
    together = np.hstack([np.sqrt(weight) * part for weight, part in parts])
    return together.astype(np.float16).astype(np.float32)


def grey_parts(looks: np.ndarray, spec: ImageSpec) -> np.ndarray:
    """The grey images within `looks` (n, n_looks), (n, rows, columns); each weighs as there."""
    rows, columns = min(_GREY_SIDE, spec.height), min(_GREY_SIDE, spec.width)
    colours = min(_COLOUR_SIDE, spec.height) * min(_COLOUR_SIDE, spec.width) * spec.channels
    stop = looks.shape[1] - colours
    return looks[:, stop - rows * columns : stop].reshape(len(looks), rows, columns)


def sampled(features: np.ndarray) -> np.ndarray:
    """The rows of at most 2,000 images, evenly spaced, on which `copy_distance` is measured."""
    return features[:: max(1, -(-len(features) // _SAMPLE))]


def copy_distance(rows: np.ndarray) -> float:
    """The largest distance between the looks of two copies of one image, inclusive.

    `rows` (n, n_looks) are the looks of images of the corpus. The result is three fifths of the
    distance within which one in twenty of their pairs is; 0 for fewer than two images.
    """
    if len(rows) < 2:
        return 0.0
    wide = rows.astype(np.float64)
    squares = np.square(wide).sum(axis=1)
    distances = squares[:, None] + squares - 2.0 * (wide @ wide.T)
    pairs = distances[np.triu_indices(len(rows), 1)]
    nth = int(_PAIRS * len(pairs))
    return _COPY_SHARE * float(np.sqrt(max(np.partition(pairs, nth)[nth], 0.0)))


def _summed(responses: np.ndarray) -> np.ndarray:
    """The responses reduced to at most `_N_SUMS` numbers, (n, m).

    The sums are exact in float64, because responses are on the grid of `fixed_point`.
    """
    n_responses = responses.shape[1]
    return (
        responses if n_responses <= _N_SUMS else responses.astype(np.float64) @ _signs(n_responses)
    )


@lru_cache(maxsize=4)
def _signs(n_responses: int) -> np.ndarray:
    """The random projection, (n_responses, `_N_SUMS`) of -1 and 1, which must never change."""
    drawn = np.random.PCG64(0).random_raw(n_responses * _N_SUMS // 64).astype("<u8")
    return 2.0 * np.unpackbits(drawn.view(np.uint8)).reshape(n_responses, _N_SUMS) - 1.0


def _cells(images: np.ndarray, most: int) -> np.ndarray:
    """The means over a grid of at most `most` cells a side, (n, cells x channels)."""
    n, height, width, channels = images.shape
    rows, columns = min(most, height), min(most, width)
    sums = area_sums(images.astype(np.float64).transpose(1, 2, 0, 3), rows)
    sums = area_sums(sums.transpose(1, 0, 2, 3), columns)  # (columns, rows, n, channels)
    means = (sums / (height * width)).transpose(2, 1, 0, 3)
    return means.reshape(n, rows * columns * channels)


def _centred(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def _unit(rows: np.ndarray) -> np.ndarray:
    """The rows scaled to Euclidean length 1; rows of nearly 0 become 0."""
    lengths = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1, keepdims=True))
    return np.divide(rows, lengths, out=np.zeros(rows.shape), where=lengths > 1e-6)
