"""Read images by the first rule, which reduced every image to 8 bits (`ImageSpec.reading` 1).

A JPEG is decoded at a fraction of its size, 16 bits are cut to the upper 8, and images of unknown
depth are stretched by their own range. Models that were trained with this rule need it; new models
use `hashret.features.levels`.
"""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageOps

from hashret.errors import PayloadError
from hashret.features.pictures import flattened, opened, require_image_shape
from hashret.items import Payload
from hashret.specs import ImageSpec


def pixels(payload: Payload, spec: ImageSpec) -> np.ndarray:
    """The image as (height, width, channels) uint8. Raises `PayloadError` with the reason."""
    image = _decoded(payload, spec).convert("RGB" if spec.channels == 3 else "L")
    if image.size != (spec.width, spec.height):
        image = image.resize((spec.width, spec.height), Image.Resampling.BOX)
    return np.asarray(image, np.uint8).reshape(spec.height, spec.width, spec.channels)


def _decoded(payload: Payload, spec: ImageSpec) -> Image.Image:
    """The upright image in mode L or RGB."""
    if isinstance(payload, np.ndarray):
        return _plain(_from_array(payload))
    with opened(payload) as image:
        if not isinstance(payload, Image.Image):
            # decodes a JPEG at a fraction of its size; a caller's image must not be changed
            image.draft(None, (2 * spec.width, 2 * spec.height))
        return _plain(ImageOps.exif_transpose(image))


def _from_array(array: np.ndarray) -> Image.Image:
    require_image_shape(array)
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.dtype != np.uint8:
        array = _to_bytes(array)
    return Image.fromarray(np.ascontiguousarray(array))


def _to_bytes(array: np.ndarray) -> np.ndarray:
    """An array of another dtype, in any byte order, as uint8. Raises `PayloadError`.

    Of uint16 the upper byte is taken, whatever the range of the image. Other integers have no known
    depth and must be 0 to 255: a depth guessed for each image would give the images of a corpus
    different scales. For floats see `_stretched`.
    """
    kind = array.dtype.kind
    if kind == "b":
        return array.astype(np.uint8) * 255
    if kind == "u" and array.dtype.itemsize == 2:
        return (array >> 8).astype(np.uint8)
    if kind in "iu":
        low, high = int(array.min()), int(array.max())
        if low < 0 or high > 255:
            raise PayloadError(
                f"image: expected 0 to 255 in an array of {array.dtype.name}, got {low} to "
                f"{high}; convert it to uint8, to uint16 (a depth of 16 bits) or to floats from "
                "0 to 1"
            )
        return array.astype(np.uint8)
    if kind != "f":
        raise PayloadError(f"image: expected an array of numbers, got {array.dtype}; convert it")
    return _stretched(array)


def _stretched(array: np.ndarray) -> np.ndarray:
    """The numbers scaled to 0 to 255, from their own range; floats within [0, 1] from that range.

    Raises `PayloadError`.
    """
    wide = array.astype(np.float64)
    if not np.isfinite(wide).all():
        raise PayloadError(
            "image: expected finite numbers, got NaN or infinity; leave it out", "not-finite"
        )
    low, high = float(wide.min()), float(wide.max())
    if array.dtype.kind == "f" and low >= 0.0 and high <= 1.0:
        low, high = 0.0, 1.0
    span = high - low
    return np.rint((wide - low) * (255.0 / span if span else 0.0)).astype(np.uint8)


def _plain(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB, with transparent areas on white, and wide numbers scaled."""
    if image.mode.startswith("I;16") or image.mode in ("I", "F"):
        array = np.asarray(image)
        # Pillow opens most 16-bit files as 32-bit integers
        if image.mode == "I" and array.min() >= 0 and array.max() < 1 << 16:
            array = array.astype(np.uint16)
        has_depth = array.dtype.kind == "u"  # signed integers, of 32 bits, have no known depth
        return Image.fromarray(_to_bytes(array) if has_depth else _stretched(array))
    return flattened(image)
