"""The one place where a collection's files are written and checked.

A file appears whole or not at all: it is written under a temporary name in the same folder,
flushed, synced, checked for its size, renamed, and the folder is synced. Every file is recorded
with its size and SHA-256, and nothing is parsed before both agree.
"""

from __future__ import annotations

import errno
import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from hashret.errors import DamagedError
from hashret.store.refusals import plainly, storage_error
from hashret.store.untrusted import create_plain, open_plain

TEMPORARY = ".tmp"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A written file: its name, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str


def write_file(path: Path, chunks: Iterable[bytes | memoryview]) -> FileRecord:
    """Write `chunks` to `path` durably, in place of any file there.

    A `StorageError` leaves what was there.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    digest, size = hashlib.sha256(), 0
    try:
        with plainly(path, "write"):
            with create_plain(temporary) as stream:
                for chunk in chunks:
                    stream.write(chunk)
                    digest.update(chunk)
                    size += len(chunk)
                stream.flush()
                os.fsync(stream.fileno())
            if temporary.stat().st_size != size:
                raise storage_error(path, "write", OSError("fewer bytes on disk than written"))
            temporary.replace(path)
    except BaseException:
        with suppress(OSError):  # what failed first is what a user has to know
            temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)
    return FileRecord(path.name, size, digest.hexdigest())


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable, where the system can sync a folder."""
    if os.name != "posix":
        return
    with plainly(folder, "sync"):
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a regular file in hexadecimal, read in pieces."""
    digest = hashlib.sha256()
    with plainly(path, "read", errno.ENOENT), open_plain(path) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    return digest.hexdigest()


def require_sound(path: Path, record: FileRecord) -> None:
    """Raise DamagedError unless the file at `path` has the recorded size and SHA-256."""
    try:
        with open_plain(path) as stream:
            size = os.fstat(stream.fileno()).st_size
    except FileNotFoundError:
        raise DamagedError(
            f"{path}: expected a file of {record.size} bytes, got none; restore the collection "
            "from a copy or index it again"
        ) from None
    if size != record.size:
        what = f"expected {record.size} bytes, got {size}"
    elif (found := sha256_of(path)) != record.sha256:
        what = f"expected SHA-256 {record.sha256[:16]}..., got {found[:16]}..."
    else:
        return
    raise DamagedError(f"{path}: {what}; restore the collection from a copy or index it again")
