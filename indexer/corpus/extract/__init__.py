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
    "damaged_pages": "the number of its pages that could not be read, if any",
    "from": "the sender of a mail",
    "to": "its recipients",
    "cc": "who got a copy of it",
    "subject": "its subject",
    "attachments": "the names of its attachments, separated by ', '",
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
_MARKDOWN = Format("indexer.corpus.extract.plain:markdown")
_HTML = Format("indexer.corpus.extract.html:extract")
_OPEN_DOCUMENT = Format("indexer.corpus.extract.opendocument:extract", max_bytes=128 << 20)
_WEB_ARCHIVE = Format("indexer.corpus.extract.mail:page", max_bytes=64 << 20)
_SUBTITLES = Format("indexer.corpus.extract.subtitles:extract")

#: Suffixes of text that is written or read by programs. Files of other suffixes that are text are
#: read as well; but these count as texts where a folder's kind is inferred from names.
SOURCE_CODE = (
    ".adoc .asciidoc .bash .bib .c .cc .cfg .clj .cmake .conf .cpp .cs .css .cu .cxx .dart .diff"
    " .el .erl .ex .f90 .fish .go .gradle .h .hpp .hs .ini .java .jl .js .jsx .kt .less .lisp .log"
    " .lua .m .ml .mjs .nim .patch .php .pl .pm .po .proto .ps1 .py .pyi .r .rb .rs .sass .scala"
    " .scss .sh .sql .swift .tcl .toml .ts .tsx .vb .vim .vue .xml .yaml .yml .zig"
)

#: The suffix of a document, in lower case -> its format.
FORMATS: Mapping[str, Format] = {
    ".txt": _PLAIN,
    ".md": _MARKDOWN,
    ".markdown": _MARKDOWN,
    ".rst": Format("indexer.corpus.extract.plain:restructured"),
    ".org": Format("indexer.corpus.extract.plain:org"),
    ".tex": Format("indexer.corpus.extract.plain:tex"),
    ".html": _HTML,
    ".htm": _HTML,
    ".pdf": Format("indexer.corpus.extract.pdf:extract", 256 << 20, needs="pypdfium2"),
    ".docx": Format("indexer.corpus.extract.word:extract", 128 << 20, needs="docx"),
    ".pptx": Format("indexer.corpus.extract.slides:extract", 128 << 20, needs="pptx"),
    ".odt": _OPEN_DOCUMENT,
    ".odp": _OPEN_DOCUMENT,
    ".ods": _OPEN_DOCUMENT,
    ".epub": Format("indexer.corpus.extract.epub:extract", max_bytes=128 << 20),
    ".xhtml": _HTML,
    ".mhtml": _WEB_ARCHIVE,
    ".mht": _WEB_ARCHIVE,
    ".eml": Format("indexer.corpus.extract.mail:extract", max_bytes=64 << 20),
    ".msg": Format("indexer.corpus.extract.outlook:extract", 64 << 20, needs="olefile"),
    ".ipynb": Format("indexer.corpus.extract.notebook:extract", max_bytes=64 << 20),
    ".rtf": Format("indexer.corpus.extract.rtf:extract", 64 << 20, needs="striprtf"),
    ".srt": _SUBTITLES,
    ".vtt": _SUBTITLES,
    **dict.fromkeys(SOURCE_CODE.split(), _PLAIN),
}
#: The suffix as which a file is read that has no suffix or another one, if it is text.
UNNAMED = ".txt"
