"""A folder of image files as strangers make them, each with what must become of it."""

from __future__ import annotations

import io
import struct
import zlib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

_PICTURE = Image.fromarray(np.random.default_rng(1).integers(0, 256, (40, 30, 3), np.uint8))


def encoded(form: str, picture: Image.Image = _PICTURE, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def png(width: int, height: int, data: bytes, *, depth: int = 8, colour: int = 2) -> bytes:
    """A PNG file whose header says what it likes."""

    def chunk(name: bytes, body: bytes) -> bytes:
        return (
            struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        )

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head)
    return start + chunk(b"IDAT", zlib.compress(data, 6)) + chunk(b"IEND", b"")


def good() -> Iterator[tuple[str, bytes]]:
    """Files that must be indexed."""
    for form in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        yield f"plain.{form.lower()}", encoded(form)
    for mode in ("1", "L", "LA", "P", "RGBA"):
        yield (
            f"mode-{mode.replace(';', '-')}.png",
            encoded("PNG", _PICTURE.convert("L").convert(mode)),
        )
    yield "sixteen-bits.png", encoded("PNG", Image.fromarray(np.full((9, 9), 40_000, np.uint16)))
    yield "mode-cmyk.jpg", encoded("JPEG", _PICTURE.convert("CMYK"))
    yield "mode-f.tiff", encoded("TIFF", _PICTURE.convert("F"))
    exif = Image.Exif()
    exif[0x0112] = 6
    yield "turned.jpg", encoded("JPEG", exif=exif)
    yield "progressive.jpg", encoded("JPEG", progressive=True)
    frames = [Image.fromarray(np.full((8, 8), n * 40, np.uint8)) for n in range(5)]
    yield "animated.gif", encoded("GIF", frames[0], save_all=True, append_images=frames[1:])
    yield "animated.webp", encoded("WEBP", frames[0], save_all=True, append_images=frames[1:])
    yield "named-wrongly.png", encoded("JPEG")
    yield "one-pixel.png", encoded("PNG", Image.new("RGB", (1, 1), "red"))
    yield "narrow.png", encoded("PNG", Image.new("RGB", (1, 20_000), "red"))
    yield "more-behind.png", encoded("PNG") + b"more" * 1000
    yield "lzw.tiff", encoded("TIFF", compression="tiff_lzw")
    yield "deflated.tiff", encoded("TIFF", compression="tiff_adobe_deflate")


@cache
def bad() -> list[tuple[str, bytes, str]]:
    """Files that must be refused, with the class that must be reported."""
    return list(_bad())


def _bad() -> Iterator[tuple[str, bytes, str]]:
    bomb = png(12_000, 12_000, bytes(1000))
    yield "bomb.png", bomb, "too-many-pixels"
    yield "whole-bomb.png", png(9_000, 9_000, bytes(9_000 * 9_001), colour=0), "too-many-pixels"
    yield "flat-bomb.gif", _gif(65_535, 65_535), "too-many-pixels"
    yield "bomb.bmp", _bmp(60_000, 60_000), "too-many-pixels"
    yield "no-width.png", png(0, 10, b""), "bad-image"
    yield "endless.png", png(2**31 - 1, 2**31 - 1, b""), "too-many-pixels"
    yield "text-bomb.png", _with_text(1 << 23), "bad-image"
    for form in ("JPEG", "PNG", "WEBP", "GIF", "TIFF", "BMP"):
        whole = encoded(form)
        name = form.lower()
        yield f"cut-in-half.{name}", whole[: len(whole) // 2], "bad-image"
        yield f"only-its-start.{name}", whole[:12], "bad-image"
        yield f"zeros.{name}", bytes(5000), "bad-image"
        yield f"noise.{name}", np.random.default_rng(2).bytes(5000), "bad-image"
        yield f"empty.{name}", b"", "empty-file"
        yield f"text.{name}", b"<html>not an image</html>", "bad-image"
    for form in (
        "PPM",
        "PCX",
        "TGA",
        "ICO",
        "ICNS",
        "SGI",
        "MSP",
        "EPS",
        "PDF",
        "JPEG2000",
        "DDS",
    ):
        picture = _PICTURE.convert("1") if form == "MSP" else _PICTURE
        yield f"is-{form.lower()}.png", encoded(form, picture), "bad-image"
    for name, data in {
        "is-script.jpg": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(canary) (w) file\n",
        "is-pickle.png": b"cos\nsystem\n(S'mkdir canary'\ntR.",
        "is-svg.png": b"<svg xmlns='http://www.w3.org/2000/svg'><image href='/etc/passwd'/></svg>",
        "is-link.png": b"[InternetShortcut]\nURL=file:///etc/passwd\n",
        "is-fits.png": b"SIMPLE  =                    T".ljust(2880),
        "is-psd.png": b"8BPS\0\x01" + bytes(6) + struct.pack(">HIIHH", 3, 9, 9, 8, 3) + bytes(99),
        "is-wmf.png": b"\xd7\xcd\xc6\x9a" + bytes(60),
        "loop.tiff": b"II*\0\x08\0\0\0\0\0\x08\0\0\0",
        "strips.tiff": _tiff(strip=2**31 - 1),
        "large.tiff": _tiff(width=100_000, height=100_000),
        "crc.png": encoded("PNG")[:40] + b"\xff\xff" + encoded("PNG")[42:],
        "no-data.png": png(10, 10, b""),
        "filter.png": png(4, 4, b"\x09" * 100),
        "palette.png": png(4, 4, bytes(100), colour=3, depth=16),
    }.items():
        yield name, data, "too-many-pixels" if name == "large.tiff" else "bad-image"
    for name in ("photo.heic", "photo.raw", "notes.txt", "code.py", "no-suffix"):
        yield name, encoded("PNG"), "other-type"
    yield ".hidden.png", encoded("PNG"), "hidden"


def build(root: Path, copies: int, only: str = "") -> tuple[set[str], dict[str, str]]:
    """Write every file `copies` times; the ids of the good ones, and the class of each bad one.

    Of the bad ones, those with `only` in their name.
    """
    items, refused = set(), {}
    for copy in range(copies):
        folder = root / str(copy)
        folder.mkdir(parents=True)
        for name, data in good():
            (folder / name).write_bytes(data)
            items.add(f"{copy}/{name}")
        for name, data, error_class in (one for one in bad() if only in one[0]):
            (folder / name).write_bytes(data)
            refused[f"{copy}/{name}"] = error_class
    return items, refused


def _gif(width: int, height: int) -> bytes:
    head = b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff"
    frame = b"," + struct.pack("<HHHHB", 0, 0, width, height, 0)
    return head + frame + b"\x02\x02\x4c\x01\x00;"


def _bmp(width: int, height: int) -> bytes:
    body = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0)
    return b"BM" + struct.pack("<IHHI", 54, 0, 0, 54) + body


def _tiff(width: int = 9, height: int = 9, strip: int = 8) -> bytes:
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, 1, 8), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, strip), (277, 3, 1, 1), (278, 4, 1, height), (279, 4, 1, strip),
    ]  # fmt: skip
    body = b"".join(struct.pack("<HHII", *entry) for entry in entries)
    return b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4)


def _with_text(size: int) -> bytes:
    about = PngImagePlugin.PngInfo()
    about.add_text("comment", "x" * size, zip=True)
    return encoded("PNG", pnginfo=about)
