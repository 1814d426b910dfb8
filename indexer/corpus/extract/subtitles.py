"""Extract the text of subtitles (SubRip and WebVTT): what is said, without numbers and times."""

from __future__ import annotations

import re

from indexer.corpus.extract import Decode, Document, Section

_TIMES = re.compile(
    r"\s*(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2})[.,]\d{1,6}\s+-->\s+(?:(\d{1,6}):)?(\d{1,2}):(\d{1,2})"
)
_TAG = re.compile(r"<[^<>]{0,200}>|\{\\[^{}]{0,200}\}")
_REFERENCES = {"&lt;": "<", "&gt;": ">", "&nbsp;": " ", "&lrm;": "", "&rlm;": "", "&amp;": "&"}
_PAUSE = 3  # seconds without a subtitle after which a paragraph begins
_SECTION = 300  # seconds of a section


def extract(data: bytes, decode: Decode) -> Document:
    """What is said, a paragraph up to each pause of 3 seconds, a section for each 5 minutes."""
    found = decode(data, "")
    sections: list[list[list[str]]] = []
    last_end, last_line, number = 0, "", -1
    for start, end, lines in _cues(found.text):
        if start // _SECTION != number or not sections:
            number = start // _SECTION
            sections.append([[]])
        elif start - last_end >= _PAUSE:
            sections[-1].append([])
        last_end = end
        for one in lines:
            if one != last_line:  # captions that roll say each line twice
                sections[-1][-1].append(one)
            last_line = one
    texts = ("\n\n".join(" ".join(part) for part in one if part) for one in sections)
    return Document([Section(text) for text in texts if text], {}, found.encoding, found.guess)


def _cues(text: str) -> list[tuple[int, int, list[str]]]:
    """The (start, end, lines) of each cue, in seconds. Notes and styles have no times."""
    cues: list[tuple[int, int, list[str]]] = []
    is_within = False
    for one in text.removeprefix("\ufeff").splitlines():
        if found := _TIMES.match(one):
            if is_within and cues[-1][2] and cues[-1][2][-1].isdecimal():
                cues[-1][2].pop()  # the number of this cue, where no empty line is before it
            hour, minute, second, hour_, minute_, second_ = (int(n or 0) for n in found.groups())
            end = 3600 * hour_ + 60 * minute_ + second_
            cues.append((3600 * hour + 60 * minute + second, end, []))
            is_within = True
        elif not one.strip():
            is_within = False
        elif is_within and (said := _plain(one)):
            cues[-1][2].append(said)
    return cues


def _plain(subtitle: str) -> str:
    """A line of a subtitle without tags."""
    said = _TAG.sub("", subtitle)
    for reference, meant in _REFERENCES.items():
        said = said.replace(reference, meant)
    return " ".join(said.split())
