"""Images as a denoiser takes them: levels from 0, black, to 1, white, in their own resolution.

Transparency and dtype are kept. What numbers are black and white is what they are for the codes
(`features.levels`), but that noise may exceed them.
"""

from __future__ import annotations

import zlib
from io import BytesIO
from typing import Any, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from hashret.errors import InputError, PayloadError
from hashret.features.levels import (
    Means,
    black_and_white,
    levels,
    luma_of,
    own_means,
    require_numbers,
)
from hashret.features.noise.denoising import Denoising
from hashret.features.pictures import opened
from hashret.items import Payload
from hashret.specs import ImageSpec

_WHITE = np.float32(255.0)
#: Pixels of an image for each patch: more patches would mostly be the same again.
_PIXELS_A_PATCH = 8
#: Of a JPEG: little is lost, and no colour's resolution.
_JPEG = {"quality": 95, "subsampling": 0}
#: The modes of a picture that each format keeps, and how it is saved; by suffix.
_FORMATS: dict[str, tuple[str, tuple[str, ...], dict[str, Any]]] = {
    ".png": ("PNG", ("L", "LA", "RGB", "RGBA", "I;16", "I"), {}),
    ".jpg": ("JPEG", ("L", "RGB"), _JPEG),
    ".jpeg": ("JPEG", ("L", "RGB"), _JPEG),
    ".webp": ("WEBP", ("RGB", "RGBA"), {"lossless": True}),
    ".tif": ("TIFF", ("L", "LA", "RGB", "RGBA", "I;16", "I", "F"), {}),
    ".tiff": ("TIFF", ("L", "LA", "RGB", "RGBA", "I;16", "I", "F"), {}),
}
#: The suffixes of pictures that can be written.
SUFFIXES = tuple(_FORMATS)
#: What stands in every picture that is written, by which an earlier one is known.
MARK = "hashret denoise"
_SOFTWARE = 0x0131  # EXIF's tag for what wrote a file


class Picture(NamedTuple):
    """An image file, decoded."""

    pixels: np.ndarray
    """(height, width) or (height, width, 2 to 4), upright, with transparency."""
    profile: bytes | None = None
    """How its colours are meant: an ICC profile."""


def picture_of(payload: Payload) -> Picture:
    """An image as it is denoised: the array that was given, or a file's pixels.

    Palettes and other models of colour become RGB, black and white become grey. Raises
    `PayloadError`.
    """
    if isinstance(payload, np.ndarray):
        return Picture(payload)
    with opened(payload) as image:
        upright = ImageOps.exif_transpose(image)
        profile = image.info.get("icc_profile")
        return Picture(_pixels(upright), profile if isinstance(profile, bytes) else None)


def _pixels(image: Image.Image) -> np.ndarray:
    mode = image.mode
    if mode.startswith("I;16"):
        return np.asarray(image).astype(np.uint16)
    if mode in ("La", "LA"):
        return np.asarray(image.convert("LA"))
    if mode in ("PA", "RGBA", "RGBa") or "transparency" in image.info:
        return np.asarray(image.convert("RGBA"))
    if mode in ("1", "L"):
        return np.asarray(image.convert("L"))
    return np.asarray(image if mode in ("I", "F") else image.convert("RGB"))


def encoded(picture: Picture, suffix: str) -> bytes:
    """The picture as a file of the format of `suffix`, one of `SUFFIXES`, which says `MARK`.

    Raises `PayloadError` for a format that can't keep its depth or its transparency.
    """
    pixels = picture.pixels
    channels = 1 if pixels.ndim == 2 else pixels.shape[2]
    flat = pixels[:, :, 0] if pixels.ndim == 3 and channels == 1 else pixels
    if flat.dtype == np.int32 and channels == 1:
        mode = "I"
    else:
        modes = {np.dtype(np.uint8): ("L", "LA", "RGB", "RGBA"), np.dtype(np.uint16): ("I;16",)}
        modes[np.dtype(np.float32)] = ("F",)
        mode = dict(enumerate(modes.get(flat.dtype, ()), start=1)).get(channels, "")
    form, kept, how = _FORMATS[suffix]
    if mode == "L" and form == "WEBP":  # which has no grey, and loses nothing by that
        mode, flat = "RGB", np.repeat(flat[:, :, None], 3, axis=2)
    if mode not in kept:
        raise PayloadError(
            f"output: expected a format for {flat.dtype} with {channels} channels, got {form}; "
            f"{'name a .npy file' if not mode else 'name a .png or .tiff file'}"
        )
    exif = Image.Exif()
    exif[_SOFTWARE] = MARK
    stream = BytesIO()
    image = Image.fromarray(np.ascontiguousarray(flat))
    image.save(stream, form, exif=exif, icc_profile=picture.profile, **how)
    return stream.getvalue()


def noise_of_image(pixels: np.ndarray, spec: ImageSpec, denoiser: Denoising) -> float:
    """The standard deviation of an image's noise, as a share of the range from black to white.

    `pixels` (height, width[, 1 to 4]). Raises `PayloadError` for what is no image of numbers.
    """
    colours, _ = _split(pixels)
    low, high = black_and_white(colours, spec.ranges)
    return denoiser.noise_of(_levels(colours, low, high))


def denoised_image(
    pixels: np.ndarray, spec: ImageSpec, denoiser: Denoising, noise: float
) -> np.ndarray:
    """The image (height, width[, 1 to 4]) without its noise, in the same shape and dtype.

    `noise` is its standard deviation as a share of the range; of 0 nothing is taken away.
    Transparency, the last of 2 or 4 channels, stays. Raises as `noise_of_image`, and InputError for
    a noise above 1.
    """
    if noise > 1.0:
        raise InputError(
            f"noise: expected a share of the range from black to white, at most 1, got {noise:g}; "
            "divide by the range: 25 of 255 is 0.1"
        )
    colours, alpha = _split(pixels)
    if noise == 0.0:
        return pixels.copy()
    low, high = black_and_white(colours, spec.ranges)
    noisy = _levels(colours, low, high)
    added = noisy - denoiser.denoised(noisy, noise)
    clean = colours - added * np.float64(high - low)
    if pixels.dtype.kind != "f":
        np.rint(clean, out=clean)
    # what lies beyond black or white was there before
    clean = np.clip(clean, min(low, float(colours.min())), max(high, float(colours.max())))
    if pixels.dtype.kind != "f":
        limits = np.iinfo(pixels.dtype)
        clean = np.clip(clean, limits.min, limits.max)
    parts = [clean.astype(pixels.dtype), *([] if alpha is None else [alpha])]
    return np.concatenate(parts, axis=2).reshape(pixels.shape)


def _split(pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
    """The colours (height, width, 1 or 3) of an image, and its transparency if it has one."""
    require_numbers(pixels)
    image = pixels if pixels.ndim == 3 else pixels[:, :, None]
    if image.shape[2] in (2, 4):
        return image[:, :, :-1], image[:, :, -1:]
    return image, None


def _levels(colours: np.ndarray, low: float, high: float) -> np.ndarray:
    return np.asarray((colours - np.float64(low)) / np.float64(high - low), np.float32)


def patches_of(payload: Any, spec: ImageSpec, side: int, most: int, seed: int) -> np.ndarray:
    """At most so many patches of an image, at random places: (n, side, side, channels) float32.

    Levels go from 0, black, to 1. The payload is an image or `Means`; channels are the spec's.
    There is one patch for every eight pixels at most, and the image is mirrored beyond its edges.
    Raises `PayloadError`.
    """
    depth, unit, values = payload if isinstance(payload, Means) else own_means(payload)
    height, width, channels = values.shape
    # other places in every image: of images of one size, all parts are learned from
    rng = np.random.default_rng([seed, zlib.crc32(values.tobytes())])
    count = max(1, min(most, height * width // _PIXELS_A_PATCH))
    edge = side // 2

    def places(length: int) -> np.ndarray:
        starts = rng.integers(-edge, max(length + edge - side, -edge) + 1, count)
        at = (starts[:, None] + np.arange(side)) % (2 * length)
        return np.where(at < length, at, 2 * length - 1 - at)  # (count, side)

    rows, columns = places(height), places(width)
    found = values[rows[:, :, None], columns[:, None, :]]
    if spec.channels == 1:
        found = luma_of(found)
    elif channels == 1:
        found = np.repeat(found, 3, axis=3)
    return levels(Means(depth, unit, found), spec.ranges) / _WHITE
