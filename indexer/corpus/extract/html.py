"""Extract the text of HTML documents, as browsers parse them (lexbor, through selectolax).

Words are separated where a browser begins a new line or cell, and nowhere else: "<b>o</b>ne" is one
word, "<td>one<td>two" are two.
"""

from __future__ import annotations

import re
from typing import Any

from selectolax.lexbor import LexborDocumentOptions, LexborHTMLParser, LexborNode, create_tag

from indexer.corpus.extract import Decode, Document, Section
from indexer.corpus.extract.told import line, time_told

# What is put into the tree at the ends of blocks, and found in its text again. No text has a NUL;
# a reference such as &#1; can at worst break a line.
_PARAGRAPH, _LINE, _HEADING, _END = "\0", "\x01", "\x02", "\x03"
_NO_MARKS = dict.fromkeys(map(ord, (_PARAGRAPH, _LINE, _HEADING, _END)), " ")
_HEADINGS = "h1 h2 h3 h4 h5 h6"
_PARAGRAPHS = (
    "address article aside blockquote body button caption center details dialog dir div dl fieldset"
    " figcaption figure footer form header hgroup hr legend main menu nav ol optgroup p pre search"
    " section select summary table textarea title ul"
)
_LINES = "br dd dt li option rt tr"
_CELLS = "td th"
_SILENT = "iframe noembed noframes noscript object script style template"  # no text for people


def _ids(names: str) -> set[int]:
    return {create_tag(name).tag_id for name in names.split()}


# Element -> what is put before it; and the elements that something is put after, too. After the
# others another element of the list, or their parent's end, comes in all sound documents.
_BEFORE = (
    dict.fromkeys(_ids(_PARAGRAPHS), _PARAGRAPH)
    | dict.fromkeys(_ids(_HEADINGS), _HEADING)
    | dict.fromkeys(_ids(_LINES), _LINE)
    | dict.fromkeys(_ids(_CELLS), " ")
)
_AFTER = _ids(_PARAGRAPHS) | _ids(_HEADINGS)
_BLOCKS = frozenset(f"{_PARAGRAPHS} {_HEADINGS} {_LINES} {_CELLS}".split())
_SILENT_IDS = _ids(_SILENT)

# Lexbor's time grows with the number of tags times the depth of nesting. Documents of fewer tags
# take at most 3 s, however deep. In others, nesting ends at the depth at which it ends in browsers.
_MANY_TAGS = 50_000
_MAX_DEPTH = 512
# Tags that never nest by themselves: void ones, and those whose end tag may be left out.
_FLAT = frozenset(
    "area base br col embed hr img input link meta param source track wbr p li dd dt td th tr tbody"  # noqa: SIM905
    " thead tfoot option rt rp colgroup html head body script style title textarea".split()
)
_TAG = re.compile(r"<(/?)([a-zA-Z][^\s/>]*)[^>]*>")
# Cells outside of a table, as in a part of a page: browsers read no such tags.
_STRAY_CELL = re.compile(r"<(/?)t[dhr]\b", re.IGNORECASE)
_CLOSED = re.compile(r"<(script|style|title|textarea|iframe)\b([^<>]*)/>", re.IGNORECASE)

_HEAD = 4096  # characters at the beginning of a page that have its <html>
_META_BYTES = 256 << 10  # bytes that are searched for <meta>, after scripts and styles
_XML_BYTES = 1024  # bytes that are searched for <?xml
_XML = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([a-zA-Z0-9_-]+)""", re.IGNORECASE)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([a-zA-Z0-9_-]+)""", re.IGNORECASE)
# The names, in lower case, of <meta> -> of metadata.
_META = {
    **dict.fromkeys(("author", "dc.creator", "dcterms.creator", "article:author"), "author"),
    **dict.fromkeys(("date", "dc.date", "dcterms.date", "dcterms.created"), "date"),
    **dict.fromkeys(("article:published_time", "datepublished", "pubdate"), "date"),
    **dict.fromkeys(("dc.language", "dcterms.language", "content-language"), "language"),
    "dc.title": "title",
}
_META_NAMES = ("name", "property", "http-equiv", "itemprop")
_TELLING = _ids("html title meta")
_MEANT = _BEFORE.keys() | _SILENT_IDS | _TELLING


def extract(data: bytes, decode: Decode) -> Document:
    """The sections of an HTML document, a new one at each heading, decoded as it declares."""
    found = decode(data, declared_charset(data))
    text, told = _read(found.text)
    return Document(_sections(text), told, found.encoding, found.guess)


def text_of(html: str) -> str:
    """The text of an HTML document: its title and its visible text, without markup.

    Paragraphs and other blocks are separated by blank lines.
    """
    return "\n\n".join(one.text for one in _sections(_read(html)[0]))


def declared_charset(html: bytes) -> str:
    """The encoding that ``<?xml encoding=`` or the first ``<meta>`` declares, or "".

    A ``<meta>`` must be within the first 256 KiB.
    """
    found = _XML.match(html[:_XML_BYTES]) or _CHARSET.search(html[:_META_BYTES])
    return found[1].decode("ascii") if found else ""


def _read(html: str) -> tuple[str, dict[str, Any]]:
    """The text of a document with marks between its blocks, and what its head tells."""
    if "<html" not in html[:_HEAD].lower() and "<table" not in html.lower():
        html = _STRAY_CELL.sub(r"<\1div", html)
    if html.count("<") > _MANY_TAGS:
        end = html.rfind(">") + 1
        html = _flattened(html[:end]) + html[end:]
    text, told = _marked(html)
    if _END not in text:  # something that is not closed hides the rest of the document
        text, _ = _marked(_repaired(html))
    return text, told


def _flattened(html: str) -> str:
    """The document, which ends with ">", without the tags that nest deeper than `_MAX_DEPTH`.

    An end tag closes the element that was opened last, or none: so the depth is never
    underestimated.
    """
    open_: list[str] = []
    for tag in _TAG.finditer(html):
        slash, name = tag.groups()
        name = name.lower()
        if name in _FLAT:
            continue
        if not slash:
            open_.append(name)
            if len(open_) > _MAX_DEPTH:
                return html[: tag.start()] + _TAG.sub(_flat, html[tag.start() :])
        elif open_ and open_[-1] == name:
            open_.pop()
    return html


def _flat(tag: re.Match[str]) -> str:
    """What stands for a tag that is too deep: a line break for a block, else nothing."""
    name = tag[2].lower()
    if name in _FLAT:
        return tag[0]
    return "<br>" if name in _BLOCKS else ""


def _repaired(html: str) -> str:
    """The document without attributes, whose quotes may be unpaired, and with closed scripts."""
    end = html.rfind(">") + 1
    closed = _CLOSED.sub(r"<\1></\1>", html[:end])
    return _TAG.sub(r"<\1\2>", closed) + html[end:]


def _marked(html: str) -> tuple[str, dict[str, Any]]:
    """As `_read`, of one tree. The last mark shows whether the document was read to its end."""
    data = html.encode("utf-8", "replace")
    end = data.rfind(b">") + 1  # no tag can end after it: the rest is text
    if b"<" in data[end:]:
        data = data[:end] + data[end:].replace(b"<", b"&lt;")
    tree = LexborHTMLParser(data + _END.encode(), options=LexborDocumentOptions.WO_EVENTS)
    root = tree.root
    if root is None:
        return _END, {}
    telling, silent = _mark(root)
    hold_elements = any(True for node in silent for _ in node.iter())
    for node in reversed(silent):  # the inner ones of nested ones first; with their marks
        node.decompose()
    if hold_elements:  # some of which may have told
        telling = [node for node in root.traverse() if node.tag_id in _TELLING]
    return root.text(), _told(telling)


def _mark(root: LexborNode) -> tuple[list[LexborNode], list[LexborNode]]:
    """Put the marks into a tree; returns the elements that tell of it, and those without text.

    In one pass that keeps no other node: what is put beside an element is behind it, or is text,
    which is passed over. A list of all elements, which Python's garbage collector looks through
    again and again while it grows, takes twice as long.
    """
    telling: list[LexborNode] = []
    silent: list[LexborNode] = []
    for node in root.traverse():
        kind = node.tag_id
        if kind not in _MEANT:
            continue
        if kind in _BEFORE:
            node.insert_before(_BEFORE[kind])
            if kind in _AFTER:
                node.insert_after(_PARAGRAPH)
        if kind in _TELLING:
            telling.append(node)
        elif kind in _SILENT_IDS:
            silent.append(node)
    return telling, silent


def _sections(marked: str) -> list[Section]:
    """The sections of a marked text; of each but the first, the first paragraph is its heading."""
    first, *others = (_paragraphs(part) for part in marked.replace(_END, "").split(_HEADING))
    sections = [Section("\n\n".join(first))] if first else []
    for paragraphs in others:
        if paragraphs:
            # Sphinx puts a link after each heading
            title = line(paragraphs[0]).removesuffix("¶").rstrip()
            sections.append(Section("\n\n".join(paragraphs), title))
    return sections


def _paragraphs(marked: str) -> list[str]:
    """The paragraphs that are not empty; each of their lines is kept as it is in the source."""
    # most parts are white space between blocks, for which no call of Python is made
    parts = filter(None, map(str.strip, marked.split(_PARAGRAPH)))
    return list(filter(None, [_lines(part) if _LINE in part else part for part in parts]))


def _lines(paragraph: str) -> str:
    return "\n".join(filter(None, map(str.strip, paragraph.split(_LINE))))


def _told(nodes: list[LexborNode]) -> dict[str, Any]:
    """What these elements of a head tell of the document; of several the first counts."""
    told: dict[str, str] = {}
    for node in nodes:
        has = node.attributes
        if node.tag == "meta":
            name = next((has[one] for one in _META_NAMES if has.get(one)), "") or ""
            key, said = _META.get(name.lower(), ""), has.get("content") or ""
        elif node.tag == "title":
            key, said = "title", node.text().translate(_NO_MARKS)
        else:
            key, said = "language", has.get("lang") or has.get("xml:lang") or ""
        value = time_told(said) if key == "date" else line(said)
        if key and value:
            told.setdefault(key, value)
    return told
