"""XML from strangers: entities may not be declared, and nothing is loaded from elsewhere."""

from __future__ import annotations

from typing import Protocol
from xml.etree.ElementTree import Element, ParseError, XMLParser, fromstring

from hashret.workers.refusals import Refused
from indexer.corpus.extract.zipped import damaged


class Target(Protocol):
    """What is told of each element and text, in the order of the document."""

    def start(self, tag: str, attributes: dict[str, str]) -> None:
        """An element begins; its tag is {namespace}name."""

    def end(self, tag: str) -> None:
        """An element ends."""

    def data(self, text: str) -> None:
        """Some text; one run of text may come in several pieces."""


def require_no_entities(xml: bytes) -> None:
    """Raise `Refused` ("bomb") if an XML document declares entities, which can multiply.

    No format that is read here has them. In UTF-16 a declaration has NULs between its letters.
    """
    if b"<!ENTITY" in xml.replace(b"\0", b""):
        raise Refused("bomb", "expected XML without declared entities, got some")


def parse(xml: bytes, target: Target, noun: str) -> None:
    """Tell the target of an XML document; `noun` is the format, for messages.

    Raises `Refused`: "damaged-document", or as `require_no_entities` does. Nesting may be deep.
    """
    require_no_entities(xml)
    parser = XMLParser(target=target)  # noqa: S314 - no entities, and Expat loads nothing
    try:
        parser.feed(xml)
        parser.close()
    except (ParseError, ValueError) as error:  # ValueError: an encoding that Expat does not read
        raise damaged(noun, error) from error


def tree(xml: bytes, noun: str) -> Element:
    """The root of an XML document, for small ones; raises `Refused` as `parse` does."""
    require_no_entities(xml)
    try:
        return fromstring(xml)  # noqa: S314 - as above
    except (ParseError, ValueError) as error:
        raise damaged(noun, error) from error
