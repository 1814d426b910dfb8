"""Read NumPy arrays from .npy and .npz files, in blocks of rows.

`numpy.load` is not used. It would map an .npy into memory, and a file that is truncated while it is
mapped kills the process; and it would read a whole member of an .npz, of whatever size its header
claims. Here no memory is allocated for rows that don't exist. Arrays of Python objects are refused,
because loading them would run code from the file.
"""

from __future__ import annotations

import io
import lzma
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.lib import format as npy

from hashret.errors import InputError
from hashret.workers.refusals import Refused
from indexer.corpus import files

#: The suffixes of files with arrays.
SUFFIXES = (".npy", ".npz")
#: The largest row that is read, in bytes.
MAX_ROW_BYTES = 64 << 20
#: The largest array in Fortran order, in bytes; it has to be read as a whole.
MAX_FORTRAN_BYTES = 1 << 30
#: The errors that reading an array can raise if its file is damaged, changes or ends early.
DAMAGE = (
    *(EOFError, OSError, ValueError, RuntimeError, struct.error),
    *(zipfile.BadZipFile, zlib.error, lzma.LZMAError, Refused),
)

_BLOCK_BYTES = 4 << 20  # bytes of the rows that are read at a time
_NUMBERS = "fiu"  # kinds of dtypes that are numbers
_MAX_HEADER = 1 << 16  # bytes; headers of the first version are shorter


@dataclass(frozen=True, slots=True)
class StoredArray:
    """An array in a file: its header, and a function that opens the file again."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    fortran: bool
    """Whether it is in Fortran order, column by column."""
    reopen: Callable[[], IO[bytes]]

    @property
    def row_bytes(self) -> int:
        """The size of one row in bytes."""
        return math.prod(self.shape[1:]) * self.dtype.itemsize

    @property
    def rows_per_block(self) -> int:
        """The number of rows in a block of about 4 MiB; at least one."""
        return max(1, _BLOCK_BYTES // max(1, self.row_bytes))

    def blocks(self, n_rows: int) -> Iterator[np.ndarray]:
        """The array in blocks of `n_rows` rows, the last one shorter, in native byte order.

        If the file ends early, raises one of `DAMAGE` after all complete rows.
        """
        native = self.dtype.newbyteorder("=")
        with self.reopen() as stream:
            if self.fortran:  # rows are not contiguous, so they can't be read one by one
                whole = npy.read_array(stream, allow_pickle=False)
                for at in range(0, self.shape[0], n_rows):
                    yield whole[at : at + n_rows].astype(native, order="C")
                return
            _read_header(stream)
            for at in range(0, self.shape[0], n_rows):
                expected = min(n_rows, self.shape[0] - at)
                data = stream.read(expected * self.row_bytes)
                n = len(data) // self.row_bytes if self.row_bytes else expected
                rows = np.frombuffer(data[: n * self.row_bytes], self.dtype)
                if n:
                    yield rows.reshape(n, *self.shape[1:]).astype(native)
                if n < expected:
                    raise EOFError(f"expected {self.shape[0]} rows, got {at + n}")


def holds_numbers(array: StoredArray) -> bool:
    """Whether it is an array of numbers."""
    return array.dtype.kind in _NUMBERS


def stored_arrays(
    path: Path, closing: ExitStack, *, data: bytes | None = None, follow: bool = True
) -> dict[str, StoredArray]:
    """The arrays in an .npz file by name, or the one in an .npy file, named "array".

    With `data`, these are the file's bytes, and nothing is opened; `follow` says whether the path
    may be a symbolic link. Only headers are read. An .npz stays open until `closing` is closed.
    Raises InputError for any other file, an array of Python objects, an encrypted member, or rows
    that are too large.
    """

    def opened() -> IO[bytes]:
        return io.BytesIO(data) if data is not None else files.open_regular(path, follow=follow)

    try:
        if path.suffix.lower() == ".npy":
            return {"array": _stored("array", opened)}
        stream = closing.enter_context(opened())
        archive = closing.enter_context(zipfile.ZipFile(stream))
        return {
            name.removesuffix(".npy"): _stored(name, _member(archive, name))
            for name in archive.namelist()
            if name.endswith(".npy")
        }
    except Refused as refused:
        raise InputError(f"{path}: {refused.reason}") from refused
    # On malformed bytes the parsers of NumPy and the standard library may raise almost anything
    # (TokenError, KeyError, MemoryError, ...); all of it means a file that can't be read.
    except Exception as error:
        raise InputError(
            f"{path}: expected NumPy arrays without objects, got: {error}; save it again, as "
            "numbers or strings"
        ) from error


def read_vector(path: Path) -> np.ndarray:
    """The only vector in an .npy or .npz file, (width,), from an array (width,) or (1, width).

    Raises InputError for anything else.
    """
    with ExitStack() as closing:
        arrays = stored_arrays(path, closing)
        found = ", ".join(f"{name} {a.shape} of {a.dtype}" for name, a in arrays.items())
        array = next(iter(arrays.values()), None)
        if (
            array is None
            or len(arrays) > 1
            or len(array.shape) not in (1, 2)
            or (len(array.shape) == 2 and array.shape[0] != 1)
            or array.dtype.kind not in _NUMBERS
        ):
            raise InputError(
                f"{path}: expected one vector, an array of numbers, (width,) or (1, width), got "
                f"{found or 'no array'}; save one vector, or query with many by --batch"
            )
        if array.shape[0] * array.row_bytes > MAX_ROW_BYTES:
            raise InputError(
                f"{path}: expected a vector of at most {MAX_ROW_BYTES:,} bytes, got {found}; save "
                "one that the collection's model made"
            )
        try:
            blocks = list(array.blocks(max(1, array.shape[0])))
        except DAMAGE as error:
            raise InputError(
                f"{path}: expected a whole array, got: {error}; save it again"
            ) from error
    return blocks[0].reshape(-1) if blocks else np.empty(0, np.float32)


def _member(archive: zipfile.ZipFile, name: str) -> Callable[[], IO[bytes]]:
    return lambda: archive.open(name)


def _stored(name: str, reopen: Callable[[], IO[bytes]]) -> StoredArray:
    """The array of this name, after reading and checking its header."""
    with reopen() as stream:
        shape, fortran, dtype = _read_header(stream)
    array = StoredArray(shape, dtype, fortran, reopen)
    if dtype.hasobject:
        raise ValueError(f"{name!r} holds Python objects")
    if any(n < 0 for n in shape) or array.row_bytes > MAX_ROW_BYTES:
        raise ValueError(
            f"{name!r} has the shape {shape}; a row has at most {MAX_ROW_BYTES:,} bytes"
        )
    if fortran and math.prod(shape) * dtype.itemsize > MAX_FORTRAN_BYTES:
        raise Refused(
            "too-large",
            f"expected an array in C order, got {name!r}, large and in Fortran order; save it in C "
            "order (numpy.ascontiguousarray)",
        )
    return array


def _read_header(stream: IO[bytes]) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """The shape, whether it is in Fortran order, and the dtype."""
    version = npy.read_magic(stream)
    if version in ((2, 0), (3, 0)):
        stream = _as_first_version(stream)
    elif version != (1, 0):
        raise ValueError(f"its format version is {version}, later than (3, 0)")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # headers written by Python 2 are accepted too
        return npy.read_array_header_1_0(stream)


def _as_first_version(stream: IO[bytes]) -> IO[bytes]:
    """The header of a later format version, rewritten as one of version (1, 0), without the magic.

    Later versions are for headers of 64 KiB or more and for names of fields beyond Latin-1, which
    arrays of numbers or strings don't have. So a longer header is refused before it is read.
    """
    (size,) = struct.unpack("<I", stream.read(4))
    if size >= _MAX_HEADER:
        raise ValueError(f"its header has {size:,} bytes, more than numbers or strings need")
    header = stream.read(size)
    if len(header) < size:
        raise EOFError("it ends within its header")
    return io.BytesIO(struct.pack("<H", size) + header)
