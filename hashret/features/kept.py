"""What is kept of a vector or an image that a model still to be learned will see, as bytes.

A vector is kept as it was given, an image as its `levels.kept_means`.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from hashret.errors import DamagedError

#: Height and width, in pixels, that larger images are kept at, and seen at unless told otherwise.
SIDE = 32
#: Depth, height, width, channels, unit.
_IMAGE = struct.Struct("<5sHHBd")
_DEPTHS = {"8": "<u2", "16": "<f8", "whole": "<f8", "float": "<f8"}
#: The types of numbers of a vector, before which the name of the type stands, in 3 bytes.
_NUMBERS = {"<f4", "|u1", "|i1", "<u2", "<i2", "<u4", "<i4", "<u8", "<i8"}


def vector_as_bytes(vector: np.ndarray) -> bytes:
    """A vector (n,), of float32 or of integers, as bytes."""
    plain = vector.astype(vector.dtype.newbyteorder("<"))
    return plain.dtype.str.encode() + plain.tobytes()


def vector_of(data: bytes) -> np.ndarray:
    """The vector that `vector_as_bytes` was given. Raises `DamagedError`."""
    name = data[:3].decode("ascii", "replace")
    if name not in _NUMBERS or (len(data) - 3) % np.dtype(name).itemsize:
        raise _damaged("a vector")
    return np.frombuffer(data, name, offset=3)


def image_as_bytes(depth: str, unit: float, values: np.ndarray) -> bytes:
    """The `Means` of an image as bytes."""
    head = _IMAGE.pack(depth.encode(), *values.shape, unit)
    return head + values.astype(_DEPTHS[depth]).tobytes()


def image_of(data: bytes) -> tuple[str, float, np.ndarray]:
    """The `Means` that `image_as_bytes` was given. Raises `DamagedError`."""
    if len(data) < _IMAGE.size:
        raise _damaged("an image")
    name, height, width, channels, unit = _IMAGE.unpack_from(data)
    depth = name.rstrip(b"\0").decode("ascii", "replace")
    shape: tuple[Any, ...] = height, width, channels
    values = np.frombuffer(data, np.uint8, offset=_IMAGE.size)
    n_bytes = np.dtype(_DEPTHS.get(depth, "u1")).itemsize * height * width * channels
    fits = depth in _DEPTHS and 0 < n_bytes == len(values) and channels in (1, 3) and unit > 0.0
    if not fits or max(height, width) > SIDE:
        raise _damaged("an image")
    numbers = values.view(_DEPTHS[depth])
    if depth != "8" and not np.isfinite(numbers).all():
        raise _damaged("an image")
    return depth, unit, numbers.reshape(shape)


def _damaged(what: str) -> DamagedError:
    return DamagedError(
        f"payload: expected {what} as it was kept, got other bytes; index the collection again"
    )
