"""Reduce images of any bit depth to a small size, and bring them to levels on one scale.

A level is 0 for black and 255 for white, in steps of 1/256. An image of more than 8 bits does not
say which numbers are black and white. They are learned from the corpus (`learned_ranges`), and not
from each image: so equal numbers give equal levels, and a dark image stays dark. All sums are of
integers and so exact, and an image has the same levels in 8 bits, in 16 bits and in floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from hashret.errors import PayloadError
from hashret.features.kept import SIDE
from hashret.features.pictures import flattened, opened, require_image_shape
from hashret.items import Payload

_STEPS = 256  # steps in one level
_WHITE = 255  # the level of white
#: The share of images at either end that may lie outside the learned range, so that a few images
#: with extreme numbers don't make all others black.
_OUTLIERS = 0.01
#: How far a resampled image of floats may exceed its range, as a share of the range.
_OVERSHOOT = 1 / 8
#: `Means.unit` of floats -> the number for white; the floats are rounded to integers in this unit,
#: which then have about 16 bits.
_FLOAT_UNITS = {65535.0: 1.0, float(_STEPS): float(_WHITE)}
_LUMA = np.array([19595, 38470, 7471]) / (1 << 16)  # weights of R, G, B; ITU-R BT.601 as in Pillow

#: Black and white for each depth that the corpus does not have. For floats each image tells whether
#: its white is 1 or 255.
_UNKNOWN = {"16": (0.0, 65535.0), "whole": (0.0, 255.0), "float": (0.0, 0.0)}


class Means(NamedTuple):
    """An image reduced to a small size; each value is the mean of an area."""

    depth: str
    """ "8", "16", "whole" (any other integers) or "float"."""
    unit: float
    """The factor from the image's own numbers to `values`."""
    values: np.ndarray
    """(height, width, channels)."""


def means_of(payload: Payload | Means, height: int, width: int, channels: int) -> Means:
    """The image reduced to height x width, in grey (the luma) if `channels` is 1, else in RGB.

    Raises `PayloadError`, also for `kept_means` that no such image can be made of.
    """
    if not isinstance(payload, Means):
        return _reduced(*_as_integers(pixels_of(payload)), height, width, channels)
    kept = payload.values.shape
    if kept == (height, width, channels):
        return payload
    if kept[:2] != (SIDE, SIDE):  # its own size: these are its pixels
        depth, unit, values = payload
        pixels = values / _STEPS if depth == "8" else values
        return _reduced(depth, unit, pixels, height, width, channels)
    if (height, width, channels) == (SIDE, SIDE, 3):
        return payload._replace(values=np.repeat(payload.values, 3, axis=2))
    raise PayloadError(
        f"image: expected one to be seen at {SIDE} x {SIDE} pixels in its own colours, as it is "
        f"kept, got {height} x {width} in {'grey' if channels == 1 else 'RGB'}; pass the images"
    )


def kept_means(payload: Payload) -> Means:
    """The image as it is kept for a model to come, from which `means_of` makes any that it can.

    At its own size if that is at most `SIDE` x `SIDE`, else at that; in its own colours. Raises
    `PayloadError`.
    """
    depth, unit, pixels = _as_integers(pixels_of(payload))
    height, width, channels = pixels.shape
    if max(height, width) > SIDE:
        height = width = SIDE
    return _reduced(depth, unit, pixels, height, width, channels)


def own_means(payload: Payload) -> Means:
    """The image at its own size, in its own colours. Raises `PayloadError`."""
    return Means(*_as_integers(pixels_of(payload)))


def _reduced(
    depth: str, unit: float, pixels: np.ndarray, height: int, width: int, channels: int
) -> Means:
    sums = area_sums(area_sums(pixels, height).transpose(1, 0, 2), width).transpose(1, 0, 2)
    means = sums / float(pixels.shape[0] * pixels.shape[1])
    if channels == 1 and means.shape[2] == 3:
        means = luma_of(means)
    elif channels == 3 and means.shape[2] == 1:
        means = np.repeat(means, 3, axis=2)
    if depth == "8":  # steps of levels in uint16 take a quarter of the memory
        return Means(depth, _STEPS, np.rint(means * _STEPS).astype(np.uint16))
    return Means(depth, unit, np.ascontiguousarray(means))


def pixels_of(payload: Payload) -> np.ndarray:
    """The upright image, (height, width, 1 or 3), in the numbers of its own depth.

    The dtype is uint8, uint16, int64 or float64. Raises `PayloadError`.
    """
    if isinstance(payload, np.ndarray):
        found = _of_array(payload)
    else:
        with opened(payload) as image:
            found = _of_image(ImageOps.exif_transpose(image))
    return found if found.ndim == 3 else found[:, :, None]


def levels(means: Sequence[Any], ranges: Sequence[float]) -> np.ndarray:
    """The levels of `Means`, float32 multiples of 1/256; `ranges` are those of `learned_ranges`."""
    depth, unit, values = means
    low, high = _range(depth, unit, values, ranges)
    scale = float(_WHITE * _STEPS)
    steps = np.rint((values - low * unit) * scale / ((high - low) * unit))
    return np.asarray(steps / _STEPS, np.float32)


def require_in_range(means: Means, ranges: Sequence[float]) -> None:
    """Raise `PayloadError` if an image's numbers are far outside the range of the collection's."""
    if means.depth == "8":
        return
    low, high = _range(*means, ranges)
    least, most = means.values.min() / means.unit, means.values.max() / means.unit
    if least < low - (high - low) or most > high + (high - low):
        raise PayloadError(
            f"image: expected numbers from about {low:g} to {high:g}, as the collection's images "
            f"of {_noun(means.depth)} have, got {least:g} to {most:g}; scale it to this range",
            "other-scale",
        )


def black_and_white(pixels: np.ndarray, ranges: Sequence[float]) -> tuple[float, float]:
    """The numbers for black and white of an image of numbers, whose noise may exceed them.

    `ranges` are those of `learned_ranges`. Of floats that they don't say, white is 1 if nothing is
    above 2, else 255. Raises `PayloadError` for numbers that are far outside.
    """
    depth = {"uint8": "8", "uint16": "16"}.get(pixels.dtype.name, "whole")
    if pixels.dtype.kind == "f":
        depth = "float"
        if not ranges or ranges[-2] >= ranges[-1]:
            ranges = (*_UNKNOWN["16"], *_UNKNOWN["whole"], 0.0, 1.0 if pixels.max() <= 2 else 255.0)
    require_in_range(Means(depth, 1.0, pixels), ranges)
    return _range(depth, 1.0, pixels, ranges)


def require_numbers(array: np.ndarray) -> None:
    """Raise `PayloadError` unless an array is an image of finite numbers."""
    require_image_shape(array)
    if array.dtype.kind not in "iuf":
        raise PayloadError(f"image: expected an array of numbers, got {array.dtype}; convert it")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise PayloadError(
            "image: expected finite numbers, got NaN or infinity; leave it out", "not-finite"
        )


def learned_ranges(corpus: Iterable[Sequence[Any]]) -> tuple[float, ...]:
    """The numbers for black and white in a corpus of `Means`, three pairs.

    The pairs are for images of 16 bits, of other integers and of floats. Black is 0, and white is
    the least of 255, 511, 1023, ... that is not exceeded; for floats it is 1 or 255 if these are
    not exceeded. If there are negative numbers, black and white are the least and the greatest
    number. One image in a hundred may lie outside at either end.
    """
    found: dict[str, list[tuple[float, float]]] = {depth: [] for depth in _UNKNOWN}
    for depth, unit, values in corpus:
        if depth in found:
            found[depth].append(_extremes(depth, unit, values))
    ranges: list[float] = []
    for depth, extremes in found.items():
        if not extremes:
            ranges += _UNKNOWN[depth]
            continue
        lows, highs = np.sort(np.array(extremes), axis=0).T
        n_outside = int(_OUTLIERS * len(lows))
        ranges += _range_from(depth, float(lows[n_outside]), float(highs[-1 - n_outside]))
    return tuple(ranges)


def _range(
    depth: str, unit: float, values: np.ndarray, ranges: Sequence[float]
) -> tuple[float, float]:
    """The numbers for black and white in one image."""
    if depth == "8":
        return 0.0, float(_WHITE)
    at = 2 * list(_UNKNOWN).index(depth)
    low, high = ranges[at : at + 2]
    if low < high:
        return low, high
    low, high = _range_from(depth, *_extremes(depth, unit, values))
    return (low, high) if low == 0.0 and high <= _WHITE else (0.0, float(_WHITE))


def _extremes(depth: str, unit: float, values: np.ndarray) -> tuple[float, float]:
    """The least and the greatest number; for floats up to 1 or 255, these are the greatest."""
    most = _FLOAT_UNITS.get(unit) if depth == "float" else None
    return float(values.min()) / unit, float(values.max()) / unit if most is None else most


def _range_from(depth: str, least: float, most: float) -> tuple[float, float]:
    """The numbers for black and white of numbers from `least` to `most`; see `learned_ranges`."""
    if least < (-_OVERSHOOT * most if depth == "float" else 0.0):
        return least, most if most > least else least + 1.0
    if depth == "float" and most <= 1.0:
        return 0.0, 1.0
    n_bits = 8
    while most > (1 << n_bits) - 1:
        n_bits += 1
    return 0.0, float((1 << n_bits) - 1)


def _noun(depth: str) -> str:
    return {"16": "16 bits", "whole": "wide whole numbers", "float": "floats"}[depth]


def luma_of(images: np.ndarray) -> np.ndarray:
    """The luma, (..., 1), of grey or RGB images (..., 1 or 3), in the same numbers."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = (images[..., i] * _LUMA[i] for i in range(3))
    return np.asarray(red + green + blue)[..., None]


def area_sums(values: np.ndarray, count: int) -> np.ndarray:
    """The weighted sums along the first axis over `count` areas of equal length, (count, ...).

    A row that two areas share counts in each by its part. The weights of an area sum to
    len(values).
    """
    n = len(values)
    wide = np.float64 if values.dtype.kind == "f" else np.int64
    # if sums of bytes fit in 32 bits, 32 bits are faster
    kind = np.uint32 if values.dtype == np.uint8 and (n + 2 * count) * 256 < 1 << 32 else wide
    found = np.empty((count, *values.shape[1:]), wide)
    for i in range(count):
        start, stop = i * n, (i + 1) * n
        first, last = start // count, (stop - 1) // count
        total = values[first : last + 1].sum(axis=0, dtype=kind) * kind(count)
        total -= values[first].astype(kind) * kind(start - first * count)
        total -= values[last].astype(kind) * kind((last + 1) * count - stop)
        found[i] = total
    return found


def _as_integers(pixels: np.ndarray) -> tuple[str, float, np.ndarray]:
    """The depth, the unit and the pixels times the unit, as integers if their range allows it."""
    if pixels.dtype.kind != "f":
        return {"uint8": "8", "uint16": "16"}.get(pixels.dtype.name, "whole"), 1.0, pixels
    low, high = float(pixels.min()), float(pixels.max())
    for unit, white in _FLOAT_UNITS.items():
        if -_OVERSHOOT * high <= low and high <= white * (1.0 + _OVERSHOOT):
            return "float", unit, np.rint(pixels * unit).astype(np.int64)
    return "float", 1.0, pixels


def _of_image(image: Image.Image) -> np.ndarray:
    if image.mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if image.mode in ("I", "F"):
        return _of_array(np.asarray(image))
    return np.asarray(flattened(image))


def _of_array(array: np.ndarray) -> np.ndarray:
    """The array in one of the dtypes of `pixels_of`, without transparency."""
    kind = array.dtype.kind
    if kind == "b":
        return _of_array(array.astype(np.uint8) * np.uint8(_WHITE))
    require_numbers(array)
    if kind == "f":
        array = array.astype(np.float64)
    elif array.dtype.itemsize != 1 or kind == "i":
        array = array.astype(np.uint16) if array.dtype.str[1:] == "u2" else _as_int64(array)
    if array.ndim == 3 and array.shape[2] in (2, 4):
        return np.asarray(flattened(Image.fromarray(np.ascontiguousarray(_bytes(array)))))
    return array


def _as_int64(array: np.ndarray) -> np.ndarray:
    """The integers as int64. Raises `PayloadError` for more than 32 bits: sums might overflow."""
    low, high = int(array.min()), int(array.max())
    if low < -(1 << 31) or high >= 1 << 32:
        raise PayloadError(
            f"image: expected numbers of at most 32 bits, got {low} to {high}; scale them"
        )
    return array.astype(np.int64)


def _bytes(array: np.ndarray) -> np.ndarray:
    """An image with transparency, in 8 bits.

    White is 255, in uint16 65535; in floats it is 1 if the transparency goes only to 1.
    """
    if array.dtype == np.uint8:
        return array
    white = 65535.0 if array.dtype == np.uint16 else float(_WHITE)
    if array.dtype.kind == "f" and array[:, :, -1].max() <= 1.0:
        white = 1.0
    if array.min() < 0 or array.max() > white:
        raise PayloadError(
            f"image: expected 0 to {white:g} beside transparency, got {array.min()} to "
            f"{array.max()}; flatten it or convert it to uint8"
        )
    return np.rint(array * (_WHITE / white)).astype(np.uint8)
