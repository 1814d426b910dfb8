"""A file of a collection that is mapped, and checked block by block as it is read.

Whoever reads a few rows of a large file reads, and hashes, a few blocks of it. A block is checked
once; what is changed on the disk after that is not noticed.
"""

from __future__ import annotations

import hashlib
import mmap
import sys
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np

from hashret.store.disk.damage import damaged
from hashret.store.disk.files import DIGEST, FileRecord, open_recorded, other_sha256
from hashret.store.disk.refusals import plainly

# A map needs no open file, of which a process has few; before 3.13 Python keeps one all the same.
_WITHOUT_HANDLE: dict[str, Any] = {"trackfd": False} if sys.version_info >= (3, 13) else {}
# Ranges that are checked one by one; to check some at once takes as long as so many.
_FEW = 32
_OTHERWISE = 100  # open files that a process needs beside those that it maps, at most
_NOTHING = np.empty(0, np.uint8)
_NOTHING.setflags(write=False)


def most_mapped() -> int:
    """How many files this process may map at once, at least, by the limit on its open files."""
    if _WITHOUT_HANDLE or sys.platform == "win32":
        return sys.maxsize
    import resource

    return max(6, resource.getrlimit(resource.RLIMIT_NOFILE)[0] - _OTHERWISE)


class CheckedFile:
    """The bytes of a recorded file, mapped read-only.

    `data` (size,) uint8 is a view of all bytes; call `require` for those that you are about to
    read. `all_verified` says that nothing is left to check. Threads may share one: at worst two of
    them check the same block.
    """

    def __init__(self, path: Path, record: FileRecord):
        """Map the file at `path`, which nothing opens again.

        Raises DamagedError unless it has the recorded size, and `StorageError` where the system
        refuses.
        """
        self.path = path
        self._record = record
        self._map: mmap.mmap | None = None
        self.data = _NOTHING
        with plainly(path, "read"), open_recorded(path, record) as stream:
            self.block = record.block
            """The size of a block in bytes."""
            n_blocks = -(-record.size // self.block)
            if record.blocks and len(record.blocks) != n_blocks * DIGEST:
                got = f"{len(record.blocks)} bytes of digests"
                raise damaged(path, f"the digests of {n_blocks} blocks", got)
            self._verified = np.zeros(n_blocks, bool)
            self.verified = memoryview(self._verified.view(np.uint8).data)
            """1 for each block that may be read without a call of `require`, for who reads much."""
            self.all_verified = False
            self.address = 0
            """Where `data` begins in memory."""
            if record.size == 0:  # the system maps no empty file
                return
            try:
                self._map = mmap.mmap(
                    stream.fileno(), record.size, access=mmap.ACCESS_READ, **_WITHOUT_HANDLE
                )
            except ValueError as error:  # cut since it was opened
                raise damaged(path, f"{record.size} bytes", "fewer") from error
        self.data = np.frombuffer(self._map, np.uint8)
        self.address = self.data.ctypes.data

    @classmethod
    def in_memory(cls, path: Path, data: np.ndarray) -> Self:
        """Bytes, (n,) uint8, as if they stood at `path`; nothing of them is left to check."""
        self = cls.__new__(cls)
        self.path, self.data, self.address = path, data, data.ctypes.data
        self._record, self._map = FileRecord(path.name, len(data), ""), None
        self.block, self._verified, self.all_verified = len(data), np.ones(1, bool), True
        self.verified = memoryview(self._verified.view(np.uint8).data)
        return self

    def require(self, start: int, stop: int) -> None:
        """Check the blocks of bytes `start` to `stop` (exclusive) that were not checked yet.

        Raises DamagedError for one that is not as it was written, and ValueError for a range that
        does not lie in the file.
        """
        if self.all_verified:
            return
        if not 0 <= start <= stop <= len(self.data):
            raise self._outside(start, stop)
        if start == stop:
            return
        for block in range(start // self.block, (stop - 1) // self.block + 1):
            if not self.verified[block]:
                self._verify(block)

    def require_ranges(self, starts: np.ndarray, stops: np.ndarray) -> None:
        """Do as `require` for each of the ranges, (n,) integers; their order does not matter."""
        if self.all_verified or len(starts) == 0:
            return
        if len(starts) <= _FEW:
            for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
                self.require(start, stop)
            return
        starts, stops = np.asarray(starts, np.int64), np.asarray(stops, np.int64)
        if int(starts.min()) < 0 or int(stops.max()) > len(self.data) or (starts > stops).any():
            raise self._outside(int(starts.min()), int(stops.max()))
        some = stops > starts
        first, last = starts[some] // self.block, (stops[some] - 1) // self.block
        # every block of every range, as often as it is in one
        ends = np.cumsum(last - first + 1)
        blocks = np.repeat(last + 1 - ends, last - first + 1)
        blocks += np.arange(len(blocks))
        for block in np.unique(blocks[~self._verified[blocks]]).tolist():
            if not self._verified[block]:  # checked meanwhile, with the whole file
                self._verify(block)

    def require_all(self) -> None:
        """Check every block that was not checked yet, and a file without any too."""
        if not len(self._verified):
            self._verify_whole()
        self.require(0, self._record.size)

    def close(self) -> None:
        """Give the file back to the system, once no view of `data` is in use any more."""
        self.data = _NOTHING
        self.all_verified = False
        if self._map is not None:
            with suppress(BufferError):  # a view is in use: the map goes with it
                self._map.close()
            self._map = None

    def _verify(self, block: int) -> None:
        if not self._record.blocks:
            self._verify_whole()
            return
        begin = block * self.block
        end = min(begin + self.block, self._record.size)
        piece = self.data[begin:end]
        if len(piece) != end - begin:
            raise self._outside(begin, end)
        recorded = self._record.blocks[block * DIGEST : (block + 1) * DIGEST]
        found = hashlib.sha256(piece.data).digest()[:DIGEST]
        if found != recorded:
            which = f"SHA-256 {recorded[:8].hex()}... of bytes {begin} to {end - 1}"
            raise damaged(self.path, which, f"{found[:8].hex()}...")
        self._verified[block] = True
        self.all_verified = bool(self._verified.all())

    def _verify_whole(self) -> None:
        found = hashlib.sha256(self.data.data).hexdigest()
        if found != self._record.sha256:
            raise other_sha256(self.path, self._record, found)
        self._verified[:] = True
        self.all_verified = True

    def _outside(self, start: int, stop: int) -> ValueError:
        return ValueError(
            f"range: expected bytes within 0 to {len(self.data)}, got {start} to {stop}; look at "
            "what gave it, or at whether the file was closed"
        )
