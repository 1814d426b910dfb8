"""Read compressed files as streams: gzip, bzip2, xz and Zstandard, in bounded memory."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import zlib
from pathlib import Path
from typing import IO, Any, cast

#: The suffixes of compressed files.
SUFFIXES = (".gz", ".bz2", ".xz", ".zst")
#: The errors that a damaged stream raises. Zstandard's and bzip2's are OSError.
DAMAGED = (EOFError, zlib.error, lzma.LZMAError, OSError)

# Bytes that an xz decoder may take. `xz -9` needs 65 MiB; a stranger's stream can ask for 4 GiB.
_XZ_MEMORY = 256 << 20
_CHUNK = 1 << 16  # bytes of a compressed stream that are read at a time


def plain_suffix(path: Path) -> str:
    """The suffix in lower case, without that of a compressed file after it."""
    plain = path.with_suffix("") if path.suffix.lower() in SUFFIXES else path
    return plain.suffix.lower()


def decompressed(raw: io.BufferedReader, path: Path) -> io.BufferedReader:
    """The bytes of a file, decompressed if its suffix says that it is compressed.

    Where the stream is damaged or ends early, reading raises one of `DAMAGED`.
    """
    match path.suffix.lower():
        case ".gz":
            return io.BufferedReader(gzip.GzipFile(fileobj=raw))
        case ".bz2":
            return io.BufferedReader(cast("Any", bz2.BZ2File(raw)))
        case ".xz":
            return io.BufferedReader(_Xz(raw))
        case ".zst":
            import pyarrow as pa

            stream = pa.CompressedInputStream(pa.PythonFile(raw, "r"), "zstd")
            return io.BufferedReader(stream)
    return raw


def error_class(path: Path) -> str:
    """The class of the refusal of a stream that can't be read to its end."""
    suffix = path.suffix.lower()
    if suffix == ".gz":
        return "damaged-gzip"
    return "damaged-stream" if suffix in SUFFIXES else "unreadable"


class _Xz(io.RawIOBase):
    """An xz file, which may be several streams; `lzma.LZMAFile` has no limit of memory."""

    def __init__(self, raw: IO[bytes]) -> None:
        self._raw = raw
        self._decoder: lzma.LZMADecompressor | None = None
        self._rest = b""  # compressed bytes that no decoder has taken yet

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        while True:
            if self._decoder is None or self._decoder.eof:
                self._decoder = self._next_stream()
                if self._decoder is None:
                    return 0
            data = b""
            if self._decoder.needs_input:
                data, self._rest = self._rest or self._raw.read(_CHUNK), b""
                if not data:
                    raise EOFError("the stream ends before its end marker")
            found = self._decoder.decompress(data, max_length=len(buffer))
            if self._decoder.eof:
                self._rest = self._decoder.unused_data
            if found:
                buffer[: len(found)] = found
                return len(found)

    def _next_stream(self) -> lzma.LZMADecompressor | None:
        """The decoder of the next stream of the file; None if there is none."""
        padding = b"" if self._decoder is None else b"\0"  # NULs may stand between streams
        data = self._rest.lstrip(padding)
        while not data and (data := self._raw.read(_CHUNK)):
            data = data.lstrip(padding)
        self._rest = data
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY) if data else None
