"""Split long texts into passages of about so many words, at headings and paragraphs.

A passage is a slice of its text, and every character but white space is in exactly one passage.
With W words asked for, a passage has between half and one and a half times W, but where the whole
text has fewer. It ends at the strongest boundary between W/2 and W words, and of equal ones at the
last: before a heading, else between paragraphs, else between sentences. A sentence that is too long
for that is cut between lines or words. The time is linear in the length of the text.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from hashret.features.texts.tokens import word_starts
from hashret.items import Item
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus.sentences import sentence_starts

# how strong a boundary is; at 0 no passage may end
_SENTENCE, _PARAGRAPH, _HEADING = 1, 2, 3
_MAX_TITLE = 200  # characters of a line that can be a heading
_MARKED = re.compile(r" {0,3}#{1,6}[ \t]+(\S.*)", re.DOTALL)
_FENCE = re.compile(r" {0,3}(```|~~~)")
_LISTED = re.compile(r"\s*(?:\||[-*+•‣]\s|\d{1,3}[.)]\s)")
_RULES = "=-~^\"'*+#`:._"  # characters of which the line under (and over) a heading is made
_CLAUSES = ",;:，、；："
_NOT_SPACE = re.compile(r"\S")


@dataclass(frozen=True, slots=True)
class SectionStart:
    """Where a section of a text begins."""

    start: int
    """In characters."""
    title: str = ""
    """Its heading, with which it begins; "" for none."""
    page: int = 0
    """The page on which it begins, from 1; 0 where there are none."""


@dataclass(frozen=True, slots=True)
class Outlined(Item):
    """A text that knows its sections, such as the pages of a document."""

    outline: Sequence[SectionStart] = field(default=())
    """Where they begin, increasing."""


def outlined(item: Item, outline: Sequence[SectionStart]) -> Item:
    """The item, with the outline of its text if that tells a page or a title."""
    if not any(one.page or one.title for one in outline):
        return item
    return Outlined(item.id, item.payload, item.metadata, outline)


@dataclass(frozen=True, slots=True)
class Passage:
    """A part of a text: its characters from `start` to `end`."""

    start: int
    end: int
    section: str = ""
    """The heading under which it begins, "" for none."""
    page: int = 0
    """The page on which it begins, 0 for none."""


def passages_of(item: Item, words: int) -> Iterator[Item | Skipped]:
    """The passages of a text, of about so many words, as items with the ids ``id#1``, ``id#2``, ...

    Their metadata are those of the text, and: `document`, its id; `passage`, the number; `start`
    and `end`, the place in its text; `section` and `page` where they are known. A text that fits
    into one passage is ``id#1`` too, so that it keeps its id when it grows. What is no text, or
    blank, is returned as it is. A text whose metadata have one of these fields is skipped, since
    that would be overwritten.
    """
    text = item.payload
    if not isinstance(text, str) or not text or text.isspace():
        yield item
        return
    outline = item.outline if isinstance(item, Outlined) else ()
    found = split(text, words, outline)
    told = [_told(item.id, number, one) for number, one in enumerate(found, start=1)]
    if taken := sorted(item.metadata.keys() & {key for one in told for key in one}):
        reason = f"metadata: expected no {taken[0]!r}, which passages have; rename it"
        yield Refused("bad-metadata", reason).skipped(item.id)
        return
    for one, fields in zip(found, told, strict=True):
        passage = text[one.start : one.end]
        yield Item(f"{item.id}#{fields['passage']}", passage, {**item.metadata, **fields})


def _told(document: str, number: int, one: Passage) -> dict[str, Any]:
    """What the metadata of a passage tell besides those of its document."""
    told = {"document": document, "passage": number, "start": one.start, "end": one.end}
    known = {"section": one.section, "page": one.page}
    return told | {key: value for key, value in known.items() if value}


def split(text: str, words: int, outline: Sequence[SectionStart] = ()) -> list[Passage]:
    """The passages of a text, in order; one for a text without words, none for a blank one."""
    if words < 1:
        raise ValueError(f"words: expected at least 1, got {words}; 200 is a good number")
    starts = word_starts(text)
    found = _boundaries(text, outline)
    cuts = [0, *_cuts(text, words, starts, found), len(text)]
    passages = []
    titled = [at for at, _ in found.headings]
    paged = [one for one in outline if one.page]
    pages = [one.start for one in paged]
    for begin, end in pairwise(cuts):
        part = text[begin:end]
        start = begin + len(part) - len(part.lstrip())
        stop = begin + len(part.rstrip())
        if start >= stop:
            continue
        at, on = bisect_right(titled, start), bisect_right(pages, start)
        section = found.headings[at - 1][1] if at else ""
        passages.append(Passage(start, stop, section, paged[on - 1].page if on else 0))
    return passages


@dataclass(frozen=True, slots=True)
class _Boundaries:
    """Where passages may begin: places in the text, increasing, and how strong each is."""

    places: np.ndarray
    strengths: np.ndarray
    headings: list[tuple[int, str]]
    """Where each heading begins, and its title, increasing."""


def _boundaries(text: str, outline: Sequence[SectionStart]) -> _Boundaries:
    strengths = dict.fromkeys(sentence_starts(text), _SENTENCE)
    headings: dict[int, str] = {}
    closed: list[tuple[int, int]] = []  # within a heading and behind it no passage begins
    for block in _blocks(text):
        strengths[block.start] = max(block.strength, strengths.get(block.start, 0))
        if block.title:
            headings[block.start] = block.title
            closed.append((block.start, block.following))
    for one in outline:
        start = _skip_space(text, one.start)
        if one.title:
            strengths[start] = _HEADING
            headings[start] = one.title
            if text.startswith(one.title, start):
                closed.append((start, _skip_space(text, start + len(one.title))))
    places = np.array(sorted(strengths), np.int64)
    found = np.array([strengths[place] for place in places.tolist()], np.int8)
    for begin, end in closed:
        found[np.searchsorted(places, begin, "right") : np.searchsorted(places, end, "right")] = 0
    return _Boundaries(places, found, sorted(headings.items()))


@dataclass(slots=True)
class _Block:
    """A line that begins a paragraph, an entry of a list, a row of a table or a heading."""

    start: int
    strength: int
    title: str = ""
    """If it is a heading, its words."""
    following: int = 0
    """If it is a heading, where the text behind it begins."""


def _blocks(text: str) -> Iterator[_Block]:
    lines = text.splitlines(keepends=True)
    begins = list(accumulate(map(len, lines), initial=0))
    is_after_blank, fence, last = True, "", ""  # last: the last character that is no white space
    i = 0
    while i < len(lines):
        line, bare = lines[i], lines[i].strip()
        if not bare:
            is_after_blank = True
            i += 1
            continue
        start = begins[i] + len(line) - len(line.lstrip())
        title, n_lines = ("", 1) if fence else _heading(lines, i, is_after_blank)
        if title:
            following = _skip_space(text, begins[i + n_lines])
            yield _Block(start, _HEADING, title, following)
        elif is_after_blank:
            if not (bare[0].islower() and last and last not in ".!?:;…"):  # within a sentence
                yield _Block(start, _PARAGRAPH)
        elif _LISTED.match(line):
            yield _Block(start, _SENTENCE)
        if mark := _FENCE.match(line):
            fence = mark[1] if not fence else "" if fence == mark[1] else fence
        is_after_blank, last = bool(title), bare[-1]
        i += n_lines


def _heading(lines: list[str], i: int, is_after_blank: bool) -> tuple[str, int]:
    """The title of the heading that begins at a line, and how many lines it has; "", 1 for none.

    Marked as in Markdown (``# Title``), or underlined, perhaps also overlined, as there and in
    reStructuredText; behind a blank line or another heading.
    """
    if not is_after_blank:
        return "", 1
    if marked := _MARKED.match(lines[i][:_MAX_TITLE]):
        return marked[1].rstrip().rstrip("#").rstrip() or marked[1].strip(), 1
    over = _rule(lines, i)
    title = i + bool(over)
    under = _rule(lines, title + 1)
    if not under or (over and over != under) or _rule(lines, title):
        return "", 1
    words = lines[title].strip()
    is_title = bool(words) and len(words) <= _MAX_TITLE and any(map(str.isalnum, words))
    return (words, title + 2 - i) if is_title else ("", 1)


def _rule(lines: list[str], i: int) -> str:
    """The character of which a line is made, three times or more, if it is one of `_RULES`."""
    bare = lines[i].strip() if i < len(lines) else ""
    is_rule = len(bare) >= 3 and bare[0] in _RULES and bare.count(bare[0]) == len(bare)
    return bare[0] if is_rule else ""


def _skip_space(text: str, start: int) -> int:
    """The place of the first character that is no white space, from `start` on."""
    found = _NOT_SPACE.search(text, start)
    return found.start() if found else len(text)


def _cuts(text: str, words: int, starts: np.ndarray, found: _Boundaries) -> Iterator[int]:
    """Where passages after the first begin, increasing; `starts` are those of the words."""
    before = np.searchsorted(starts, found.places)  # words before each boundary
    half, total, done = (words + 1) // 2, len(starts), 0
    while (left := total - done) > words:
        low, high = done + half, done + min(words, left - half)
        at = _strongest(before, found.strengths, low, high)
        if at < 0:
            if left <= words + words // 2:
                return
            most = done + min(words + words // 2, left - half)
            at = _first(before, found.strengths, high + 1, most)
        place = int(found.places[at]) if at >= 0 else _weakest(text, starts, low, high)
        done = int(np.searchsorted(starts, place))
        yield place


def _strongest(before: np.ndarray, strengths: np.ndarray, low: int, high: int) -> int:
    """The last of the strongest boundaries with `low` to `high` words before them; -1 for none."""
    begin, end = np.searchsorted(before, [low, high + 1]).tolist()
    among = strengths[begin:end][::-1]
    if not len(among) or not among.any():
        return -1
    return end - 1 - int(among.argmax())


def _first(before: np.ndarray, strengths: np.ndarray, low: int, high: int) -> int:
    """The first boundary with `low` to `high` words before it; -1 for none."""
    begin, end = np.searchsorted(before, [low, high + 1]).tolist()
    fit = np.flatnonzero(strengths[begin:end])
    return begin + int(fit[0]) if len(fit) else -1


def _weakest(text: str, starts: np.ndarray, low: int, high: int) -> int:
    """Where to cut a sentence, behind `low` to `high` words: between lines, else between words.

    Where nothing is between the words, behind a comma or the like, else anywhere between letters of
    a script without spaces.
    """
    begin, end = int(starts[low - 1]), int(starts[high])
    part = text[begin:end]
    if (line := part.rfind("\n")) >= 0:
        return begin + line + 1
    if part[-1].isspace():
        return end
    apart = part.rsplit(None, 1)
    if len(apart) == 2:
        return end - len(apart[1])
    clause = max(part.rfind(mark) for mark in _CLAUSES)
    return begin + clause + 1 if clause >= 0 else end
