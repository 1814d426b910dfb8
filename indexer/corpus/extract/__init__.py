"""Here are a document's bytes: what does it say? One file for each format.

A format is a module with a function `extract`, and a row in `FORMATS` for each suffix. It runs in a
worker under its limits, because documents come from strangers.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from indexer.corpus.decoding import Decoded
from indexer.corpus.guessing import Guess

#: A function (bytes, declared encoding or "") that decodes text; raises `Refused`.
Decode = Callable[[bytes, str], Decoded]


#: What separates the sections in the text of a document.
BETWEEN = "\n\n"


@dataclass(frozen=True, slots=True)
class Section:
    """A part of a document in reading order: a page, or what stands under one heading."""

    text: str
    """Paragraphs are separated by blank lines."""
    title: str = ""
    """The heading that it stands under, "" for none; the heading is also in the text."""
    page: int = 0
    """The page, slide or chapter on which it begins, from 1; 0 in formats without pages."""


@dataclass(frozen=True, slots=True)
class Document:
    """What one file says: its sections, and what it says about itself."""

    sections: Sequence[Section]
    metadata: Mapping[str, Any] = field(default_factory=dict)
    """What the file tells of itself, under the names of `METADATA`; what it does not tell is left
    out."""
    encoding: str = "utf-8"
    guess: Guess | None = None
    """The guess if the encoding of a plain file was guessed; then there is one section."""

    @classmethod
    def plain(cls, found: Decoded, text: str | None = None, **metadata: Any) -> Document:
        """A document of one section: the decoded text, or the `text` that was made of it."""
        said = found.text if text is None else text
        return cls([Section(said)], metadata, found.encoding, found.guess)

    @property
    def text(self) -> str:
        """The text of all sections, separated by blank lines."""
        return BETWEEN.join(one.text for one in self.sections if one.text)


#: What a document may tell of itself. Dates are ISO 8601 in UTC where a time zone is told, so that
#: they can be compared as strings.
METADATA: Mapping[str, str] = {
    "title": "its title",
    "author": "its author, or authors separated by ', '",
    "date": "when it was made or sent",
    "language": "its language as a tag such as en or pt-BR",
    "pages": "the number of its pages or slides",
}

#: A function (bytes, decode) that reads a document; raises `Refused`.
Extract = Callable[[bytes, Decode], Document]


@dataclass(frozen=True, slots=True)
class Format:
    """A format of documents."""

    extract: str
    """ "module:function" of its `Extract`, imported on first use."""
    max_bytes: int = 16 << 20
    """The largest file that is read."""
    needs: str = ""
    """The package of the extra `documents` that it needs, by its import name; "" for none."""


_PLAIN = Format("indexer.corpus.extract.plain:extract")
_HTML = Format("indexer.corpus.extract.html:extract")

#: The suffix of a document, in lower case -> its format.
FORMATS: Mapping[str, Format] = {
    ".txt": _PLAIN,
    ".md": _PLAIN,
    ".rst": _PLAIN,
    ".html": _HTML,
    ".htm": _HTML,
}
#: The suffix as which a file without a suffix is read.
UNNAMED = ".txt"
