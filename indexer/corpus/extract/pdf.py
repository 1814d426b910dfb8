"""Extract the text of PDF documents with PDFium: one section for each page and each bookmark."""

from __future__ import annotations

import ctypes
import re
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from itertools import groupby, islice, pairwise
from statistics import median

import pypdfium2
from pypdfium2 import raw

from hashret.workers.refusals import Refused
from indexer.corpus.extract import Decode, Document, Section, told
from indexer.corpus.extract.zipped import damaged

#: The most pages of a document that is read. PDFium reads some 1,000 pages a second.
MAX_PAGES = 20_000

_MAX_BOOKMARKS = 20_000
_MAX_FIELDS = 10_000  # of a page
_TEXT_FIELDS = (
    raw.FPDF_FORMFIELD_TEXTFIELD,
    raw.FPDF_FORMFIELD_COMBOBOX,
    raw.FPDF_FORMFIELD_LISTBOX,
)
_PASSWORD_ERRORS = (raw.FPDF_ERR_PASSWORD, raw.FPDF_ERR_SECURITY)
_HYPHEN = "\ufffe"  # PDFium's mark for a hyphen that ended a line, together with the end of line
# The lookbehind and the possessive ++ keep the time linear in long words.
_BROKEN = re.compile(rf"(?<![^\W\d_])([^\W\d_]++){_HYPHEN}([^\W\d_]++)")
_WORD = re.compile(r"[^\W\d_]+(?:-[^\W\d_]+)*")
# Characters of typesetting -> those of text. A soft hyphen within a line is one that is shown.
_CHARACTERS = str.maketrans(
    dict.fromkeys("\u00a0\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a", " ")
    | dict.fromkeys("\u202f\u205f", " ")
    | dict.fromkeys(map(chr, [*range(9), *range(11, 32), 0x7F, 0x200B, 0xFEFF]), "")
    | {"\u00ad": "-", "\ufb00": "ff", "\ufb01": "fi", "\ufb02": "fl", "\ufb03": "ffi"}
    | {"\ufb04": "ffl", "\ufb05": "st", "\ufb06": "st", "\x02": _HYPHEN, "\v": "\n", "\f": "\n"}
)
# D:20240131120000+01'00', from the right on as much as is known
_DATE = re.compile(
    r"(?:D:)?(\d{4})(\d\d)?(\d\d)?(?:(\d\d)(\d\d)(\d\d)?)?(?:(Z)|([+-]\d\d)(?:'?(\d\d))?)?"
)
_PARAGRAPH_DROP = 1.3  # of the usual distance of two lines: a larger one separates paragraphs
_HEADING_SIZE = 1.15  # ratio of the sizes of two lines' letters that separates paragraphs
_INDENT = 0.8  # of the size of letters: what the first line of a paragraph is indented at least
_SENTENCE_ENDS = (".", "!", "?", ":", '"', "\u201d", ")")


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of a page, where it stands (in points from below) and how large its letters are."""

    text: str
    left: float
    height: float
    size: float


@dataclass(frozen=True, slots=True)
class _Heading:
    """A bookmark, and the height on its page at which it points; infinite for the whole page."""

    title: str
    height: float


def extract(data: bytes, decode: Decode) -> Document:
    """The text of a PDF in the order in which it was written into it, page by page.

    A page with bookmarks is parted at them. Words that were parted at the end of a line are
    mended. Pages that are damaged are left out and counted (`damaged_pages`).
    """
    try:
        pdf = pypdfium2.PdfDocument(data)
    except pypdfium2.PdfiumError as error:
        if error.err_code in _PASSWORD_ERRORS:
            raise Refused("encrypted", "expected a PDF without a password, got one with") from error
        raise damaged("a PDF", error) from error
    with closing(pdf):
        if pdf.get_formtype() != raw.FORMTYPE_NONE:
            pdf.init_forms()  # before any page is opened
        n_pages = len(pdf)
        if n_pages > MAX_PAGES:
            reason = f"expected a PDF of at most {MAX_PAGES:,} pages, got {n_pages:,}; split it"
            raise Refused("too-large", reason)
        sections, n_damaged = _sections(pdf)
        if n_damaged == n_pages:
            raise damaged("a PDF", f"none of its {n_pages:,} pages can be read")
        if not sections and _has_drawings(pdf):
            reason = f"expected text, got {n_pages:,} pages of pictures without any; run OCR on it"
            raise Refused("no-text", reason)
        numbers = {"pages": n_pages} | ({"damaged_pages": n_damaged} if n_damaged else {})
        return Document(_mended(sections), _told(pdf) | numbers)


def _sections(pdf: pypdfium2.PdfDocument) -> tuple[list[Section], int]:
    """The sections of all pages, those without text left out, and the number of damaged pages."""
    headings = _headings(pdf)
    sections: list[Section] = []
    title, n_damaged = "", 0
    for i in range(len(pdf)):
        try:
            with closing(pdf[i]) as page, closing(page.get_textpage()) as words:
                lines, values = _lines(words), _filled_in(pdf, page)
        except pypdfium2.PdfiumError:
            n_damaged += 1
            continue
        for heading, part in _parted(lines, headings.get(i, []), title):
            title = heading
            if text := _paragraphs(part):
                sections.append(Section(text, title, i + 1))
        if values:
            sections.append(Section("\n".join(values), title, i + 1))
    return sections, n_damaged


def _headings(pdf: pypdfium2.PdfDocument) -> dict[int, list[_Heading]]:
    """The bookmarks of each page (from 0), in their order."""
    headings: dict[int, list[_Heading]] = {}
    for mark in islice(pdf.get_toc(), _MAX_BOOKMARKS):
        target = mark.get_dest()
        page = None if target is None else target.get_index()
        if target is not None and page is not None:
            title = told.line(_said(raw.FPDFBookmark_GetTitle, mark).translate(_CHARACTERS))
            headings.setdefault(page, []).append(_Heading(title, _height(target)))
    return headings


def _height(target: pypdfium2.PdfDest) -> float:
    """The height on the page at which a bookmark points; infinite if it points at the page."""
    mode, position = target.get_view()
    if mode == raw.PDFDEST_VIEW_XYZ and len(position) > 1 and position[1] is not None:
        return float(position[1])
    if mode in (raw.PDFDEST_VIEW_FITH, raw.PDFDEST_VIEW_FITBH) and position and position[0]:
        return float(position[0])
    return float("inf")


def _lines(page: pypdfium2.PdfTextPage) -> list[_Line]:
    """The lines of a page, those without text left out."""
    lines: list[_Line] = []
    x, y = ctypes.c_double(), ctypes.c_double()
    at = 0  # in the text as PDFium counts it, in UTF-16
    for text in page.get_text_range().split("\r\n"):
        if text and not text.isspace():
            first = len(text) - len(text.lstrip())
            character = raw.FPDFText_GetCharIndexFromTextIndex(page, at + first)
            raw.FPDFText_GetCharOrigin(page, character, x, y)
            size = raw.FPDFText_GetFontSize(page, character)
            lines.append(_Line(text.translate(_CHARACTERS), x.value, y.value, size))
        at += (len(text) if text.isascii() else len(text.encode("utf-16-le")) // 2) + 2
    return lines


def _filled_in(pdf: pypdfium2.PdfDocument, page: pypdfium2.PdfPage) -> list[str]:
    """What is filled in in the fields of a form on a page, which is no part of the page's text."""
    values: list[str] = []
    number = min(raw.FPDFPage_GetAnnotCount(page), _MAX_FIELDS) if pdf.formenv else 0
    for i in range(number):
        if field := raw.FPDFPage_GetAnnot(page, i):
            if raw.FPDFAnnot_GetFormFieldType(pdf.formenv, field) in _TEXT_FIELDS:
                value = _said(raw.FPDFAnnot_GetFormFieldValue, pdf.formenv, field)
                values.append(value.translate(_CHARACTERS).strip())
            raw.FPDFPage_CloseAnnot(field)
    return [value for value in values if value]


def _said(fill: Callable[..., int], *arguments: object) -> str:
    """The text that a function of PDFium puts into a buffer: it returns the size that it needs.

    Half a character of UTF-16 is left out, over which pypdfium2's own functions stumble.
    """
    size = fill(*arguments, None, 0)
    buffer = ctypes.create_string_buffer(size)
    fill(*arguments, ctypes.cast(buffer, ctypes.POINTER(ctypes.c_ushort)), size)
    return buffer.raw[: max(size - 2, 0)].decode("utf-16-le", "ignore")


def _parted(
    lines: list[_Line], headings: list[_Heading], before: str
) -> Iterator[tuple[str, list[_Line]]]:
    """The lines under each heading, with its title; `before` is the one that goes on.

    A heading begins at the first line that stands lower than where its bookmark points.
    """
    waiting = list(headings)
    starts: list[str] = []
    title = before
    for line in lines:
        while waiting and line.height <= waiting[0].height:
            title = waiting.pop(0).title
        starts.append(title)
    for title, group in groupby(zip(starts, lines, strict=True), key=lambda pair: pair[0]):
        yield title, [line for _, line in group]
    if waiting:  # they point below the last line
        yield waiting[-1].title, []


def _paragraphs(lines: list[_Line]) -> str:
    """The text of the lines, with a blank line wherever the page shows that a paragraph begins."""
    drops = [a.height - b.height for a, b in pairwise(lines)]
    usual = median([drop for drop in drops if drop > 1] or [float("inf")])
    pieces: list[str] = []
    for i, line in enumerate(lines):
        if i:
            pieces.append("\n\n" if _begins(lines[i - 1], line, usual) else "\n")
        pieces.append(line.text)
    return "".join(pieces)


def _begins(above: _Line, line: _Line, usual: float) -> bool:
    """Whether a line begins a paragraph; `usual` is the usual distance of two lines."""
    drop = above.height - line.height
    if drop > _PARAGRAPH_DROP * usual:
        return True
    sizes = sorted((above.size, line.size))
    if drop > 0 and sizes[1] > _HEADING_SIZE * sizes[0]:
        return True
    is_indented = _INDENT * line.size < line.left - above.left < 4 * line.size
    return is_indented and above.text.rstrip().endswith(_SENTENCE_ENDS)


def _mended(sections: list[Section]) -> list[Section]:
    """The sections, with the words mended that were parted by a hyphen at the end of a line.

    The hyphen goes or stays as elsewhere in the document. Where that tells nothing, it stays if
    what follows begins with a capital letter or is no letter.
    """
    if not any(_HYPHEN in one.text for one in sections):
        return sections
    words = {word for one in sections for word in _WORD.findall(one.text)}

    def mend(found: re.Match[str]) -> str:
        left, right = found.groups()
        joined, hyphenated = left + right, f"{left}-{right}"
        if (joined in words) != (hyphenated in words):
            return joined if joined in words else hyphenated
        return joined if right[0].islower() else hyphenated

    def mended(text: str) -> str:
        # twice, for a word that was parted twice
        return _BROKEN.sub(mend, _BROKEN.sub(mend, text)).replace(_HYPHEN, "-")

    return [
        Section(mended(one.text), one.title, one.page) if _HYPHEN in one.text else one
        for one in sections
    ]


def _has_drawings(pdf: pypdfium2.PdfDocument) -> bool:
    """Whether anything is drawn on the first pages."""
    for i in range(min(len(pdf), 10)):
        try:
            with closing(pdf[i]) as page:
                if raw.FPDFPage_CountObjects(page) > 0:
                    return True
        except pypdfium2.PdfiumError:
            continue
    return False


def _told(pdf: pypdfium2.PdfDocument) -> dict[str, str]:
    return told.told(
        title=_said(raw.FPDF_GetMetaText, pdf, b"Title"),
        author=_said(raw.FPDF_GetMetaText, pdf, b"Author"),
        date=_date(_said(raw.FPDF_GetMetaText, pdf, b"CreationDate")),
        language=_said(raw.FPDFCatalog_GetLanguage, pdf),
    )


def _date(text: str) -> str:
    """The date that a PDF tells in the form of PDF, or, as some do, in ISO 8601."""
    found = _DATE.match(text.strip())
    if found is None or not text.strip().startswith("D:"):
        return told.time_told(text)
    year, month, day, hour, minute, second, zulu, hours, minutes = found.groups()
    if hour is None:
        return told.time_told("-".join(part for part in (year, month, day) if part))
    zone = "+00:00" if zulu else f"{hours}:{minutes or '00'}" if hours else ""
    return told.time_told(f"{year}-{month}-{day}T{hour}:{minute}:{second or '00'}{zone}")
