"""One picture, however it was given, opened within limits.

Only a `str` or an `os.PathLike` names a file. Bytes, file objects and images of Pillow are pictures
themselves and meet the limits of files; nothing that they hold is ever taken as a path. Decoding is
strict: a short list of formats whatever a file is called, a limit on bytes and on pixels.
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

FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP")
MAX_PIXELS = 64_000_000
#: A JPEG of more than `MAX_PIXELS` and up to so many is decoded at half its height and width.
MAX_JPEG_PIXELS = 4 * MAX_PIXELS
#: The largest file, or content of one, in bytes: room for the most pixels, uncompressed.
MAX_BYTES = 512 << 20
_CHUNK = 1 << 20
_READING = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)  # what the system has of them
_JPEG = b"\xff\xd8\xff"  # how a JPEG begins
_ORIENTATION = 0x0112  # the tag of EXIF that says how a picture is to be turned
_BYTES = (bytes, bytearray, memoryview)
_ENCODED = (str, os.PathLike, *_BYTES)
_WANTED = "expected a path, bytes, a binary file object, an image of Pillow or an array"


def is_encoded(payload: Any) -> bool:
    """Whether a payload is a file, or the content of one, that a decoder has to read."""
    return isinstance(payload, _ENCODED) or hasattr(payload, "read")


def source_of(payload: Any) -> Path | bytes:
    """Where the bytes of an encoded payload are (`is_encoded`): a path, or the bytes themselves.

    A file object is read from its beginning where it can go there, else from where it stands.
    Raises `PayloadError` for one that can't be read, or holds too much.
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
    """An image of Pillow whose pixels are not read yet.

    Whatever goes wrong with it inside the block is raised as `PayloadError`.
    """
    try:
        with warnings.catch_warnings():
            # Pillow only warns of a bomb below twice its limit, and of damaged EXIF data
            warnings.simplefilter("ignore")
            if isinstance(payload, Image.Image):
                yield _own(payload)
            elif is_encoded(payload):
                with _stream(source_of(payload)) as stream, _identified(stream) as image:
                    _require_few_pixels(image)
                    yield image
            else:
                raise PayloadError(f"image: {_WANTED}, got {type(payload).__name__}; decode it")
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
            f"image: expected one of {', '.join(FORMATS)}, got {_noun(payload)} that is none, or "
            "damaged; save the picture in one of them",
            "bad-image",
        ) from error
    # A stranger's bytes bring Pillow's decoders to raise almost anything (struct.error,
    # ZeroDivisionError, NotImplementedError, ...): all of it says the same.
    except Exception as error:
        raise PayloadError(
            f"image: expected one of {', '.join(FORMATS)}, got {type(error).__name__}: {error}; "
            "save it again in one of them",
            "bad-image",
        ) from error


def require_image_shape(array: np.ndarray) -> None:
    """Raise `PayloadError` unless an array is (height, width), or that by 1 to 4 channels."""
    right_shape = array.ndim == 2 or (array.ndim == 3 and 1 <= array.shape[2] <= 4)
    if not right_shape or 0 in array.shape:
        raise PayloadError(
            "image: expected an array of (height, width) or (height, width, 1 to 4 channels), "
            f"got shape {array.shape}; one image at a time"
        )


def flattened(image: Image.Image) -> Image.Image:
    """An image of 8 bits in mode L or RGB: transparency on white, other colours converted."""
    if image.mode in ("LA", "PA", "RGBA", "La", "RGBa") or "transparency" in image.info:
        rgba = image.convert("RGBA")
        white = Image.new("RGBA", rgba.size, "white")
        flat = Image.alpha_composite(white, rgba).convert("RGB")
        return flat.convert("L") if image.mode in ("LA", "La") else flat
    if image.mode in ("1", "L"):
        return image.convert("L")
    return image.convert("RGB")


def digest(payload: Any, hasher: Hasher) -> None:
    """Hash what a picture is known by: a file's bytes, or form and numbers of what is decoded.

    Raises `PayloadError` for what is no picture, or can be read only once, and OSError.
    """
    if isinstance(payload, np.ndarray):
        hasher.update(f"{payload.shape}{payload.dtype}".encode() + payload.tobytes())
    elif isinstance(payload, Image.Image):
        with opened(payload) as image:
            turned = image.getexif().get(_ORIENTATION), image.info.get("transparency")
            hasher.update(f"{image.size}{image.mode}{turned}{image.getpalette()}".encode())
            hasher.update(image.tobytes())
    elif not is_encoded(payload):
        raise PayloadError(f"image: {_WANTED}, got {payload!r:.80}; decode it first")
    else:
        if hasattr(payload, "read") and not _goes_back(payload):
            raise PayloadError(
                f"image: expected a file object that can be read again, got {_noun(payload)} that "
                "can't; pass the bytes that it holds"
            )
        with _stream(source_of(payload)) as stream:
            while chunk := stream.read(_CHUNK):
                hasher.update(chunk)


def _own(image: Image.Image) -> Image.Image:
    """The caller's image, if it may be read."""
    # MPO is what Pillow calls a JPEG of several pictures; an image that was made has no format
    if image.format not in (None, "MPO", *FORMATS):
        raise PayloadError(
            f"image: expected one of {', '.join(FORMATS)}, got an image opened as {image.format}; "
            "convert it first (image.convert('RGB'))",
            "bad-image",
        )
    _require_few_pixels(image)
    return image


def _identified(stream: IO[bytes]) -> Image.Image:
    head = stream.read(len(_JPEG))
    stream.seek(0)
    if head != _JPEG:
        return Image.open(stream, formats=FORMATS)
    # not by way of `Image.open`, which refuses JPEGs that are read here at half their size
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
    """What a path names or bytes hold, open for reading. Raises `PayloadError`, and OSError."""
    if isinstance(source, bytes):
        return BytesIO(source)
    if not source.is_file():
        raise PayloadError(
            f"image: expected the path of a regular file, got {str(source)!r:.200}; check it"
        )
    # what became a pipe since must not hold up the reader
    descriptor = os.open(source, os.O_RDONLY | _READING)
    about = os.fstat(descriptor)
    if not stat.S_ISREG(about.st_mode) or about.st_size > MAX_BYTES:
        os.close(descriptor)
        raise PayloadError(
            f"image: expected a regular file of at most {MAX_BYTES} bytes, got another at "
            f"{str(source)!r:.200}; make it smaller",
            "too-large",
        )
    return os.fdopen(descriptor, "rb")


def _read(stream: Any) -> bytes:
    """All bytes of a file object, or so many that they are too many."""
    parts, size = [], 0
    try:
        if _goes_back(stream):
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


def _goes_back(stream: Any) -> bool:
    """Whether a file object can be read from its beginning again."""
    try:
        return bool(stream.seekable())
    except Exception:  # none is asked for such a method, and a closed one raises
        return False


def _noun(payload: Any) -> str:
    """What to call a payload in an error, without what it holds."""
    if isinstance(payload, str | os.PathLike):
        return f"the file {os.fsdecode(payload)!r:.200}"
    return f"an object of type {type(payload).__name__}"
