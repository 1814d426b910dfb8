"""A file of codes and their ids, which any NumPy reads: an .npz without pickled objects.

It holds `codes` (n, n_bits // 8) uint8, `ids` (n,) strings, and `about.json`, which names the model
that made the codes: codes of another one would decode to something else. The checksums of ZIP find
damage.
"""

from __future__ import annotations

import io
import json
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import numpy as np

from hashret.cli.files import require_file
from hashret.codes import Codes
from hashret.errors import InputError
from hashret.outside.outputs import replaced, require_outside, require_place

_WHAT = "a file of codes (`hashret compress`)"
_ABOUT, _FORMAT = "about.json", 1
_ARRAYS = ("codes.npy", "ids.npy")
#: Bytes of the largest array that is read: a hundred million codes of 64 bits.
_MOST_BYTES = 1 << 30
_MOST_ABOUT = 1 << 16  # bytes of the JSON


@dataclass(frozen=True, slots=True)
class CodesFile:
    """Codes, their ids, and the SHA-256 of the model that made them."""

    codes: Codes
    ids: list[str]
    model: str


def require_codes_place(path: Path) -> None:
    """Raise `InputError` unless `write_codes` may write to `path`; asked before long work."""
    require_outside(path, _WHAT)
    require_place(path, _WHAT, _is_former)


def write_codes(path: Path, content: CodesFile) -> int:
    """Write a file of codes, which replaces at most an earlier one; its size in bytes."""
    about = {
        "hashret": "codes",
        "format": _FORMAT,
        "model": content.model,
        "n_bits": content.codes.n_bits,
        "n": len(content.codes),
    }
    whole = io.BytesIO()
    with zipfile.ZipFile(whole, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(_ABOUT, json.dumps(about))  # first: by it an earlier file is known
        arrays = (content.codes.packed, np.array(content.ids, np.str_).reshape(-1))
        for name, array in zip(_ARRAYS, arrays, strict=True):
            packed = io.BytesIO()
            np.lib.format.write_array(packed, array, allow_pickle=False)
            archive.writestr(name, packed.getvalue())
    require_codes_place(path)
    with replaced(path, _WHAT) as stream:
        stream.write(whole.getvalue())
    return len(whole.getvalue())


def read_codes(path: Path) -> CodesFile:
    """The codes of a file. Raises `InputError` for what is damaged or no file of codes."""
    require_file(path, _WHAT)
    try:
        with path.open("rb") as stream, zipfile.ZipFile(stream) as archive:
            about = json.loads(_member(archive, _ABOUT, _MOST_ABOUT))
            codes, ids = (_array(_member(archive, name, _MOST_BYTES)) for name in _ARRAYS)
            return _checked(about, codes, ids)
    # the file may come from a stranger, so any part of it may be missing or of any type
    except (zipfile.BadZipFile, zlib.error, EOFError, KeyError, TypeError, ValueError) as error:
        raise _no_codes(path, f"{type(error).__name__}: {error}") from error
    except (NotImplementedError, RecursionError, RuntimeError, MemoryError) as error:
        raise _no_codes(path, f"{type(error).__name__}: {error}") from error
    except OSError as error:
        raise _no_codes(path, str(error.strerror or error)) from error


def _no_codes(path: Path, got: str) -> InputError:
    return InputError(f"{path}: expected {_WHAT}, got another or a damaged one ({got:.200})")


def _member(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """The content of a member, whose checksum agrees."""
    if archive.getinfo(name).file_size > most:
        raise ValueError(f"{name} is larger than {most:,} bytes")
    with archive.open(name) as member:
        return member.read()


def _array(data: bytes) -> np.ndarray:
    array: np.ndarray = np.lib.format.read_array(io.BytesIO(data), allow_pickle=False)
    return array


def _checked(about: dict[str, Any], codes: np.ndarray, ids: np.ndarray) -> CodesFile:
    if about["hashret"] != "codes" or about["format"] != _FORMAT:
        raise ValueError(f"its format is {about['format']!r}")
    n, n_bits = about["n"], about["n_bits"]
    if codes.dtype != np.uint8 or ids.dtype.kind != "U" or ids.shape != (n,):
        raise ValueError(f"arrays of {codes.dtype} and {ids.dtype}, {ids.shape}")
    if codes.shape != (n, n_bits // 8):
        raise ValueError(f"codes of shape {codes.shape} where {n} of {n_bits} bits are said")
    return CodesFile(Codes(codes), ids.tolist(), str(about["model"]))


def _is_former(stream: IO[bytes]) -> bool:
    try:
        with zipfile.ZipFile(stream) as archive:
            return bool(json.loads(_member(archive, _ABOUT, _MOST_ABOUT))["hashret"] == "codes")
    except Exception:  # whatever it is, it is no earlier file of codes
        return False
