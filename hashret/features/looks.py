"""The looks of an image: a small vector beside its code, similar for altered copies.

Three parts: what a model says of its patches, of the image in grey, summed up to 128 numbers; the
grey image itself at 8 x 8, centred; and the mean colours of a grid. The first two are made unit
length, so that light and contrast say nothing, and the colours count for little: a copy in grey,
darker, cropped or compressed anew is nearer to its original than another picture is, but only the
picture itself is at distance 0.

The answers are summed up with signs drawn once for all, which keeps distances (Achlioptas,
"Database-friendly random projections", JCSS 2003): an eighth of the numbers tells copies as well.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np

from hashret.features.levels import area_sums, luma_of
from hashret.specs import ImageSpec

#: What the squared distances of the three parts count. Tried on 1,500 photographs: more for the
#: grey image finds fewer of those with a border or a caption, none fewer of the brighter ones.
_ANSWERS, _GREY, _COLOURS = 1.0, 0.1, 0.02
_GREY_SIDE, _COLOUR_SIDE = 8, 4  # cells a side, fewer where there are fewer pixels
_N_SUMS = 128  # sums of answers that are kept, a multiple of 64; fewer answers are kept themselves

#: Copies are nearer than so much of the distance that one in twenty pairs of pictures is within:
#: pairs, and not the nearest of each, as many may be in a corpus more than once. Of 1,500
#: photographs all copies in grey, recompressed or darker and 98 % of brighter ones are, and one in
#: ten has another one so near, of the same label; from 1.2 times as far on other labels come in.
_COPY_SHARE, _PAIRS = 0.6, 0.05
_SAMPLE = 2_000  # number of images whose pairs are measured

#: (n, height, width, channels) levels to what a model says of each, (n, n_answers).
Answers = Callable[[np.ndarray], np.ndarray]


def n_looks(spec: ImageSpec, n_answers: int) -> int:
    """The width of `looks` for a model with so many answers."""
    sides = spec.height, spec.width
    grey, colours = (
        min(most, sides[0]) * min(most, sides[1]) for most in (_GREY_SIDE, _COLOUR_SIDE)
    )
    return min(n_answers, _N_SUMS) + grey + colours * spec.channels


def looks(levels: np.ndarray, answers: Answers) -> np.ndarray:
    """(n, `n_looks`) float32, in half precision, of (n, height, width, channels) levels."""
    grey = luma_of(levels)
    parts = [
        (_ANSWERS, _unit(_summed(answers(np.repeat(grey, levels.shape[3], axis=3))))),
        (_GREY, _unit(_centred(_cells(grey, _GREY_SIDE)))),
        (_COLOURS, _cells(levels, _COLOUR_SIDE) / 255.0),
    ]
    together = np.hstack([np.sqrt(weight) * part for weight, part in parts])
    return together.astype(np.float16).astype(np.float32)


def sampled(features: np.ndarray) -> np.ndarray:
    """The rows of images, at most 2,000 of them, that `copy_distance` is measured on."""
    return features[:: max(1, -(-len(features) // _SAMPLE))]


def copy_distance(rows: np.ndarray) -> float:
    """Up to which distance of their looks two images are copies of one, inclusive.

    Three fifths of the distance that one pair in twenty is within, of the `looks` (n, n_looks) of
    images of the corpus; 0 for fewer than two.
    """
    if len(rows) < 2:
        return 0.0
    wide = rows.astype(np.float64)
    squares = np.square(wide).sum(axis=1)
    distances = squares[:, None] + squares - 2.0 * (wide @ wide.T)
    pairs = distances[np.triu_indices(len(rows), 1)]
    nth = int(_PAIRS * len(pairs))
    return _COPY_SHARE * float(np.sqrt(max(np.partition(pairs, nth)[nth], 0.0)))


def _summed(answers: np.ndarray) -> np.ndarray:
    """(n, at most `_N_SUMS`) float64; exact, as answers lie on the grid of `fixed_point`."""
    n_answers = answers.shape[1]
    return answers if n_answers <= _N_SUMS else answers.astype(np.float64) @ _signs(n_answers)


@lru_cache(maxsize=4)
def _signs(n_answers: int) -> np.ndarray:
    """(n_answers, `_N_SUMS`) of -1 and 1, the same ones everywhere and for ever."""
    drawn = np.random.PCG64(0).random_raw(n_answers * _N_SUMS // 64).astype("<u8")
    return 2.0 * np.unpackbits(drawn.view(np.uint8)).reshape(n_answers, _N_SUMS) - 1.0


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
