"""The members of one zip or tar file, in its order, read as a stream in bounded memory.

Sizes are counted while bytes come out; no header is believed. Nothing is extracted.
"""

from __future__ import annotations

import bz2
import gzip
import lzma
import stat
import struct
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import IO, Any, Protocol

from hashret.workers.refusals import Refused
from indexer.corpus.files import time_of

#: The suffixes of archives.
ZIP, TAR = (".zip",), (".tar", *(".tar" + one for one in (".gz", ".bz2", ".xz", ".zst")))
TAR += (".tgz", ".tbz2", ".txz", ".tzst")

_MOST_RATIO = 200  # bytes that come out of an archive for each of its own, beside
_SLACK = 256 << 20  # so many bytes; text is seldom packed to less than a fiftieth
_MOST_MEMBERS = 2_000_000  # of an archive and those in it
# Bytes that are read at once. The directory of a zip is held in memory, about 15 bytes for each.
_CHUNK, _MOST_DIRECTORY = 1 << 20, 32 << 20
_XZ_MEMORY = 256 << 20  # bytes of a dictionary; xz -9 needs 65 MiB
_UTC_TIME = 0x5455  # the extra field of a zip's member that has its time in UTC
_ENCRYPTED = 0x1 | 0x40 | 0x2000  # the flags of a zip's member that needs a password
_WHOLE = "the rest of the archive is not read"


class Exceeded(Refused):
    """An archive holds more than may come out of it; nothing else of it is read."""


@dataclass(slots=True)
class Budget:
    """What may still come out of an archive and of those in it."""

    n_bytes: int
    members: int = _MOST_MEMBERS

    @classmethod
    def of(cls, size: int) -> Budget:
        """The budget of an archive of so many bytes."""
        return cls(_MOST_RATIO * size + _SLACK)

    def spend(self, n_bytes: int, members: int = 0) -> None:
        """Count what came out; raises `Exceeded` if it is too much."""
        self.n_bytes -= n_bytes
        self.members -= members
        if self.n_bytes < 0:
            raise Exceeded("bomb", f"it unpacks to over {_MOST_RATIO} times its size; {_WHOLE}")
        if self.members < 0:
            raise Exceeded("bomb", f"it has over {_MOST_MEMBERS:,} members; {_WHOLE}")


@dataclass(frozen=True, slots=True)
class Member:
    """A member of an archive, to be read before the next one is asked for."""

    name: str
    is_folder: bool
    modified: str
    refused: Refused | None
    """Why it can't be read, known from its header."""
    read: Callable[[int], bytes]
    """All its bytes, or so many and one more; raises `Refused`."""


def members(name: str, file: IO[bytes], budget: Budget) -> Iterator[Member]:
    """The members of an archive, which is a seekable file.

    Raises `Exceeded`, and almost any other Exception where the archive is damaged.
    """
    found = _zip(file, budget) if name.lower().endswith(ZIP) else _tar(name.lower(), file, budget)
    for member in found:
        budget.spend(0, members=1)
        yield member


def _all(read: Callable[[int], bytes], limit: int) -> bytes:
    """What `read` gives until it ends, or until it is more than `limit` bytes."""
    parts, left = [], limit + 1
    while left > 0 and (part := read(min(left, _CHUNK))):
        parts.append(part)
        left -= len(part)
    return b"".join(parts)


# zip


class _Limited:
    """A file of which at most so many bytes are read at once, whatever headers say."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self.seek, self.tell, self.seekable = file.seek, file.tell, file.seekable

    def read(self, n: int = -1) -> bytes:
        data = self._file.read(_MOST_DIRECTORY + 1 if n < 0 else min(n, _MOST_DIRECTORY + 1))
        if len(data) > _MOST_DIRECTORY:
            raise zipfile.BadZipFile(f"a directory of over {_MOST_DIRECTORY:,} bytes")
        return data

    def close(self) -> None:
        """Whoever opened the file closes it."""


def _zip(file: IO[bytes], budget: Budget) -> Iterator[Member]:
    limited: Any = _Limited(file)
    with zipfile.ZipFile(limited) as archive:
        for info in archive.infolist():

            def read(limit: int, info: zipfile.ZipInfo = info) -> bytes:
                return _read_zipped(archive, info, limit, budget)

            yield Member(info.filename, info.is_dir(), _zip_time(info), _unfit(info), read)


def _read_zipped(
    archive: zipfile.ZipFile, info: zipfile.ZipInfo, limit: int, budget: Budget
) -> bytes:
    try:
        with archive.open(info) as stream:

            def counted(n: int) -> bytes:
                part = stream.read(n)
                budget.spend(len(part))
                return part

            return _all(counted, limit)
    except Refused:
        raise
    except Exception as error:  # almost anything, on damaged bytes; other members may be sound
        raise Refused("damaged-archive", f"damaged in the archive: {error}") from error


def _unfit(info: zipfile.ZipInfo) -> Refused | None:
    """Why a member of a zip can't be read; None if it can."""
    mode = info.external_attr >> 16 if info.create_system == 3 else 0
    if stat.S_ISLNK(mode):
        return Refused("symlink", "a symbolic link in an archive, which is not followed")
    if stat.S_IFMT(mode) and not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):
        return Refused("not-a-regular-file", "expected a regular file, got a device or pipe")
    if info.flag_bits & _ENCRYPTED:
        return Refused("encrypted", "encrypted; decrypt it with its password first")
    # of the other methods Python's decoders can't be bounded in memory, and hardly anybody uses one
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        method = info.compress_type
        return Refused("other-type", f"expected a stored or deflated member, got method {method}")
    return None


def _zip_time(info: zipfile.ZipInfo) -> str:
    """When a member was changed: in UTC if the archive says that, else on its maker's clock."""
    extra = info.extra
    while len(extra) >= 4:
        kind, size = struct.unpack_from("<HH", extra)
        if kind == _UTC_TIME and min(size, len(extra) - 4) >= 5 and extra[4] & 1:
            return time_of(struct.unpack_from("<i", extra, 5)[0])
        extra = extra[4 + size :]
    try:
        return time_of(datetime(*info.date_time, tzinfo=UTC).timestamp())
    except ValueError:
        return ""


# tar


class _Readable(Protocol):
    def read(self, n: int, /) -> bytes: ...


class _Decompressed:
    """The bytes of a bz2 or xz file, which may have several streams, in bounded memory."""

    def __init__(self, file: IO[bytes], make: Callable[[], Any]):
        self._file, self._make, self._one, self._fed = file, make, make(), b""

    def read(self, n: int) -> bytes:
        while True:
            if self._one.eof:
                rest = self._one.unused_data or self._file.read(_CHUNK)
                rest = rest.lstrip(b"\0")  # padding
                if not rest:
                    return b""
                self._one, self._fed = self._make(), rest
            elif self._one.needs_input and not self._fed:
                self._fed = self._file.read(_CHUNK)
                if not self._fed:
                    raise EOFError("the compressed stream ends early")
            fed, self._fed = self._fed, b""
            if part := self._one.decompress(fed, n):
                return bytes(part)


def _decompressed(name: str, file: IO[bytes]) -> _Readable:
    if name.endswith((".gz", ".tgz")):
        return gzip.GzipFile(fileobj=file)
    if name.endswith((".bz2", ".tbz2")):
        return _Decompressed(file, bz2.BZ2Decompressor)
    if name.endswith((".xz", ".txz")):
        return _Decompressed(file, lambda: lzma.LZMADecompressor(memlimit=_XZ_MEMORY))
    if name.endswith((".zst", ".tzst")):
        import pyarrow as pa

        stream: _Readable = pa.CompressedInputStream(pa.PythonFile(file, "r"), "zstd")
        return stream
    return file


class _Forward:
    """A stream for `tarfile`, which only goes forward; what comes out of it is counted."""

    def __init__(self, stream: _Readable, budget: Budget):
        self._stream, self._budget, self._at = stream, budget, 0
        self.last = b""
        """What was read last: at the end of a sound archive, a block of NUL."""

    def tell(self) -> int:
        return self._at

    def seek(self, place: int) -> None:
        if place < self._at:
            raise tarfile.ReadError("a member that begins before the one before it ends")
        while place > self._at:
            if not self.read(min(place - self._at, _CHUNK)):
                raise tarfile.ReadError("unexpected end of data")

    def read(self, n: int) -> bytes:
        if not 0 <= n <= _CHUNK:
            raise tarfile.ReadError(f"a header of over {_CHUNK:,} bytes")
        parts = []
        while n > 0 and (part := self._stream.read(n)):
            self._budget.spend(len(part))
            parts.append(part)
            n -= len(part)
        self.last = b"".join(parts)
        self._at += len(self.last)
        return self.last


def _tar(name: str, file: IO[bytes], budget: Budget) -> Iterator[Member]:
    stream = _Forward(_decompressed(name, file), budget)
    given: Any = stream
    with tarfile.TarFile(fileobj=given) as archive:
        kept: list[tarfile.TarInfo] = vars(archive)["members"]
        while (info := archive.next()) is not None:
            kept.clear()  # `tarfile` remembers all that it has seen

            def read(limit: int, size: int = info.size) -> bytes:
                end = stream.tell() + size
                data = _all(lambda n: stream.read(min(n, end - stream.tell())), limit)
                if len(data) < min(size, limit + 1):
                    raise EOFError("the archive ends within a member")
                return data

            yield Member(info.name, info.isdir(), _tar_time(info), _unlike_a_file(info), read)
    if len(stream.last) < tarfile.BLOCKSIZE or stream.last.strip(b"\0"):
        raise tarfile.ReadError("expected the mark of its end, got something else or nothing")


def _tar_time(info: tarfile.TarInfo) -> str:
    """When a member was changed; "" if its header says nothing sensible."""
    try:
        return time_of(float(info.mtime))
    except (ValueError, OverflowError):
        return ""


def _unlike_a_file(info: tarfile.TarInfo) -> Refused | None:
    """Why a member of a tar can't be read; None if it can."""
    if info.issym() or info.islnk():
        noun = "a hard" if info.islnk() else "a symbolic"
        return Refused("symlink", f"{noun} link in an archive, which is not followed")
    if info.issparse():
        return Refused("other-type", "expected a plain file, got a sparse one")
    if not (info.isreg() or info.isdir()):
        return Refused("not-a-regular-file", "expected a regular file, got a device or pipe")
    return None
