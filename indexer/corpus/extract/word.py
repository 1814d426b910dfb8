"""Extract the text of Word documents (.docx): one section for what stands under each heading."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import docx
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.oxml import parse_xml

from indexer.corpus.extract import Decode, Document, Section, ooxml

_NOUN = "a Word document"
_NOTES = {"Footnotes": RELATIONSHIP_TYPE.FOOTNOTES, "Endnotes": RELATIONSHIP_TYPE.ENDNOTES}


def extract(data: bytes, decode: Decode) -> Document:
    """The text of a Word document in its order; footnotes and endnotes are sections at the end.

    Headers and footers, which repeat on every page, and comments are left out.
    """
    document = ooxml.opened(data, _NOUN, docx.Document)
    with ooxml.damage(_NOUN):
        sections = [*_sections(document), *_notes(document)]
        return Document(sections, ooxml.core_properties(document))


def _sections(document: Any) -> Iterator[Section]:
    headings = _heading_styles(document)
    title, texts = "", list[str]()
    for text, is_heading in _blocks(document.element.body, headings):
        if is_heading:
            if texts:
                yield Section("\n\n".join(texts), title)
            title, texts = " ".join(text.split()), []
        texts.append(text)
    if texts:
        yield Section("\n\n".join(texts), title)


def _notes(document: Any) -> Iterator[Section]:
    for title, relationship in _NOTES.items():
        for part in (r for r in document.part.rels.values() if r.reltype == relationship):
            notes = parse_xml(part.target_part.blob)
            texts = [text for note in notes for text, _ in _blocks(note, frozenset())]
            if texts:
                yield Section("\n\n".join(texts), title)


def _blocks(parent: Any, headings: frozenset[str]) -> Iterator[tuple[str, bool]]:
    """The text of each paragraph and table that has some, and whether it is a heading."""
    for child in parent:
        name = ooxml.name_of(child)
        if name == "p":
            boxes: list[Any] = []
            text = ooxml.text_of(child, boxes).strip()
            if text:
                yield text, _is_heading(child, headings)
            for box in boxes:
                yield from _blocks(box, headings)
        elif name == "tbl":
            text = ooxml.table_text(child, _texts)
            if text:
                yield text, False
        elif name in ("sdt", "sdtContent", "customXml", "ins", "moveTo", "smartTag"):
            yield from _blocks(child, headings)
        elif name == "AlternateContent":
            for choice in (one for one in child if ooxml.name_of(one) == "Choice"):
                yield from _blocks(choice, headings)


def _texts(parent: Any) -> Iterator[str]:
    return (text for text, _ in _blocks(parent, frozenset()))


def _is_heading(paragraph: Any, headings: frozenset[str]) -> bool:
    properties = paragraph.pPr
    if properties is None:
        return False
    levels = properties.xpath("w:outlineLvl/@w:val")
    return paragraph.style in headings or (bool(levels) and levels[0] in "012345678")


def _heading_styles(document: Any) -> frozenset[str]:
    """The ids of the styles that are headings: with an outline level, by themselves or inherited.

    The title's style has none but is one.
    """
    based_on: dict[str, str] = {}
    found = set()
    for style in document.styles.element.xpath("w:style[@w:type='paragraph']"):
        name = " ".join(style.xpath("w:name/@w:val")).lower()
        levels = style.xpath("w:pPr/w:outlineLvl/@w:val")
        based_on[style.styleId] = "".join(style.xpath("w:basedOn/@w:val")[:1])
        if name == "title" or (levels and levels[0] in "012345678"):
            found.add(style.styleId)
    for style in based_on:
        above = style
        for _ in range(20):  # styles that are based on each other in a ring have no end
            above = based_on.get(above, "")
            if above in found:
                found.add(style)
    return frozenset(found)
