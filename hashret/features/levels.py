"""Pictures of any depth as means of their areas, and these as levels on one scale.

A level is 0 for black and 255 for white, in steps of 1/256. What is black and white in numbers of
more than 8 bits no file says, so the corpus does (`learned_ranges`), never a picture by itself: the
same numbers are then the same picture, and a dark one stays dark. All sums are of whole numbers and
exact, so the same picture has the same levels in bytes, in 16 bits and in floats.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from hashret.errors import PayloadError
from hashret.features.pictures import flattened, opened, require_image_shape
from hashret.items import Payload

_STEPS = 256  # of a level
_WHITE = 255
#: What of the pictures' least and greatest means the scale leaves out: a few that are far from all
#: the others do not make these black.
_OUTLIERS = 0.01
#: So much beyond its range, as a share of it, a resampled picture of floats may go.
_OVERSHOOT = 1 / 8
#: Floats that go to 1 or to 255 are taken as whole numbers of so small a unit: 16 bits.
_FLOAT_UNITS = {65535.0: 1.0, float(_STEPS): float(_WHITE)}
_LUMA = np.array([19595, 38470, 7471]) / (1 << 16)  # ITU-R BT.601, as Pillow rounds it

#: Black and white of 16 bits, of other whole numbers, and of floats, where the corpus has none of
#: these. Floats say by themselves whether they go to 1 or to 255.
_UNKNOWN = {"16": (0.0, 65535.0), "whole": (0.0, 255.0), "float": (0.0, 0.0)}


class Means(NamedTuple):
    """A picture reduced to (height, width, channels): the means of its areas.

    `depth` is "8", "16", "whole" (any other whole numbers) or "float"; `values` are in units of
    1 / `unit` of the picture's own numbers.
    """

    depth: str
    unit: float
    values: np.ndarray


def means_of(payload: Payload, height: int, width: int, channels: int) -> Means:
    """The picture squeezed to height x width; grey is the luma of colours, colour of grey is grey.

    Raises `PayloadError`.
    """
    depth, unit, pixels = _whole_numbers(pixels_of(payload))
    sums = area_sums(area_sums(pixels, height).transpose(1, 0, 2), width).transpose(1, 0, 2)
    means = sums / float(pixels.shape[0] * pixels.shape[1])
    if channels == 1 and means.shape[2] == 3:
        means = luma_of(means)
    elif channels == 3 and means.shape[2] == 1:
        means = np.repeat(means, 3, axis=2)
    if depth == "8":  # a fourth of the memory
        return Means(depth, _STEPS, np.rint(means * _STEPS).astype(np.uint16))
    return Means(depth, unit, np.ascontiguousarray(means))


def pixels_of(payload: Payload) -> np.ndarray:
    """The picture upright, (height, width, 1 or 3), in numbers of its own depth.

    uint8, uint16, int64 or float64. Raises `PayloadError`.
    """
    if isinstance(payload, np.ndarray):
        found = _of_array(payload)
    else:
        with opened(payload) as image:
            found = _of_image(ImageOps.exif_transpose(image))
    return found if found.ndim == 3 else found[:, :, None]


def levels(means: Sequence[Any], ranges: Sequence[float]) -> np.ndarray:
    """The levels of `Means` as float32 multiples of 1/256, by what `learned_ranges` gave."""
    depth, unit, values = means
    low, high = _range(depth, unit, values, ranges)
    scale = float(_WHITE * _STEPS)
    steps = np.rint((values - low * unit) * scale / ((high - low) * unit))
    return np.asarray(steps / _STEPS, np.float32)


def require_in_range(means: Means, ranges: Sequence[float]) -> None:
    """Raise `PayloadError` for numbers that are on another scale than the collection's."""
    if means.depth == "8":
        return
    low, high = _range(*means, ranges)
    least, most = means.values.min() / means.unit, means.values.max() / means.unit
    if least < low - (high - low) or most > high + (high - low):
        raise PayloadError(
            f"image: expected numbers from about {low:g} to {high:g}, as the collection's images "
            f"of {_noun(means.depth)} have, got {least:g} to {most:g}; bring it to their scale",
            "other-scale",
        )


def learned_ranges(corpus: Iterable[Sequence[Any]]) -> tuple[float, ...]:
    """What is black and white in a corpus: of 16 bits, of other whole numbers, of floats.

    Whole numbers go from 0 to the least of 255, 511, 1023, ... that holds them; floats from 0 to 1
    or 255 if one of these does, else likewise; where some are negative, from the least number to
    the greatest. One picture in a hundred may go beyond.
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
        out = int(_OUTLIERS * len(lows))
        ranges += _range_from(depth, float(lows[out]), float(highs[-1 - out]))
    return tuple(ranges)


def _range(
    depth: str, unit: float, values: np.ndarray, ranges: Sequence[float]
) -> tuple[float, float]:
    if depth == "8":
        return 0.0, float(_WHITE)
    at = 2 * list(_UNKNOWN).index(depth)
    low, high = ranges[at : at + 2]
    if low < high:
        return low, high
    low, high = _range_from(depth, *_extremes(depth, unit, values))
    return (low, high) if low == 0.0 and high <= _WHITE else (0.0, float(_WHITE))


def _extremes(depth: str, unit: float, values: np.ndarray) -> tuple[float, float]:
    """The least and the greatest number; of floats that go to 1 or to 255, that."""
    most = _FLOAT_UNITS.get(unit) if depth == "float" else None
    return float(values.min()) / unit, float(values.max()) / unit if most is None else most


def _range_from(depth: str, least: float, most: float) -> tuple[float, float]:
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
    """(..., 1): the lightness of (..., 1 or 3) grey or coloured images, in the same numbers."""
    if images.shape[-1] == 1:
        return images
    red, green, blue = (images[..., i] * _LUMA[i] for i in range(3))
    return np.asarray(red + green + blue)[..., None]


def area_sums(values: np.ndarray, count: int) -> np.ndarray:
    """The weighted sums of the first axis over `count` areas of equal length.

    A row counts for as much as lies in an area: the weights of each add up to len(values).
    """
    n = len(values)
    wide = np.float64 if values.dtype.kind == "f" else np.int64
    # numbers of 8 bits add up in 32 where there are not too many: that is faster
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


def _whole_numbers(pixels: np.ndarray) -> tuple[str, float, np.ndarray]:
    """The depth, the unit and the pixels in it, whole where they can be: then sums are exact."""
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
    require_image_shape(array)
    kind = array.dtype.kind
    if kind == "b":
        array = array.astype(np.uint8) * np.uint8(_WHITE)
    elif kind == "f":
        array = array.astype(np.float64)
        if not np.isfinite(array).all():
            raise PayloadError(
                "image: expected finite numbers, got NaN or infinity; leave it out", "not-finite"
            )
    elif kind not in "iu":
        raise PayloadError(f"image: expected an array of numbers, got {array.dtype}; convert it")
    elif array.dtype.itemsize != 1 or kind == "i":
        array = array.astype(np.uint16) if array.dtype.str[1:] == "u2" else _of_32_bits(array)
    if array.ndim == 3 and array.shape[2] in (2, 4):
        return np.asarray(flattened(Image.fromarray(np.ascontiguousarray(_bytes(array)))))
    return array


def _of_32_bits(array: np.ndarray) -> np.ndarray:
    low, high = int(array.min()), int(array.max())
    if low < -(1 << 31) or high >= 1 << 32:
        raise PayloadError(
            f"image: expected numbers of at most 32 bits, got {low} to {high}; scale them"
        )
    return array.astype(np.int64)


def _bytes(array: np.ndarray) -> np.ndarray:
    """A picture with transparency in 8 bits, by its type or by how its transparency is told."""
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
