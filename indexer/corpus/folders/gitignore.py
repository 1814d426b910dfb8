"""Patterns as Git writes them in `.gitignore`: read, and compared with the paths of a source.

The rules are those of gitignore(5). Ignore files come from strangers, so no comparison takes more
than the product of the lengths of path and pattern: pathspec, which makes regular expressions that
backtrack, takes minutes for one path and a pattern such as ``**/a/**/a/**/a/**/b``.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

#: Matches one component of a path; None: any number of components, "**".
_Part = re.Pattern[str] | None
#: Bracketed classes of characters, in ASCII as Git has them.
_CLASSES = {
    "alnum": "0-9A-Za-z",
    "alpha": "A-Za-z",
    "blank": " \t",
    "cntrl": "\\x00-\\x1f\\x7f",
    "digit": "0-9",
    "graph": "!-~",
    "lower": "a-z",
    "print": " -~",
    "punct": "!-/:-@\\[-`{-~",
    "space": "\\s",
    "upper": "A-Z",
    "xdigit": "0-9A-Fa-f",
}
_NOTHING = "(?!)"  # what no character matches


@dataclass(frozen=True, slots=True)
class Pattern:
    """One pattern."""

    source: str
    """As it was written."""
    negated: bool
    """Whether it takes back what patterns before it say, with "!"."""
    for_folders: bool
    """Whether it matches folders only, with "/" at its end."""
    parts: tuple[_Part, ...]
    """What the components of a path must be; without a "/" before its end, only the last one."""
    anchored: bool

    def matches(self, path: Sequence[str], *, is_folder: bool) -> bool:
        """Whether it matches the components of a path itself; not those of a folder above it."""
        if self.for_folders and not is_folder:
            return False
        return _match(self.parts, path if self.anchored else path[-1:])


def patterns(lines: Iterable[str]) -> Iterator[Pattern]:
    """The patterns of the lines of an ignore file; comments and blank lines are left out."""
    for line in lines:
        source = _without_spaces(line.removesuffix("\n").removesuffix("\r"))
        if source and not source.startswith("#"):
            yield pattern(source)


def pattern(source: str) -> Pattern:
    """One pattern; one that Git finds unsound, such as ``a[``, matches nothing."""
    negated = source.startswith("!")
    text = source[negated:]
    for_folders = text.endswith("/")
    text = text.removesuffix("/")
    anchored = "/" in text
    names = text.removeprefix("/").split("/")
    parts = [None if anchored and _is_any(name) else _component(name) for name in names]
    if parts[-1] is None:  # "a/**" is all that is in a, but not a itself
        parts.insert(-1, _component("*"))
    return Pattern(source, negated, for_folders, tuple(parts), anchored)


def _is_any(name: str) -> bool:
    return len(name) > 1 and not name.strip("*")


def decided(given: Sequence[Pattern], path: Sequence[str], *, is_folder: bool) -> Pattern | None:
    """The last of the patterns that matches a path, which decides; None if none does."""
    for one in reversed(given):
        if one.matches(path, is_folder=is_folder):
            return one
    return None


def _match(parts: Sequence[_Part], path: Sequence[str]) -> bool:
    """Whether components match parts, of which None stands for any number of them.

    It is enough to go back to the last None, as for "*" within a name.
    """
    at = place = 0
    again: tuple[int, int] | None = None
    while place < len(path):
        if at < len(parts) and (part := parts[at]) is None:
            again, at = (at + 1, place), at + 1
        elif at < len(parts) and part is not None and part.fullmatch(path[place]):
            at, place = at + 1, place + 1
        elif again is not None:
            at, place = again[0], again[1] + 1
            again = at, place
        else:
            return False
    return all(part is None for part in parts[at:])


def _component(glob: str) -> re.Pattern[str]:
    """What matches one component: "*", "?", brackets and escapes as in wildmatch of Git."""
    chunks = [""]
    at = 0
    while at < len(glob):
        char = glob[at]
        at += 1
        if char == "*":
            chunks.append("")
        elif char == "?":
            chunks[-1] += "."
        elif char == "[":
            found = _brackets(glob, at)
            if found is None:
                return re.compile(_NOTHING)
            at, within = found
            chunks[-1] += within
        elif char == "\\":
            if at == len(glob):
                return re.compile(_NOTHING)
            chunks[-1] += re.escape(glob[at])
            at += 1
        else:
            chunks[-1] += re.escape(char)
    first, *others = chunks
    if others:
        # The leftmost place of each chunk is as good as any: atomic groups never go back.
        middle = "".join(f"(?>.*?{chunk})" for chunk in others[:-1] if chunk)
        first += f"{middle}.*{others[-1]}"
    return re.compile(first, re.DOTALL)


def _brackets(glob: str, at: int) -> tuple[int, str] | None:
    """The place after a bracket expression that began before `at`, and what matches it.

    None if the expression has no end.
    """
    negated = glob[at : at + 1] in ("!", "^")
    at += negated
    members: list[str] = []
    first = True
    while first or glob[at : at + 1] != "]":
        first = False
        if (named := re.compile(r"\[:(\w*):\]").match(glob, at)) is not None:
            if named[1] not in _CLASSES:
                return None
            members.append(_CLASSES[named[1]])
            at = named.end()
            continue
        at, low = _member(glob, at)
        high = low
        if glob[at : at + 1] == "-" and glob[at + 1 : at + 2] not in ("", "]"):
            at, high = _member(glob, at + 1)
        if not low or not high:
            return None
        if low <= high:
            members.append(f"{re.escape(low)}-{re.escape(high)}")
    within = "".join(members)
    if not within:
        return at + 1, "." if negated else _NOTHING
    return at + 1, f"[{'^' * negated}{within}]"


def _member(glob: str, at: int) -> tuple[int, str]:
    """The character of a bracket expression at a place, and the place after it; "" at the end."""
    at += glob[at : at + 1] == "\\"
    return at + 1, glob[at : at + 1]


def _without_spaces(line: str) -> str:
    """A line without the spaces at its end that no backslash keeps."""
    end = len(line)
    while end and line[end - 1] == " ":
        slashes = end - 1 - len(line[: end - 1].rstrip("\\"))
        if slashes % 2:
            break
        end -= 1
    return line[:end]
