"""Read and write the files that the command line names.

Whatever is wrong with such a file is an `InputError` that names it, never the bare message of the
operating system or of a decoder.
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

#: Bytes. So much of a file is inspected before it is replaced, and so much of a new one is held in
#: memory before it goes to a temporary file: more than any line of a report.
_HEAD = 1 << 20


def require_file(path: Path, what: str) -> None:
    """Raise `InputError` unless a file is at `path`; `what` names the file expected there."""
    try:
        got = "a folder" if stat.S_ISDIR(path.stat().st_mode) else ""
    except (FileNotFoundError, NotADirectoryError):
        got = "no such file"
    except OSError as error:
        got = str(error.strerror)
    if got:
        raise InputError(f"{path}: expected {what}, got {got}; check the path")


def read_text(path: Path, what: str) -> str:
    """The whole text of a file in UTF-8; `what` and errors as in `lines_of`."""
    return "".join(lines_of(path, what))


def lines_of(path: Path, what: str) -> Iterator[str]:
    """Yield the lines of a text file in UTF-8, decompressed if its name ends in .gz.

    `what` names the content expected, such as "JSON lines", for the `InputError` that is raised if
    the file is missing, unreadable or in another encoding.
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
    """Raise `InputError` unless `what` can be written to `path` without losing another file.

    A file that is already there may be replaced only if it is empty or begins as the pattern
    `former` says. Any other file was probably named by mistake, and somebody still needs it.
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
    """The error for a `path` to which `what` can't or must not be written, because of `got`."""
    return InputError(f"{path}: expected a place for {what}, got {got}; name another file")


@contextmanager
def written(path: Path, what: str, *, even_after_error: bool = False) -> Iterator[IO[str]]:
    """Yield a text file (UTF-8) to write `what` into; it replaces `path` when the block ends.

    The new file appears whole; until then the old one stays. After an error the old one stays for
    good, unless `even_after_error` is given and something was written. If `path` is a symbolic
    link, the file that it points to is replaced. A pipe or device is written to directly. Raises
    `InputError` if `path` can't be written.
    """
    if _is_stream(path):
        try:
            open_one = path.open("a", encoding="utf-8")
        except OSError as error:
            raise no_place(path, what, error.strerror) from error
        with open_one:
            yield open_one
        return
    # the temporary file comes beside `path` only at the end: that folder may be a source being read
    with SpooledTemporaryFile(_HEAD, "w+", encoding="utf-8") as stream:
        try:
            yield stream
        except BaseException:
            if even_after_error and stream.tell():
                with suppress(InputError):  # the first error is the one to report
                    _put(stream, path, what)
            raise
        _put(stream, path, what)


def _put(stream: IO[str], path: Path, what: str) -> None:
    """Write a whole stream to `path` at once, through a temporary file beside it."""
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
    """Whether a path is a pipe, a device or a name of an open stream such as /dev/stdout."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    is_device = Path("/dev") in path.absolute().parents and not stat.S_ISDIR(mode)
    return is_device or stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)
