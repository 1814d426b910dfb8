"""What does a text say where a question's words stand? A short part of it, and the words in it.

Words are recognised as the collection recognises them: pieces of the text are split into words by
the same rule, so that case, accents, signs and scripts without spaces make the same difference here
as in a search.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import asdict, dataclass
from typing import Any
from unicodedata import category, east_asian_width

from hashret.arguments import require_instance, whole
from hashret.features.texts.featurizer import pieces
from hashret.features.texts.tokens import word_spans
from hashret.items import Hit
from hashret.search.word_index import WordIndex

#: Characters of a text that are looked at: so many take a tenth of a second.
_LOOKED_AT = 1 << 20
#: Characters of a text whose words are counted together to find the part that has most of them.
_PIECE = 512
#: Characters of a run without white space in which words with signs are sought; longer ones are
#: encoded data.
_LONGEST_RUN = 256
#: How much of the width stands before the first word, at most.
_LEAD = 0.35
#: The share of what the part's words weigh that one more occurrence of them counts.
_AGAIN = 0.05
_MAX_SECTION = 40  # characters of a heading that stand before a preview
_MORE = "…"
_RUN = re.compile(r"\S+")
_SENTENCE_END = re.compile(r"[.!?]['\")\]]* |[。！？]")
# What stays with the character before it or after it: joiners, and the skin tones of emoji.
_JOINER, _SKIN_TONES = "\u200d", range(0x1F3FB, 0x1F400)

#: The words of a text by the rule of a collection, `TextFeaturizer.searched_words`.
Splitter = Callable[[str], Iterable[str]]


@dataclass(frozen=True, slots=True)
class Snippet:
    """A part of a text, on one line, and where in it the question's words stand.

    `marks` are pairs of offsets into `text`, in characters (Unicode code points), increasing and
    apart: ``text[start:stop]`` is marked.
    """

    text: str
    marks: tuple[tuple[int, int], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Its text, and the marked parts as pairs, under stable keys."""
        return asdict(self)


def snippets(
    hits: Iterable[Hit], question: str | None, index: WordIndex, width: int
) -> Iterator[Snippet]:
    """Yield the snippet of each hit's text, of its preview where no text is kept.

    Of a question that is no text, None, it is the beginning. Raises `DamagedError`.
    """
    if whole("width", width) < 1:
        raise ValueError(f"width: expected 1 column or more, got {width}; leave it out")
    first, then = index.telling(question) if question else ({}, {})
    for hit in hits:
        require_instance("hits", hit, Hit)
        text = hit.preview if hit.text is None else hit.text
        found = snippet(text, first, index.splits, width)
        if then and not found.marks:
            found = snippet(text, then, index.splits, width)
        yield found


def snippet(text: str, weights: Mapping[str, float], words: Splitter, width: int) -> Snippet:
    """The part of a text that has most of the words that `weights` weighs, at most `width` wide.

    The beginning of the text if it has none of them. White space is collapsed; an ellipsis, which
    comes on top of the width, stands where the text goes on. The width is in columns of a terminal:
    wide characters (of Chinese, say) take two. Of a text of more than a million characters the
    first million are looked at.
    """
    whole = " ".join(text[:_LOOKED_AT].split())
    start, stop = _most_telling(whole, weights, words)
    places = _places(whole, start, stop, weights.keys(), words)
    first, last = _best_window(whole, places, weights, width)
    begin, end = _cut(whole, first, last, width)
    before, after = _MORE * (begin > 0), _MORE * (end < len(whole) or len(text) > _LOOKED_AT)
    shift = len(before) - begin
    inside = [
        (max(start, begin) + shift, min(stop, end) + shift)
        for start, stop, _ in places
        if start < end and begin < stop
    ]
    return Snippet(before + whole[begin:end] + after, tuple(_joined(inside)))


def _most_telling(text: str, weights: Mapping[str, float], words: Splitter) -> tuple[int, int]:
    """Where two neighbouring pieces begin and end whose words weigh most; nothing: (0, 0)."""
    best, at, start, former = 0.0, (0, 0), 0, (0, frozenset[str]())
    for piece in pieces(text, _PIECE) if weights else ():
        found = frozenset(weights.keys() & words(piece))
        weight = sum(weights[word] for word in found | former[1])
        if weight > best * (1 + 1e-9):  # else the earlier ones stay
            best, at = weight, (former[0], start + len(piece))
        former = (start, found)
        start += len(piece)
    return at


def _places(
    text: str, start: int, stop: int, wanted: Set[str], words: Splitter
) -> list[tuple[int, int, frozenset[str]]]:
    """Where the wanted words stand in ``text[start:stop]``: begin, end, which; increasing."""
    found = set()
    for run in _RUN.finditer(text, start, stop):
        in_run = wanted & set(words(run[0]))
        if in_run:
            seen: set[str] = set()
            for begin, end, of_span in _of_units(run[0], in_run, words):
                found.add((run.start() + begin, run.start() + end, of_span))
                seen |= of_span
            if (left := frozenset(in_run - seen)) and len(run[0]) <= _LONGEST_RUN:
                span = _shrunk(run[0], left, words)
                found.add((run.start() + span[0], run.start() + span[1], left))
    return sorted(found, key=lambda place: place[:2])


def _of_units(
    run: str, wanted: Set[str], words: Splitter
) -> Iterator[tuple[int, int, frozenset[str]]]:
    """Yield where the wanted words of a run without white space stand, words with signs left out.

    A script without spaces has words of two letters: pairs of spans that touch.
    """
    before, before_words = (-1, -1), frozenset[str]()
    for span in word_spans(run):
        of_span = frozenset(words(run[slice(*span)]))
        if of_span & wanted:
            yield *span, of_span & wanted
        if before[1] == span[0]:
            of_pair = wanted & set(words(run[before[0] : span[1]])) - of_span - before_words
            if of_pair:
                yield before[0], span[1], frozenset(of_pair)
        before, before_words = span, of_span


def _shrunk(run: str, sought: Set[str], words: Splitter) -> tuple[int, int]:
    """The shortest part of a run that has the words sought, such as C++ or an emoji."""
    begin, end = 0, len(run)
    while begin + 1 < end and sought <= set(words(run[begin + 1 : end])):
        begin += 1
    while begin < end - 1 and sought <= set(words(run[begin : end - 1])):
        end -= 1
    return begin, end


def _best_window(
    text: str,
    places: list[tuple[int, int, frozenset[str]]],
    weights: Mapping[str, float],
    width: int,
) -> tuple[int, int]:
    """Where the words begin and end that weigh most and fit into the width; (0, 0) for none."""
    best, at = 0.0, (0, 0)
    for i, (begin, _, _) in enumerate(places):
        seen: set[str] = set()
        weight, room = 0.0, width
        last = begin
        for _, stop, of_place in places[i:]:
            room -= _columns(text[last:stop])
            if room < 0 and last > begin:
                break
            new = of_place - seen
            weight += sum(weights[word] for word in new)
            weight += _AGAIN * sum(weights[word] for word in of_place & seen)
            seen |= new
            last = max(last, stop)
            if weight > best * (1 + 1e-9):
                best, at = weight, (begin, last)
    return at


def _cut(text: str, first: int, last: int, width: int) -> tuple[int, int]:
    """Where the part begins and ends that shows the words from `first` to `last`."""
    # where little stands behind the words, more of what stands before them is shown
    lead = max(_LEAD * width, width - _columns(text[first : first + width]))
    begin, room = first, min(lead, width - _columns(text[first:last]))
    while begin > 0 and room >= _columns(text[begin - 1]):
        begin -= 1
        room -= _columns(text[begin])
    if begin > 0:
        ends = list(_SENTENCE_END.finditer(text, begin, first))
        space = text.find(" ", begin, first)
        begin = ends[-1].end() if ends else space + 1 if space >= 0 else begin
    begin = _whole_character(text, begin)
    end, room = begin, width
    while end < len(text) and room >= _columns(text[end]):
        room -= _columns(text[end])
        end += 1
    if end < len(text):
        space = text.rfind(" ", max(last, begin + 2 * (end - begin) // 3), end + 1)
        end = space if space >= 0 else _whole_character(text, end, -1)
    return begin, end


def _whole_character(text: str, at: int, step: int = 1) -> int:
    """`at`, or where, in steps, no sign or joiner is parted from its letter any more."""
    while 0 < at < len(text) and (
        category(text[at]).startswith("M")
        or _JOINER in (text[at], text[at - 1])
        or ord(text[at]) in _SKIN_TONES
    ):
        at += step
    return at


def _columns(text: str) -> int:
    """How many columns of a terminal a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        2 if east_asian_width(one) in "WF" else not category(one).startswith(("M", "Cf"))
        for one in text
    )


def _joined(spans: list[tuple[int, int]]) -> Iterator[tuple[int, int]]:
    """Yield the spans, increasing, those that touch or overlap as one."""
    if not spans:
        return
    begin, end = spans[0]
    for start, stop in spans[1:]:
        if start > end:
            yield begin, end
            begin, end = start, stop
        end = max(end, stop)
    yield begin, end


def place_of(metadata: Mapping[str, Any]) -> str:
    """Where in its document a passage begins, in brackets; "" where that is not known."""
    if "passage" not in metadata:
        return ""
    page, section = metadata.get("page"), metadata.get("section")
    parts = [f"p. {page}"] if page else []
    if section:
        parts.append(section if len(section) <= _MAX_SECTION else section[: _MAX_SECTION - 1] + "…")
    return f"[{', '.join(parts)}] " if parts else ""
