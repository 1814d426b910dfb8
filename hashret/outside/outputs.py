"""Files that are written outside of collections: they appear whole, and replace nobody's file."""

from __future__ import annotations

import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hashret.arguments import unusable_in_path
from hashret.errors import HashretError, InputError
from hashret.store.disk.untrusted import is_folder
from hashret.store.layout import Layout

#: Bytes at the beginning of a file in which the mark of an earlier output is looked for.
_HEAD = 1024


def no_place(path: Path, what: str, got: str | None) -> InputError:
    """The error for a `path` to which `what` can't or must not be written, because of `got`."""
    return InputError(f"{path}: expected a place for {what}, got {got}; name another file")


def is_stream(path: Path) -> bool:
    """Whether a path is a pipe, a device or a name of an open stream such as /dev/stdout."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    is_device = Path("/dev") in path.absolute().parents and not stat.S_ISDIR(mode)
    return is_device or stat.S_ISCHR(mode) or stat.S_ISFIFO(mode)


def require_place(path: Path, what: str, is_former: Callable[[IO[bytes]], bool]) -> None:
    """Raise `InputError` unless `what` can be written to `path` without losing another file.

    A file that is already there may be replaced only if it is empty, or if `is_former` says of its
    content that it is an earlier output. Any other file was probably named by mistake, and somebody
    still needs it.
    """
    if is_stream(path):
        return
    try:
        if path.is_dir():
            raise no_place(path, what, "a folder")
        if path.exists() and path.stat().st_size:
            with path.open("rb") as stream:
                if not is_former(stream):
                    raise no_place(path, what, "another file, which would be lost")
    except OSError as error:
        raise no_place(path, what, error.strerror) from error
    if not os.access(Path(os.path.realpath(path)).parent, os.W_OK):
        raise no_place(path, what, "no folder to write into")


def require_outside(path: Path, what: str) -> None:
    """Raise `InputError` for a path within a collection, and for one that no file can have."""
    if odd := unusable_in_path(str(path)):
        name = ascii(str(path))
        raise InputError(f"{name}: expected a path, got one with {odd} in it; name another file")
    for folder in Path(os.path.realpath(path)).parents:
        layout = Layout(folder)
        if layout.has_catalog and is_folder(layout.segments):
            raise no_place(path, what, f"a place in the collection {folder}")


@contextmanager
def replaced(path: Path, what: str) -> Iterator[IO[bytes]]:
    """Yield a file to write `what` into, which takes the place of `path` when the block ends.

    The new file appears whole, and after an error the old one stays. If `path` is a symbolic link,
    the file that it points to is replaced. A pipe or device is written to directly. Raises
    `InputError` if `path` can't be written.
    """
    if is_stream(path):
        try:
            open_one = path.open("ab")
        except OSError as error:
            raise no_place(path, what, error.strerror) from error
        with open_one:
            yield open_one
        return
    place = Path(os.path.realpath(path))
    aside = place.with_name(f".hashret-{secrets.token_hex(8)}.tmp")
    try:
        with aside.open("xb") as whole:
            yield whole
            whole.flush()
            os.fsync(whole.fileno())
        if place.exists():
            aside.chmod(stat.S_IMODE(place.stat().st_mode))
        aside.replace(place)
    except HashretError:  # such as a StorageError of what is read meanwhile
        raise
    except OSError as error:
        raise no_place(path, what, error.strerror or f"{error}") from error
    finally:
        with suppress(OSError):
            aside.unlink(missing_ok=True)


def require_output(path: Path, what: str, mark: str) -> None:
    """Raise `InputError` unless `write_output` may write to `path`; asked before long work."""
    require_outside(path, what)
    require_place(path, what, lambda stream: mark.encode() in stream.read(_HEAD))


def write_output(path: Path, what: str, content: bytes, mark: str) -> None:
    """Write `what` as a file that appears whole and replaces at most an earlier one of its kind.

    `mark` is what the first 1,024 bytes of `content` say, by which an earlier one is known. Raises
    `InputError` for a place in a collection, where another file stands, or that can't be written.
    """
    require_output(path, what, mark)
    with replaced(path, what) as stream:
        stream.write(content)
