"""Extract the text of PowerPoint presentations (.pptx): one section for each slide."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pptx
from pptx.opc.constants import RELATIONSHIP_TYPE
from pptx.oxml import parse_xml

from indexer.corpus.extract import Decode, Document, Section, ooxml

_NOUN = "a PowerPoint presentation"


def extract(data: bytes, decode: Decode) -> Document:
    """The text of a presentation, slide by slide, each with its notes at the end."""
    presentation = ooxml.opened(data, _NOUN, pptx.Presentation)
    with ooxml.damage(_NOUN):
        slides = list(presentation.slides)
        sections = [_section(slide, number) for number, slide in enumerate(slides, 1)]
        told = ooxml.core_properties(presentation)
    return Document([one for one in sections if one.text], told | {"pages": len(slides)})


def _section(slide: Any, number: int) -> Section:
    shape = slide.shapes.title
    title = "" if shape is None else " ".join(shape.text_frame.text.split())
    texts = list(_blocks(slide.shapes.element))
    for part in (one for one in slide.part.rels.values() if not one.is_external):
        if part.reltype == RELATIONSHIP_TYPE.DIAGRAM_DATA:
            texts += _blocks(parse_xml(part.target_part.blob))
    if slide.has_notes_slide and (notes := slide.notes_slide.notes_placeholder) is not None:
        texts += _blocks(notes.element)
    return Section("\n\n".join(texts), title, number)


def _blocks(element: Any) -> Iterator[str]:
    """The text of each text frame and table that has some, in the order of the elements.

    The paragraphs of a frame, often bullets, are lines.
    """
    for child in element:
        name = ooxml.name_of(child)
        if name in ("txBody", "t") and len(child):
            lines = (ooxml.text_of(one).strip() for one in child if ooxml.name_of(one) == "p")
            if text := "\n".join(line for line in lines if line):
                yield text
        elif name == "tbl":
            if text := ooxml.table_text(child, _blocks):
                yield text
        elif name != "Fallback":
            yield from _blocks(child)
