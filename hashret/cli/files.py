"""Files that the command line names: opened and read, or refused in a line that says which.

What is wrong with such a file is an `InputError` in the form of all errors, never the bare words
of the operating system or of a decoder.
"""

from __future__ import annotations

import gzip
import os
import re
import secrets
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from hashret.errors import InputError

#: How much of a file is looked at before it is replaced, in bytes, and of one to be written is kept
#: in memory: more than any line of a report.
_HEAD = 1 << 20


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


def require_place(path: Path, what: str, former: re.Pattern[str]) -> None:
    """Raise `InputError` unless `what` can be written at `path` and nothing else is lost by it.

    A file that is there is replaced only if it is empty or begins as `former` says: another would
    be what somebody still needs, and named by mistake.
    """
    if _is_stream(path):
        return
    try:
        if path.is_dir():
            raise no_place(path, what, "a folder")
        if path.exists():
            with path.open("rb") as stream:
                head = stream.read(_HEAD).decode("utf-8", "replace")
            if head and not former.match(head):
                raise no_place(path, what, "another file, which would be lost")
    except OSError as error:
        raise no_place(path, what, error.strerror) from error
    if not os.access(Path(os.path.realpath(path)).parent, os.W_OK):
        raise no_place(path, what, "no folder to write into")


def no_place(path: Path, what: str, got: str | None) -> InputError:
    """The error for a place where `what` can't be written, or must not."""
    return InputError(f"{path}: expected a place for {what}, got {got}; name another file")


@contextmanager
def written(path: Path, what: str, *, even_after_error: bool = False) -> Iterator[IO[str]]:
    """A text file to write `what` into, in UTF-8, which is at `path` when the block has ended.

    It appears whole, and what was at `path` stays until then. After an error it stays for good, but
    with `even_after_error` what was written by then takes its place, if there is any. A link stays
    one: the file that it leads to is replaced. A pipe or device is written into as it is. Raises
    `InputError` where that can't be.
    """
    if _is_stream(path):
        try:
            open_one = path.open("a", encoding="utf-8")
        except OSError as error:
            raise no_place(path, what, error.strerror) from error
        with open_one:
            yield open_one
        return
    # beside `path` only at the end: its folder may be one that is being read
    with SpooledTemporaryFile(_HEAD, "w+", encoding="utf-8") as stream:
        try:
            yield stream
        except BaseException:
            if even_after_error and stream.tell():
                with suppress(InputError):  # the first error is the one to be told
                    _put(stream, path, what)
            raise
        _put(stream, path, what)


def _put(stream: IO[str], path: Path, what: str) -> None:
    """Write all of a stream to `path`, which never names a part of it."""
    place = Path(os.path.realpath(path))
    aside = place.with_name(f".hashret-{secrets.token_hex(8)}.tmp")
    try:
        with aside.open("x", encoding="utf-8") as whole:
            stream.seek(0)
            shutil.copyfileobj(stream, whole)
            whole.flush()
            os.fsync(whole.fileno())
        if place.exists():
            aside.chmod(stat.S_IMODE(place.stat().st_mode))
        aside.replace(place)
    except OSError as error:
        raise no_place(path, what, error.strerror) from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def _is_stream(path: Path) -> bool:
    """Whether a path is a pipe, a device or another name of an open one (/dev/stdout)."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    is_device = Path("/dev") in path.absolute().parents and not stat.S_ISDIR(mode)
    return is_device or stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)
