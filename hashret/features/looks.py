"""What is kept of an image beside its code: small, and alike for copies that were altered.

Three parts: what a model says of its patches, of the image in grey and centred; the grey image
itself at 16 x 16, centred; and the mean colours of a grid. The first two are made unit length, so
that light and contrast say nothing, and the colours count for little: a copy in grey, darker,
cropped or compressed anew is nearer to its original than another picture is, but only the picture
itself is at distance 0.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hashret.features.levels import area_sums, luma_of
from hashret.specs import ImageSpec

#: What the squared distances of the three parts count. Tried on 1,500 photographs: more for the
#: grey image finds fewer of those with a border or a caption, none fewer of the brighter ones.
_ANSWERS, _GREY, _COLOURS = 1.0, 0.1, 0.02
_GREY_SIDE, _COLOUR_SIDE = 16, 4  # cells a side, fewer where there are fewer pixels

#: (n, height, width, channels) levels to what a model says of each, (n, n_answers).
Answers = Callable[[np.ndarray], np.ndarray]


def n_looks(spec: ImageSpec, n_answers: int) -> int:
    """The width of `looks` with so many answers."""
    sides = spec.height, spec.width
    grey, colours = (
        min(most, sides[0]) * min(most, sides[1]) for most in (_GREY_SIDE, _COLOUR_SIDE)
    )
    return n_answers + grey + colours * spec.channels


def looks(levels: np.ndarray, answers: Answers) -> np.ndarray:
    """(n, `n_looks`) float32, in half precision, of (n, height, width, channels) levels."""
    grey = luma_of(levels)
    parts = [
        (_ANSWERS, _unit(answers(np.repeat(grey, levels.shape[3], axis=3)))),
        (_GREY, _unit(_centred(_cells(grey, _GREY_SIDE)))),
        (_COLOURS, _cells(levels, _COLOUR_SIDE) / 255.0),
    ]
    together = np.hstack([np.sqrt(weight) * part for weight, part in parts])
    return together.astype(np.float16).astype(np.float32)


def _cells(images: np.ndarray, most: int) -> np.ndarray:
    """(n, cells): the means over a grid of at most so many cells a side."""
    n, height, width, channels = images.shape
    rows, columns = min(most, height), min(most, width)
    sums = area_sums(images.astype(np.float64).transpose(1, 2, 0, 3), rows)
    sums = area_sums(sums.transpose(1, 0, 2, 3), columns)  # (columns, rows, n, channels)
    means = (sums / (height * width)).transpose(2, 1, 0, 3)
    return means.reshape(n, rows * columns * channels)


def _centred(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows - rows.mean(axis=1, keepdims=True))


def _unit(rows: np.ndarray) -> np.ndarray:
    """Rows of Euclidean length 1, zeros of what is nearly zero."""
    lengths = np.sqrt(np.square(rows, dtype=np.float64).sum(axis=1, keepdims=True))
    return np.divide(rows, lengths, out=np.zeros(rows.shape), where=lengths > 1e-6)
