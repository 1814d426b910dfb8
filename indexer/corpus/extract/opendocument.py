"""Extract the text of OpenDocument files, as LibreOffice writes them: .odt, .odp and .ods."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from hashret.workers.refusals import Refused
from indexer.corpus.extract import Decode, Document, Section
from indexer.corpus.extract.safe_xml import parse, tree
from indexer.corpus.extract.told import time_told, told
from indexer.corpus.extract.zipped import Zipped

_NOUN = "an OpenDocument file"
_MANIFEST = "META-INF/manifest.xml"
_NAMESPACE = "{urn:oasis:names:tc:opendocument:xmlns:"
_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
_TEXT, _TABLES = f"{_NAMESPACE}text:1.0}}", f"{_NAMESPACE}table:1.0}}"
_DRAW, _META = f"{_NAMESPACE}drawing:1.0}}", f"{_NAMESPACE}meta:1.0}}"
_OFFICE = f"{_NAMESPACE}office:1.0}}"

# Elements whose text is not part of the document as it is seen.
_UNSEEN = {
    f"{_TEXT}tracked-changes",
    f"{_TEXT}ruby-text",
    f"{_TEXT}note-citation",
    f"{_OFFICE}annotation",
    f"{_OFFICE}forms",
}
_PARAGRAPHS = {f"{_TEXT}p", f"{_TEXT}h"}
_TABLE, _ROW, _CELL = (f"{_TABLES}{name}" for name in ("table", "table-row", "table-cell"))
_OPENED = _PARAGRAPHS | {_TABLE, _ROW, _CELL}
_SHOWN = {f"{_TEXT}tab": "\t", f"{_TEXT}line-break": "\n"}
_SPACES = re.compile("[0-9]{1,3}")  # number of spaces that one element may stand for


def extract(data: bytes, decode: Decode) -> Document:
    """The text of an OpenDocument file: a section for each heading, slide or sheet.

    Footnotes stand after the paragraph that they belong to, speaker's notes at the end of a slide.
    Cells of tables are separated by tabs.
    """
    members = Zipped(data, _NOUN)
    if _MANIFEST in members and b"encryption-data" in members.read(_MANIFEST):
        raise Refused("encrypted", f"expected {_NOUN} without a password, got one with")
    content = _Content()
    parse(members.read("content.xml"), content, _NOUN)
    content.finish()
    numbers = {"pages": content.n_pages} if content.n_pages else {}
    if "meta.xml" not in members:
        return Document(content.sections, numbers)
    return Document(content.sections, _told(members.read("meta.xml")) | numbers)


@dataclass(slots=True)
class _Open:
    """A paragraph, cell, row or table that is not closed yet."""

    tag: str
    parts: list[str] = field(default_factory=list)
    """Pieces of a paragraph, paragraphs of a cell, cells of a row, rows of a table."""
    after: list[str] = field(default_factory=list)
    """Notes and text boxes within a paragraph, which stand after it."""

    def text(self) -> str:
        """The text of all parts."""
        if self.tag in _PARAGRAPHS:
            return "".join(self.parts).strip()
        if self.tag == _CELL:
            return " ".join(" ".join(self.parts).split())
        if self.tag == _ROW:
            return "\t".join(self.parts).rstrip()
        return "\n".join(self.parts)


class _Content:
    """The sections of content.xml, as its elements are told one after the other."""

    def __init__(self) -> None:
        self.sections: list[Section] = []
        self.n_pages = 0
        self._title = ""
        self._is_parted_by_headings = True
        self._blocks: list[str] = []  # paragraphs and tables of the section
        self._open: list[_Open] = []  # outermost first
        self._n_unseen = 0  # open elements that are not seen

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """Begin an element."""
        if tag in _UNSEEN:
            self._n_unseen += 1
        if self._n_unseen:
            return
        if tag == _TABLE and not self._is_parted_by_headings and not self._open:  # a sheet
            self._begin_section(attributes.get(f"{_TABLES}name", ""))
        elif tag == f"{_DRAW}page":
            self._begin_section(attributes.get(f"{_DRAW}name", ""))
            self.n_pages += 1
            self._is_parted_by_headings = False
        elif tag == f"{_OFFICE}spreadsheet":
            self._is_parted_by_headings = False
        if tag in _OPENED:
            self._open.append(_Open(tag))
        elif tag in _SHOWN:
            self._show(_SHOWN[tag])
        elif tag == f"{_TEXT}s":
            number = attributes.get(f"{_TEXT}c", "1")
            self._show(" " * (int(number) if _SPACES.fullmatch(number) else 1))

    def end(self, tag: str) -> None:
        """End an element."""
        if tag in _UNSEEN:
            self._n_unseen -= 1
        elif self._n_unseen or not self._open or self._open[-1].tag != tag:
            return
        else:
            closed = self._open.pop()
            text = closed.text()
            if tag == f"{_TEXT}h" and text and self._is_parted_by_headings and not self._open:
                self._begin_section(" ".join(text.split()))
            for one in (text, *closed.after):
                self._give(one)

    def data(self, text: str) -> None:
        """Take text, in which OpenDocument reads every run of white space as one space."""
        spaced = " ".join(f"|{text}|".split())[1:-1]
        before = self._open[-1].parts[-1:] if self._open else []
        follows_space = bool(before) and before[0].endswith(" ")
        self._show(spaced.lstrip(" ") if follows_space else spaced)

    def finish(self) -> None:
        """End the last section."""
        self._begin_section("")

    def _show(self, text: str) -> None:
        if self._open and self._open[-1].tag in _PARAGRAPHS and not self._n_unseen:
            self._open[-1].parts.append(text)

    def _give(self, text: str) -> None:
        """Give a closed part to the one that it is in, or else to the section."""
        around = self._open[-1] if self._open else None
        if around is not None and around.tag == _ROW:
            around.parts.append(text)  # even if empty, because the columns stay
        elif text:
            is_in_paragraph = around is not None and around.tag in _PARAGRAPHS
            blocks = self._blocks if around is None else around.parts
            (around.after if around is not None and is_in_paragraph else blocks).append(text)

    def _begin_section(self, title: str) -> None:
        if self._blocks:
            self.sections.append(Section("\n\n".join(self._blocks), self._title, self.n_pages))
        self._title, self._blocks = title, []


def _told(meta: bytes) -> dict[str, str]:
    found: dict[str, str] = {}
    for element in tree(meta, _NOUN).iter():
        found.setdefault(element.tag, element.text or "")
    made = found.get(f"{_META}creation-date") or found.get(f"{_DUBLIN_CORE}date", "")
    author = found.get(f"{_META}initial-creator") or found.get(f"{_DUBLIN_CORE}creator", "")
    return told(
        title=found.get(f"{_DUBLIN_CORE}title", ""),
        author=author,
        date=time_told(made),
        language=found.get(f"{_DUBLIN_CORE}language", ""),
    )
