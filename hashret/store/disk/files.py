"""The one place where a collection's files are written and checked.

A file appears whole or not at all: it is written under a temporary name in the same folder,
flushed, synced, checked for its size, renamed, and the folder is synced. Every file is recorded
with its size, its SHA-256 and the digests of its blocks. Nothing is parsed before the size and the
SHA-256 agree, or the size and the digests of the blocks that are read (`store.disk.checked`).
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from hashret.errors import DamagedError
from hashret.store.disk.damage import damaged
from hashret.store.disk.refusals import plainly, storage_error
from hashret.store.disk.untrusted import create_plain, is_folder, open_plain

#: The size of a block in bytes, unless a smaller one is asked for: hashing one takes about 40 us,
#: and 16 bytes a block are 1/4096 of the file.
BLOCK = 65_536
_LEAST_BLOCK = 512  # bytes
_MANY_BLOCKS = 128
#: How many bytes of a block's SHA-256 are recorded.
DIGEST = 16
TEMPORARY = ".tmp"
_CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A written file: its name, its size in bytes, its SHA-256 in hexadecimal."""

    name: str
    size: int
    sha256: str
    blocks: bytes = b""
    """The first `DIGEST` bytes of the SHA-256 of each block, one after another.

    The last block may be shorter than `block`. Empty where no blocks are recorded.
    """

    @property
    def block(self) -> int:
        """The size of a block in bytes: the largest one of which there are so many."""
        block, count = BLOCK, len(self.blocks) // DIGEST
        while block > _LEAST_BLOCK and -(-self.size // block) < count:
            block //= 2
        return block


def small_blocks(size: int) -> int:
    """The size of a block of a file of `size` bytes, for few items to be lost with one.

    A power of two from 512 bytes to `BLOCK`, of which there are up to 128 if that can be.
    """
    block = _LEAST_BLOCK
    while block < BLOCK and block * _MANY_BLOCKS < size:
        block *= 2
    return block


def write_file(path: Path, chunks: Iterable[bytes | memoryview], block: int = BLOCK) -> FileRecord:
    """Write `chunks` to `path` durably, in place of any file there.

    `block` is the size of the blocks whose digests are recorded. A `StorageError` leaves what was
    there.
    """
    temporary = path.with_name(path.name + TEMPORARY)
    digest, blocks, size = hashlib.sha256(), _BlockDigests(block), 0
    try:
        with plainly(path, "write"):
            with create_plain(temporary) as stream:
                for chunk in chunks:
                    stream.write(chunk)
                    digest.update(chunk)
                    blocks.update(chunk)
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
    return FileRecord(path.name, size, digest.hexdigest(), blocks.finish())


class _BlockDigests:
    """The digests of the blocks of a stream, whatever its chunks."""

    def __init__(self, size: int) -> None:
        self._done = bytearray()
        self._size = size  # bytes of a block
        self._block = hashlib.sha256()
        self._room = size  # bytes until the block is full

    def update(self, chunk: bytes | memoryview) -> None:
        rest = memoryview(chunk)
        while len(rest) >= self._room:
            self._block.update(rest[: self._room])
            rest = rest[self._room :]
            self._next()
        self._block.update(rest)
        self._room -= len(rest)

    def finish(self) -> bytes:
        if self._room < self._size:
            self._next()
        return bytes(self._done)

    def _next(self) -> None:
        self._done += self._block.digest()[:DIGEST]
        self._block, self._room = hashlib.sha256(), self._size


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


def make_folder(root: Path, folder: Path) -> None:
    """Make a folder below `root`, and those above it, durably."""
    if folder == root or is_folder(folder):
        return
    make_folder(root, folder.parent)
    with plainly(folder, "make"):
        folder.mkdir()
    sync_folder(folder.parent)


def open_recorded(path: Path, record: FileRecord) -> IO[bytes]:
    """Open a file for reading (`open_plain`).

    Raises DamagedError if there is none, or none of the recorded size.
    """
    try:
        stream = open_plain(path)
    except FileNotFoundError:
        raise damaged(path, f"a file of {record.size} bytes", "none") from None
    size = os.fstat(stream.fileno()).st_size
    if size != record.size:
        stream.close()
        raise damaged(path, f"{record.size} bytes", size)
    return stream


def require_sound(path: Path, record: FileRecord) -> None:
    """Raise DamagedError unless the file at `path` has the recorded size and SHA-256."""
    digest = hashlib.sha256()
    with plainly(path, "read"), open_recorded(path, record) as stream:
        while chunk := stream.read(_CHUNK):
            digest.update(chunk)
    if (found := digest.hexdigest()) != record.sha256:
        raise other_sha256(path, record, found)


def other_sha256(path: Path, record: FileRecord, found: str) -> DamagedError:
    """The error for a file whose SHA-256 is `found`, not the recorded one."""
    return damaged(path, f"SHA-256 {record.sha256[:16]}...", f"{found[:16]}...")
