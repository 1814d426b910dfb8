"""Open the files of a source without trusting them, and say what their ids are.

A file may come from a stranger: it may be a symbolic link that leads out of its source, a pipe that
never ends, or have a name that is not valid in any encoding. Only regular files are opened.
"""

from __future__ import annotations

import errno
import io
import os
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import unquote_to_bytes

from hashret.unicode_text import is_unicode
from hashret.workers.refusals import Refused

_LINK = "a symbolic link; links inside a source are followed only with --follow-links"


@dataclass(frozen=True, slots=True)
class Entry:
    """A regular file of a source, or of an archive in it."""

    path: Path
    """Of a member of an archive only its name; nothing may be opened there."""
    relative: str
    """The path relative to the source's root, with ``/``."""
    size: int
    """In bytes, when the folder was listed."""
    modified: str = ""
    """When it was last changed, as `time_of` says it."""
    data: bytes | None = None
    """The bytes of a member of an archive; none if its type is not read. None for a file."""

    @property
    def id(self) -> str:
        """The id of its item."""
        return id_of(self.relative)

    @property
    def metadata(self) -> dict[str, Any]:
        """What the file tells of itself: `folder`, `size` (bytes), `modified`, `id_encoding`."""
        when = {"modified": self.modified} if self.modified else {}
        folder = self.id.rpartition("/")[0]
        return {"folder": folder, "size": self.size} | when | id_metadata(self.relative)


def entry_of(path: Path, relative: str, *, follow: bool = False) -> Entry:
    """The entry of a regular file, which may be a link only with `follow`; raises `Refused`."""
    try:
        status = path.stat() if follow else path.lstat()
    except (OSError, ValueError) as error:
        raise refusal_of(error) from error
    _require_regular(status.st_mode)
    return Entry(path, relative, status.st_size, time_of(status.st_mtime))


def time_of(seconds: float) -> str:
    """A time since 1970 in ISO 8601, UTC and whole seconds; "" if no calendar has it."""
    try:
        when = datetime.fromtimestamp(int(seconds // 1), UTC)
    except (ValueError, OverflowError, OSError):
        return ""
    return when.strftime("%Y-%m-%dT%H:%M:%SZ") if when.year >= 1000 else ""


def id_of(relative: str) -> str:
    """The id of a file: its relative path, percent-encoded if that is not valid UTF-8.

    Only in such a path, each undecodable byte becomes ``%XX``, and ``%`` becomes ``%25``. `path_of`
    returns the path of an id. The items of such files have the metadata ``"id_encoding":
    "percent"``, because other names may look like encoded ones.
    """
    if is_unicode(relative):
        return relative
    # Python decodes a byte 0xNN of a file name that is not UTF-8 as U+DCNN (PEP 383).
    return "".join(
        f"%{ord(c) - 0xDC00:02X}" if "\udc80" <= c <= "\udcff" else "%25" if c == "%" else c
        for c in relative
    )


def path_of(item_id: str) -> str:
    """The relative path of an id that has the metadata ``"id_encoding": "percent"``."""
    return os.fsdecode(unquote_to_bytes(item_id))


def id_metadata(relative: str) -> dict[str, str]:
    """The metadata that tells whether `id_of` encoded the path; empty for every ordinary name."""
    return {} if is_unicode(relative) else {"id_encoding": "percent"}


def open_regular(path: Path, *, follow: bool = False) -> io.BufferedReader:
    """Open a regular file for reading, or raise `Refused`; pipes and devices are never opened.

    `follow` allows the last component of the path to be a symbolic link, for paths that the user
    names.
    """
    try:
        # The type is checked before opening, because opening a device can have effects, and again
        # after opening, because the entry may have been replaced in between.
        _require_regular(path.stat().st_mode if follow else path.lstat().st_mode)
        flags = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(path, flags if follow else flags | getattr(os, "O_NOFOLLOW", 0))
    except (OSError, ValueError) as error:
        raise refusal_of(error) from error
    try:
        _require_regular(os.fstat(descriptor).st_mode)
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_bytes(path: Path, limit: int, *, follow: bool = False) -> bytes:
    """All bytes of a regular file; raises `Refused`, also for a file of more than `limit` bytes."""
    with open_regular(path, follow=follow) as stream:
        try:
            size = os.fstat(stream.fileno()).st_size
            # One byte more than allowed, because a file may have grown in the meantime.
            data = stream.read(limit + 1) if size <= limit else b""
        except OSError as error:
            raise refusal_of(error) from error
    if max(size, len(data)) > limit:
        raise Refused("too-large", f"expected at most {limit:,} bytes, got {size:,}; split it")
    return data


def read_head(path: Path, size: int, *, limit: int | None = None, follow: bool = False) -> bytes:
    """The first `size` bytes of a regular file, or all if it has fewer; raises `Refused`.

    A file of more than `limit` bytes is refused.
    """
    with open_regular(path, follow=follow) as stream:
        try:
            if limit is not None and (whole := os.fstat(stream.fileno()).st_size) > limit:
                raise Refused("too-large", f"expected at most {limit:,} bytes, got {whole:,}")
            return stream.read(size)
        except OSError as error:
            raise refusal_of(error) from error


def refusal_of(error: OSError | ValueError) -> Refused:
    """The refusal for an error that the operating system raised for a file."""
    code = getattr(error, "errno", None)
    if code == errno.ELOOP:
        return Refused("symlink", _LINK)
    if code == errno.ENOENT:
        return Refused("missing-file", "there is no such file")
    if code == errno.ENXIO:
        return Refused("not-a-regular-file", "expected a regular file, got a socket or a device")
    reason = getattr(error, "strerror", None) or error
    return Refused("unreadable", f"expected a file that can be read, got: {reason}")


def _require_regular(mode: int) -> None:
    """Raise `Refused` unless the mode is that of a regular file."""
    if stat.S_ISLNK(mode):
        raise Refused("symlink", _LINK)
    if not stat.S_ISREG(mode):
        raise Refused("not-a-regular-file", f"expected a regular file, got {_noun(mode)}")


def _noun(mode: int) -> str:
    if stat.S_ISDIR(mode):
        return "a folder"
    if stat.S_ISFIFO(mode):
        return "a FIFO"
    if stat.S_ISSOCK(mode):
        return "a socket"
    return "a device"


def is_below(path: Path, folder: Path) -> bool:
    """Whether a file at `path`, which need not exist yet, is in or below `folder`.

    Links and other names of the folder are seen through.
    """
    parents = Path(os.path.realpath(path)).parents
    if not folder.exists():
        return Path(os.path.realpath(folder)) in parents
    return any(parent.exists() and parent.samefile(folder) for parent in parents)


def is_collection(folder: Path) -> bool:
    """Whether a folder is a collection of hashret, which is not a source."""
    try:
        catalogs = (folder / "catalog.sqlite", folder / "catalog.json")
        return any(c.is_file() for c in catalogs) and (folder / "segments").is_dir()
    except OSError:
        return False
