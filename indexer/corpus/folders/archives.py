"""Read archives in place of folders: each member is an entry, as a file of a folder is.

An archive may come from a stranger. Names that lead out of it, links, devices and encrypted members
are reported; what would unpack to far more than its size ends the archive; archives in archives are
read a few levels deep, and damage costs what comes after it. Nothing is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path, PurePosixPath
from typing import IO

from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import files
from indexer.corpus.files import Entry
from indexer.corpus.folders.archive_members import (
    TAR,
    ZIP,
    Budget,
    Exceeded,
    Member,
    members,
)
from indexer.corpus.folders.walk import walk
from indexer.corpus.leaving_out import Rules
from indexer.corpus.reading import Reading

#: The suffixes of archives.
SUFFIXES = ZIP + TAR
#: A function that says of a name how many bytes are read of a member that is called so at most; 0
#: if its type is not read at all.
Wanted = Callable[[Path], int]

_MOST_DEPTH = 3  # archives in one another, the outermost counted
_MOST_INNER = 128 << 20  # bytes of an archive in an archive, which is held in memory
_MOST_FOLDERS = 10_000  # left out folders of one archive that are reported once
_DRIVE = re.compile(r"[A-Za-z]:[/\\]")


def is_archive(name: str) -> bool:
    """Whether a file's name says that it is an archive."""
    return name.lower().endswith(SUFFIXES)


def entries(source: Path, how: Reading, wanted: Wanted) -> Iterator[Entry | Skipped]:
    """Every file of a folder, or of an archive, and of the archives in it, in a stable order.

    Of members of archives those bytes are read that are `wanted`; files are not opened.
    """
    rules = Rules.of(how)
    if not source.is_dir():
        try:
            archive = files.entry_of(source, source.name, follow=True)
        except Refused as refused:
            yield refused.skipped(files.id_of(source.name))
            return
        yield from _opened(archive, _Place(archive.relative + "/", "", rules), wanted, follow=True)
        return
    for one in walk(source, rules, follow=how.follow_links):
        if isinstance(one, Skipped) or not is_archive(one.path.name):
            yield one
        else:
            inside = one.relative + "/"
            place = _Place(inside, inside, rules)
            yield from _opened(one, place, wanted, follow=how.follow_links)


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the members of an archive stand in the source."""

    prefix: str
    """What comes before their names in ids."""
    ruled: str
    """What comes before them in the paths that patterns are compared with."""
    rules: Rules
    depth: int = 1
    left_out: set[str] = field(default_factory=set)
    """Folders of the archive that are left out, and have been reported."""

    def inside(self, name: str) -> _Place:
        """The place of the members of an archive in this one."""
        return _Place(f"{self.prefix}{name}/", f"{self.ruled}{name}/", self.rules, self.depth + 1)


def _opened(
    archive: Entry, place: _Place, wanted: Wanted, *, follow: bool
) -> Iterator[Entry | Skipped]:
    """The members of an archive that is a file."""
    try:
        with files.open_regular(archive.path, follow=follow) as file:
            yield from _members(archive, file, place, Budget.of(archive.size), wanted)
    except Refused as refused:  # also `Exceeded`
        yield refused.skipped(archive.id)


def _members(
    archive: Entry, file: IO[bytes], place: _Place, budget: Budget, wanted: Wanted
) -> Iterator[Entry | Skipped]:
    """The members of an archive, and those of the archives in it; raises `Exceeded`."""
    try:
        for member in members(archive.relative, file, budget):
            yield from _entries(member, place, budget, wanted)
    except Exceeded:
        raise
    except Exception as error:  # on damaged bytes, the libraries raise almost anything
        what = str(error) or type(error).__name__
        reason = f"damaged from here on: {what:.200}; the rest of the archive is not read"
        yield Skipped(archive.id, reason, "damaged-archive")


def _entries(
    member: Member, place: _Place, budget: Budget, wanted: Wanted
) -> Iterator[Entry | Skipped]:
    """What one member of an archive becomes: nothing if it is a folder that is not left out."""
    try:
        name = _name(member)
        if not name:  # the folder "./" that all others are in
            return
        left_out = _left_out(name, member.is_folder, place)
    except Refused as refused:
        yield refused.skipped(files.id_of(place.prefix + member.name))
        return
    if left_out is not None:
        if isinstance(left_out, Skipped):
            yield left_out
        return
    if member.is_folder:
        return
    relative = place.prefix + name
    try:
        if member.refused is not None:
            raise member.refused
        path = Path(PurePosixPath(name).name)
        if is_archive(name):
            yield from _nested(member, relative, place.inside(name), budget, wanted)
            return
        limit = wanted(path)
        data = _read(member, limit) if limit else b""
    except Exceeded:
        raise
    except Refused as refused:
        yield refused.skipped(files.id_of(relative))
    else:
        yield Entry(path, relative, len(data), member.modified, data)


def _nested(
    member: Member, relative: str, place: _Place, budget: Budget, wanted: Wanted
) -> Iterator[Entry | Skipped]:
    if place.depth > _MOST_DEPTH:
        reason = f"expected at most {_MOST_DEPTH} archives in one another, got one more"
        raise Refused("nested-too-deep", f"{reason}; unpack the outer one")
    data = _read(member, _MOST_INNER)
    archive = Entry(Path(relative), relative, len(data), data=data)
    yield from _members(archive, BytesIO(data), place, budget, wanted)


def _read(member: Member, limit: int) -> bytes:
    data = member.read(limit)
    if len(data) > limit:
        raise Refused("too-large", f"expected at most {limit:,} bytes, got more; split it")
    return data


def _name(member: Member) -> str:
    """The path of a member in its archive, without "." in it; raises `Refused` if it leads out."""
    name = member.name
    parts = re.split(r"[/\\]", name)
    if name.startswith(("/", "\\")) or _DRIVE.match(name) or ".." in parts or "\0" in name:
        raise Refused("unsafe-name", "expected a name inside the archive, got one that leads out")
    return "/".join(part for part in name.split("/") if part not in ("", "."))


def _left_out(name: str, is_folder: bool, place: _Place) -> Skipped | bool | None:
    """What the rules say of a member: None if it is read, else how the first one is reported.

    A folder that is left out is reported with its first member, then True stands for it.
    """
    parts = name.split("/")
    for n in range(1, len(parts) + 1):
        path = "/".join(parts[:n])
        if path in place.left_out:
            return True
        whole = n == len(parts) and not is_folder
        why = place.rules.left_out(place.ruled + path, is_folder=not whole)
        if why is not None:
            if not whole and len(place.left_out) < _MOST_FOLDERS:
                place.left_out.add(path)
            return why.skipped(files.id_of(place.prefix + path))
    return None
