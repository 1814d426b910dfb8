"""Extract the text of plain text files; markup such as Markdown's stays, and shows headings."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence

from indexer.corpus.decoding import Decoded
from indexer.corpus.extract import Decode, Document, Section
from indexer.corpus.extract.told import line, time_told, told

_HASHES = re.compile(r" {0,3}#{1,6}[ \t]+(.*)")
_FENCE = re.compile(r" {0,3}(```|~~~)")
_SETEXT = re.compile(r"(=+|-+)[ \t]*")
_UNDERLINE = re.compile(r"([!-/:-@[-`{-~])\1{2,}[ \t]*")
_STARS = re.compile(r"\*+ +(.*)")
_SECTION = re.compile(r"[ \t]*\\(?:part|chapter|(?:sub){0,2}section)\*?\{([^}]*)\}")
_MAX_FRONT = 100  # lines of the settings at the beginning of a Markdown file
_FRONT = {"title": "title", "author": "author", "date": "date", "lang": "language"}

#: A function of the lines of a text; yields (the number of the first line of a section, its title).
Headings = Callable[[Sequence[str]], Iterator[tuple[int, str]]]


def extract(data: bytes, decode: Decode) -> Document:
    """The text of a plain document."""
    return Document.plain(decode(data, ""))


def markdown(data: bytes, decode: Decode) -> Document:
    """The text of a Markdown document, a new section at each heading; its front matter is told."""
    found = decode(data, "")
    return _headed(found, in_markdown, _front_matter(found.text))


def restructured(data: bytes, decode: Decode) -> Document:
    """The text of a reStructuredText document, a new section at each underlined heading."""
    return _headed(decode(data, ""), _in_restructured)


def org(data: bytes, decode: Decode) -> Document:
    """The text of an Org document, a new section at each line of stars."""
    return _headed(decode(data, ""), _in_org)


def tex(data: bytes, decode: Decode) -> Document:
    r"""The text of a TeX document, a new section at each ``\\section`` and the like."""
    return _headed(decode(data, ""), _in_tex)


def sections_of(text: str, headings: Headings) -> list[Section]:
    """The sections of a text; a text without a heading is one section, as it is."""
    lines = text.splitlines(keepends=True)
    starts = list(headings(lines))
    if not starts:
        return [Section(text)]
    ends = [at for at, _ in starts[1:]] + [len(lines)]
    sections = [Section("".join(lines[: starts[0][0]]).rstrip())]
    for (start, title), end in zip(starts, ends, strict=True):
        sections.append(Section("".join(lines[start:end]).rstrip(), line(title)))
    return [one for one in sections if one.text]


def in_markdown(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """The headings of Markdown: lines after ``#``, and lines over ``===`` or ``---``."""
    fence = ""
    for i, one in enumerate(lines):
        if found := _FENCE.match(one):
            fence = "" if found[1] == fence else fence or found[1]
        elif fence:
            continue
        elif found := _HASHES.match(one):
            yield i, found[1].rstrip().rstrip("#")
        elif one.strip() and i + 1 < len(lines) and _SETEXT.fullmatch(lines[i + 1].rstrip("\r\n")):
            starts_paragraph = i == 0 or not lines[i - 1].strip()
            if starts_paragraph and not _SETEXT.fullmatch(one.rstrip("\r\n")):
                yield i, one


def _in_restructured(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    for i in range(len(lines) - 1):
        title, under = lines[i].rstrip(), lines[i + 1].rstrip("\r\n")
        is_title = title and not title[0].isspace() and not _UNDERLINE.fullmatch(title)
        if is_title and _UNDERLINE.fullmatch(under) and len(under) >= len(title):
            yield i, title


def _in_org(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    return ((i, found[1]) for i, one in enumerate(lines) if (found := _STARS.match(one)))


def _in_tex(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    return ((i, found[1]) for i, one in enumerate(lines) if (found := _SECTION.match(one)))


def _headed(found: Decoded, headings: Headings, said: dict[str, str] | None = None) -> Document:
    sections = sections_of(found.text, headings)
    return Document(sections, said or {}, found.encoding, found.guess)


def _front_matter(text: str) -> dict[str, str]:
    """The title, author, date and language between two lines ``---`` at the beginning."""
    first, *lines = text[: _MAX_FRONT * 200].splitlines()[:_MAX_FRONT] or [""]
    if first.rstrip() != "---" or "---" not in lines:
        return {}
    said: dict[str, str] = {}
    for one in lines[: lines.index("---")]:
        key, colon, value = one.partition(":")
        if colon and key.strip().lower() in _FRONT:
            said[_FRONT[key.strip().lower()]] = value.strip().strip("'\"")
    return told(**said | {"date": time_told(said.get("date", ""))})
