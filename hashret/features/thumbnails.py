"""How a person sees an image: small, as a thumbnail that a collection keeps, or whole.

Both are made of the decoded pixels, so nothing else of a file comes along: neither its metadata,
such as where a photo was taken, nor what else may hide in it.
"""

from __future__ import annotations

from io import BytesIO

import numpy as np
from PIL import Image

from hashret.features.levels import pixels_of
from hashret.items import Payload

#: The longest side of a thumbnail, in pixels. Two of them beside each other fit on a telephone.
SIDE = 160
#: The longest side of a whole picture, in pixels: that of a large screen.
WHOLE_SIDE = 4096
#: Of WebP: photos of 160 pixels then take some 4 kB, and no block is seen.
_QUALITY = 75
_WHOLE_QUALITY = 90  # of JPEG
_WHITE = 255


def thumbnail(pixels: np.ndarray) -> bytes:
    """A WebP file of at most `SIDE` x `SIDE` pixels; smaller images keep their size.

    `pixels` (height, width, 1 or 3), as `levels.pixels_of` returns them.
    """
    return _encoded(pixels, SIDE, "WEBP", quality=_QUALITY)


def whole(payload: Payload) -> bytes:
    """The picture as a JPEG file of at most `WHOLE_SIDE` pixels a side. Raises `PayloadError`."""
    return _encoded(pixels_of(payload), WHOLE_SIDE, "JPEG", quality=_WHOLE_QUALITY)


def _encoded(pixels: np.ndarray, side: int, form: str, *, quality: int) -> bytes:
    pixels = _as_bytes(pixels)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    image.thumbnail((side, side), reducing_gap=2.0)
    stream = BytesIO()
    image.save(stream, form, quality=quality)
    return stream.getvalue()


def _as_bytes(pixels: np.ndarray) -> np.ndarray:
    """The pixels in 8 bits: numbers of any other depth from their own least to their greatest."""
    if pixels.dtype == np.uint8:
        return pixels
    wide = pixels.astype(np.float64)
    low, high = float(wide.min()), float(wide.max())
    span = high - low
    return np.rint((wide - low) * (_WHITE / span if span else 0.0)).astype(np.uint8)
