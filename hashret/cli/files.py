"""Read and write the files that the command line names.

Whatever is wrong with such a file is an `InputError` that names it, never the bare message of the
operating system or of a decoder.
"""

from __future__ import annotations

import gzip
import shutil
import stat
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import TextIOWrapper
from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import IO

from hashret.errors import InputError
from hashret.outside.outputs import is_stream, replaced

#: Bytes of a new file that are held in memory before it goes to a temporary one.
_IN_MEMORY = 1 << 20


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


@contextmanager
def written(path: Path, what: str, *, even_after_error: bool = False) -> Iterator[IO[str]]:
    """Yield a text file (UTF-8) to write `what` into; it replaces `path` when the block ends.

    The new file appears whole; until then the old one stays. After an error the old one stays for
    good, unless `even_after_error` is given and something was written. If `path` is a symbolic
    link, the file that it points to is replaced. A pipe or device is written to directly. Raises
    `InputError` if `path` can't be written.
    """
    if is_stream(path):
        with _as_text(path, what) as stream:
            yield stream
        return
    # the temporary file comes beside `path` only at the end: that folder may be a source being read
    with SpooledTemporaryFile(_IN_MEMORY, "w+", encoding="utf-8") as stream:
        try:
            yield stream
        except BaseException:
            if even_after_error and stream.tell():
                with suppress(InputError):  # the first error is the one to report
                    _put(stream, path, what)
            raise
        _put(stream, path, what)


def _put(stream: IO[str], path: Path, what: str) -> None:
    stream.seek(0)
    with _as_text(path, what) as whole:
        shutil.copyfileobj(stream, whole)


@contextmanager
def _as_text(path: Path, what: str) -> Iterator[IO[str]]:
    with replaced(path, what) as stream:
        text = TextIOWrapper(stream, encoding="utf-8", newline="")
        try:
            yield text
        finally:  # what was written into a pipe before an error is not lost
            text.flush()
            text.detach()
