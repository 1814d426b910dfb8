"""What of a source is left out because somebody wants it so: by its name, its size or its content.

Names are left out where a folder is walked (`Rules`), content once it is read (`kept`). Everything
that is left out is a `Skipped` with a class of `hashret`'s own, one for a whole folder.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from hashlib import blake2b
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashret.arguments import resolve
from hashret.errors import InputError, PayloadError
from hashret.features import FEATURIZERS
from hashret.items import Item
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus.files import read_bytes
from indexer.corpus.folders.gitignore import Pattern, decided, pattern, patterns

if TYPE_CHECKING:
    from indexer.corpus.reading import Reading

#: The ignore files of a folder; what a later one says counts more.
IGNORE_FILES = (".gitignore", ".hashretignore")
_MOST_BYTES = 256 << 10  # of an ignore file, since each of its patterns is compared with each path
_GIT = ".git"  # never read, not even with hidden files: objects, no documents


@dataclass(frozen=True, slots=True)
class _Level:
    """The patterns of one ignore file, or of the command line."""

    depth: int
    """The number of folders above it."""
    name: str
    patterns: Sequence[Pattern]


@dataclass(frozen=True, slots=True)
class Rules:
    """What names are left out in a folder and below it."""

    hidden: bool = False
    """Whether hidden files are read."""
    ignore_files: bool = True
    """Whether ignore files are obeyed."""
    exclude: Sequence[Pattern] = ()
    include: Sequence[Pattern] = ()
    _levels: tuple[_Level, ...] = ()

    @classmethod
    def of(cls, how: Reading) -> Rules:
        """The rules for the root of a source; raises InputError for a pattern that is none."""
        exclude = [_given(one, "--exclude") for one in how.exclude]
        include = [_given(one, "--include") for one in how.include]
        return cls(how.hidden, how.ignore_files, exclude, include)

    def within(
        self, folder: Path, relative: str, names: Iterable[str]
    ) -> tuple[Rules, dict[str, Refused]]:
        """The rules in a folder that has these names, and why ignore files of it don't count.

        `relative` is the folder's path in the source, ending with "/", or "" for the root.
        """
        levels, refused = [], {}
        there = set(names)
        for name in IGNORE_FILES if self.ignore_files else ():
            if name in there and not (folder / name).is_dir():
                try:
                    text = read_bytes(folder / name, _MOST_BYTES).decode("utf-8-sig", "replace")
                    found = list(patterns(text.split("\n")))
                    levels.append(_Level(relative.count("/"), relative + name, found))
                except Refused as why:
                    refused[name] = why
        rules = replace(self, _levels=(*self._levels, *levels)) if levels else self
        return rules, refused

    def left_out(self, relative: str, *, is_folder: bool) -> Refused | None:
        """Why an entry is left out; None if it is not. Folders above it are not looked at."""
        path = relative.split("/")
        noun = "folder" if is_folder else "file"
        if path[-1].startswith(".") and not (self.hidden and path[-1] != _GIT):
            return Refused("hidden", f"a hidden {noun}")
        if (found := decided(self.exclude, path, is_folder=is_folder)) is None:
            for level in reversed(self._levels):
                below = path[level.depth :]
                found = decided(level.patterns, below, is_folder=is_folder)
                if found is not None and found.negated:
                    break
                if found is not None:
                    return Refused("ignored", f"{level.name} says {found.source!r:.80}")
        elif not found.negated:
            return Refused("excluded", f"--exclude {found.source!r:.80}")
        if self.include and not is_folder and not self._is_included(path):
            return Refused("excluded", "matches no --include")
        return None

    def _is_included(self, path: Sequence[str]) -> bool:
        """Whether --include matches a file, or else a folder that it is in."""
        for n in range(len(path), 0, -1):
            found = decided(self.include, path[:n], is_folder=n < len(path))
            if found is not None:
                return not found.negated
        return False


def _given(source: str, option: str) -> Pattern:
    if not source.strip("/! "):
        raise InputError(f"{option}: expected a pattern as in .gitignore, got {source!r}")
    return pattern(source)


def kept(items: Iterable[Item | Skipped], kind: str, how: Reading) -> Iterator[Item | Skipped]:
    """The same, without texts of fewer words than `how.min_words` and, with `how.dedup`, copies.

    Of several items with the same content the first one stays: the texts must be the same, of
    images the bytes of the files. Memory: about 200 bytes an item with `dedup`, else none.
    """
    first: dict[bytes, str] = {}
    for one in items:
        if isinstance(one, Skipped):
            yield one
        elif how.min_words and (n := _count_words(one.payload, how.min_words)) < how.min_words:
            reason = f"expected at least {how.min_words} words, got {n}"
            yield Skipped(one.id, reason, "near-empty")
        elif how.dedup and (copied := _first_like(one, kind, first)) != one.id:
            yield Skipped(one.id, f"the same content as {copied}", "duplicate")
        else:
            yield one


def _count_words(text: Any, enough: int) -> int:
    """The number of a text's words, as the model knows them; at least `enough` if it has so many.

    What is no text has enough.
    """
    from hashret.features.texts.featurizer import pieces
    from hashret.features.texts.tokens import words

    if not isinstance(text, str):
        return enough
    n = 0
    for piece in pieces(text):
        n += len(words(piece))
        if n >= enough:
            break
    return n


def _first_like(item: Item, kind: str, first: dict[bytes, str]) -> str:
    """The id of the first item with the same content: its own if it is the first."""
    hasher = blake2b(digest_size=16)
    try:
        resolve(FEATURIZERS, kind, "kind").digest(item.payload, hasher)
    except (PayloadError, OSError):  # the run reports it when it prepares the item
        return item.id
    return first.setdefault(hasher.digest(), item.id)
