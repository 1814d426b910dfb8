"""Open one image within limits, whether it is a path, bytes, a file object or a Pillow image.

Only a `str` or an `os.PathLike` is a path. Bytes, file objects and Pillow images are images
themselves; the same limits apply to them, and nothing inside them is ever opened as a path.
Decoding is strict: only a few formats are accepted, whatever the file's name, and the number of
bytes and of pixels is limited.
"""

from __future__ import annotations

import inspect
import os
import stat
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import IO, Any

import numpy as np
from PIL import Image, UnidentifiedImageError
from PIL.JpegImagePlugin import JpegImageFile

from hashret.errors import PayloadError
from hashret.features.base import Hasher

#: The formats that are decoded, by Pillow's names.
FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
#: The most pixels that are decoded: 256 MB of memory as RGBA.
MAX_PIXELS = 64_000_000
#: A JPEG with more than `MAX_PIXELS` and at most this many is decoded at half its height and width.
MAX_JPEG_PIXELS = 4 * MAX_PIXELS
#: The largest file, or content of one, in bytes: enough for the most pixels, uncompressed.
MAX_BYTES = 512 << 20
_CHUNK = 1 << 20  # bytes that are read at a time
# Flags for opening a file, where the system has them: not waiting for a pipe, no conversions.
_OPEN_FLAGS = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
_JPEG = b"\xff\xd8\xff"  # the first bytes of every JPEG
_ORIENTATION = 0x0112  # EXIF's tag for how the image must be turned to be upright
_BYTES = (bytes, bytearray, memoryview)
_ENCODED = (str, os.PathLike, *_BYTES)
_EXPECTED = "expected a path, bytes, a binary file object, a Pillow image or an array"


def is_encoded(payload: Any) -> bool:
    """Whether a payload is a file, or the content of one, that has to be decoded."""
    return isinstance(payload, _ENCODED) or hasattr(payload, "read")


def source_of(payload: Any) -> Path | bytes:
    """The path of an encoded payload (`is_encoded`), or its bytes.

    A file object is read from its beginning if it is seekable, else from its current position.
    Raises `PayloadError` if it can't be read or has more than `MAX_BYTES`.
    """
    if isinstance(payload, str | os.PathLike):
        return Path(os.fsdecode(payload))
    content = bytes(payload) if isinstance(payload, _BYTES) else _read(payload)
    if len(content) > MAX_BYTES:
        raise PayloadError(
            f"image: expected at most {MAX_BYTES} bytes, got more; make it smaller", "too-large"
        )
    return content


@contextmanager
def opened(payload: Any) -> Iterator[Image.Image]:
    """Yield a Pillow image whose pixels are not decoded yet.

    Any error that is raised inside the `with` block becomes a `PayloadError`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of images above its own limit, which is not ours, and of damaged EXIF
            warnings.simplefilter("ignore")
            if isinstance(payload, Image.Image):
                yield _checked(payload)
            elif is_encoded(payload):
                with _stream(source_of(payload)) as stream, _identified(stream) as image:
                    _require_few_pixels(image)
                    yield image
            else:
                raise PayloadError(f"image: {_EXPECTED}, got {type(payload).__name__}; decode it")
    except PayloadError:
        raise
    except Image.DecompressionBombError as error:
        raise PayloadError(f"image: {error}; make it smaller", "too-many-pixels") from error
    except MemoryError as error:
        raise PayloadError(
            "image: expected one that fits in memory; make it smaller", "over-memory"
        ) from error
    except UnidentifiedImageError as error:
        raise PayloadError(
            f"image: expected one of {', '.join(FORMATS)}, got {_noun(payload)} that is none of "
            "them, or damaged; save the image in one of these formats",
            "bad-image",
        ) from error
    # On malformed bytes Pillow's decoders may raise almost anything (struct.error,
    # ZeroDivisionError, NotImplementedError, ...); all of it means a damaged image.
    except Exception as error:
        raise PayloadError(
            f"image: expected one of {', '.join(FORMATS)}, got {type(error).__name__}: {error}; "
            "save it again in one of them",
            "bad-image",
        ) from error


def require_image_shape(array: np.ndarray) -> None:
    """Raise `PayloadError` unless an array is (height, width) or (height, width, 1 to 4)."""
    right_shape = array.ndim == 2 or (array.ndim == 3 and 1 <= array.shape[2] <= 4)
    if not right_shape or 0 in array.shape:
        raise PayloadError(
            "image: expected an array of (height, width) or (height, width, 1 to 4 channels), "
            f"got the shape {array.shape}; pass one image at a time"
        )


def flattened(image: Image.Image) -> Image.Image:
    """The image in mode L or RGB, 8 bits a channel, with transparent areas on white."""
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        flat = Image.alpha_composite(white, rgba).convert("RGB")
        return flat.convert("L") if image.mode in ("LA", "La") else flat
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def digest(payload: Any, hasher: Hasher) -> None:
    """Update a hash with the content of an image: a file's bytes, or an array's shape and numbers.

    Raises `PayloadError` for a payload that is no image or can be read only once, and OSError.
    """
    if isinstance(payload, np.ndarray):
        hasher.update(f"{payload.shape}{payload.dtype}".encode() + payload.tobytes())
    elif isinstance(payload, Image.Image):
        with opened(payload) as image:
            shown_as = image.getexif().get(_ORIENTATION), image.info.get("transparency")
            hasher.update(f"{image.size}{image.mode}{shown_as}{image.getpalette()}".encode())
            hasher.update(image.tobytes())
    elif not is_encoded(payload):
        raise PayloadError(f"image: {_EXPECTED}, got {payload!r:.80}; decode it first")
    else:
        if hasattr(payload, "read") and not _is_seekable(payload):
            raise PayloadError(
                f"image: expected a file object that can be read twice, got {_noun(payload)} that "
                "is not seekable; pass its bytes"
            )
        with _stream(source_of(payload)) as stream:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)


def _checked(image: Image.Image) -> Image.Image:
    """The caller's Pillow image; raises `PayloadError` for another format or too many pixels."""
    # MPO is a JPEG with several images; an image that was not read from a file has no format
    if image.format not in (None, "MPO", *FORMATS):
        raise PayloadError(
            f"image: expected one of {', '.join(FORMATS)}, got an image opened as {image.format}; "
            "convert it first (image.convert('RGB'))",
            "bad-image",
        )
    _require_few_pixels(image)
    return image


def _identified(stream: IO[bytes]) -> Image.Image:
    """The image in a file, of which only the header is read; a very large JPEG at half its size."""
    head = stream.read(len(_JPEG))
    stream.seek(0)
    if head != _JPEG:
        return Image.open(stream, formats=FORMATS)
    # `Image.open` would refuse the large JPEGs that are decoded at half their size here
    image = JpegImageFile(stream)
    width, height = image.size
    if MAX_PIXELS < width * height <= MAX_JPEG_PIXELS:
        image.draft(None, (width // 2, height // 2))
    return image


def _require_few_pixels(image: Image.Image) -> None:
    if image.width * image.height > MAX_PIXELS:
        raise PayloadError(
            f"image: expected at most {MAX_PIXELS} pixels ({MAX_JPEG_PIXELS} of a JPEG file), "
            f"got {image.width} x {image.height}; make it smaller",
            "too-many-pixels",
        )


def _stream(source: Path | bytes) -> IO[bytes]:
    """A stream of bytes, or of the regular file at a path. Raises `PayloadError` and OSError."""
    if isinstance(source, bytes):
        return BytesIO(source)
    if not source.is_file():
        raise PayloadError(
            f"image: expected the path of a regular file, got {str(source)!r:.200}; check it"
        )
    # if it has become a pipe since the check, opening it must not wait
    descriptor = os.open(source, os.O_RDONLY | _OPEN_FLAGS)
    status = os.fstat(descriptor)
    if not stat.S_ISREG(status.st_mode) or status.st_size > MAX_BYTES:
        os.close(descriptor)
        raise PayloadError(
            f"image: expected a regular file of at most {MAX_BYTES} bytes, got another at "
            f"{str(source)!r:.200}; make it smaller",
            "too-large",
        )
    return os.fdopen(descriptor, "rb")


def _read(stream: Any) -> bytes:
    """All bytes of a file object, or slightly more than `MAX_BYTES` of them."""
    parts, size = [], 0
    try:
        if _is_seekable(stream):
            stream.seek(0)
        while size <= MAX_BYTES:
            part = stream.read(_CHUNK)
            if not isinstance(part, bytes):
                if inspect.iscoroutine(part):
                    part.close()
                raise PayloadError(
                    f"image: expected bytes from {_noun(stream)}, got {type(part).__name__}; open "
                    "it in binary mode, or pass the bytes"
                )
            if not part:
                break
            parts.append(part)
            size += len(part)
    except PayloadError:
        raise
    except Exception as error:  # a caller's object may raise anything
        raise PayloadError(
            f"image: expected a file object that can be read, got {_noun(stream)}: "
            f"{type(error).__name__}: {error}; pass the bytes"
        ) from error
    return b"".join(parts)


def _is_seekable(stream: Any) -> bool:
    """Whether a file object can be read again from its beginning."""
    try:
        return bool(stream.seekable())
    except Exception:  # a file object may lack the method, and a closed one raises
        return False


def _noun(payload: Any) -> str:
    """A short name of a payload for an error message, without its content."""
    if isinstance(payload, str | os.PathLike):
        return f"the file {os.fsdecode(payload)!r:.200}"
    return f"an object of type {type(payload).__name__}"
