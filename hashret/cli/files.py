"""Files that the command line names: opened and read, or refused in a line that says which.

What is wrong with such a file is an `InputError` in the form of all errors, never the bare words
of the operating system or of a decoder.
"""

from __future__ import annotations

import gzip
import os
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from hashret.errors import InputError


def require_file(path: Path, what: str) -> None:
    """Raise `InputError` where nothing, or a folder, is at `path`; `what` it is to be."""
    try:
        got = "a folder" if stat.S_ISDIR(path.stat().st_mode) else ""
    except (FileNotFoundError, NotADirectoryError):
        got = "no such file"
    except OSError as error:
        got = str(error.strerror)
    if got:
        raise InputError(f"{path}: expected {what}, got {got}; check the path")


def read_text(path: Path, what: str) -> str:
    """All of a text file in UTF-8."""
    return "".join(lines_of(path, what))


def lines_of(path: Path, what: str) -> Iterator[str]:
    """The lines of a text file in UTF-8, decompressed if its name ends in .gz.

    `what` the file is to be, for the `InputError` where it is not: "JSON lines".
    """
    require_file(path, what)
    number = 0
    try:
        with gzip.open(path) if path.suffix.lower() == ".gz" else path.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                yield line.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError as error:
        raise InputError(
            f"{path}: expected {what} in UTF-8, got other bytes in line {number}; convert it"
        ) from error
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise InputError(f"{path}: expected {what} in gzip, got {error}; restore it") from error
    except OSError as error:
        raise InputError(
            f"{path}: expected {what}, got {error.strerror}; check its permissions"
        ) from error


def require_place(path: Path, what: str) -> None:
    """Raise `InputError` where no file can be written: there is a folder, or none to write into."""
    if path.is_dir() or not os.access(path.parent, os.W_OK):
        raise InputError(
            f"{path}: expected a place for {what}, got a folder or none to write into; name "
            "another file"
        )


@contextmanager
def written(path: Path, what: str) -> Iterator[IO[str]]:
    """A text file to write `what` into, in UTF-8; a former one is replaced."""
    try:
        stream = path.open("w", encoding="utf-8")
    except OSError as error:
        raise InputError(
            f"{path}: expected a place for {what}, got {error.strerror}; name another file"
        ) from error
    with stream:
        yield stream
