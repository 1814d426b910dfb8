"""Extract the text of HTML documents, in time linear in their length.

`html.parser` is not used, because it is quadratic on unclosed markup (CPython 3.11.7 takes 35 s for
60 kB of ``<a <a <a ...``), and documents come from strangers. Here each search for an end that
fails is made at most once in a document.
"""

from __future__ import annotations

import re
from html import unescape

from indexer.corpus.extract import Decode, Document

# Elements within a line. All others separate words, so that <td>a<td>b does not become "ab".
_INLINE = re.compile(
    "a|abbr|acronym|b|bd[io]|big|cite|code|data|del|dfn|em|font|i|ins|kbd|mark|nobr|q|s|samp|small"
    "|span|strike|strong|su[bp]|time|tt|u|var|wbr"
)
# Elements whose content is raw, up to their end tag (WHATWG HTML, 13.2.6.4).
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea")
}
_HIDDEN = ("script", "style")  # elements whose content is not text
_NAME = re.compile(r"/?([a-zA-Z][^\s/>]*)")
# The rest of a tag up to its ">"; a ">" in a quoted attribute value does not end it.
_REST = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+>""")
# Numeric character references beyond Unicode. unescape() would convert the digits to an integer,
# and Python refuses to convert thousands of digits.
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
_META_BYTES = 256 << 10  # bytes that are searched for <meta>, after scripts and styles
_XML_BYTES = 1024  # bytes that are searched for <?xml
_XML = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([a-zA-Z0-9_-]+)""", re.IGNORECASE)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([a-zA-Z0-9_-]+)""", re.IGNORECASE)


def extract(data: bytes, decode: Decode) -> Document:
    """The text of an HTML document, by `text_of`, decoded as it declares."""
    found = decode(data, declared_charset(data))
    return Document.plain(found, text_of(found.text))


def declared_charset(html: bytes) -> str:
    """The encoding that ``<?xml encoding=`` or the first ``<meta>`` declares, or "".

    A ``<meta>`` must be within the first 256 KiB.
    """
    found = _XML.match(html[:_XML_BYTES]) or _CHARSET.search(html[:_META_BYTES])
    return found[1].decode("ascii") if found else ""


def text_of(html: str) -> str:
    """The text of an HTML document: its title and its visible text, without markup.

    Entities are decoded, and words are separated at block boundaries. A ``<`` that begins no tag is
    text. Broken markup is not always repaired as a browser does it.
    """
    pieces: list[str] = []
    position, size, last_end = 0, len(html), html.rfind(">")
    trust_quotes = True
    while position < size:
        start = html.find("<", position)
        if start < 0 or start > last_end:  # from here on no tag can end: the rest is text
            pieces.append(html[position:])
            break
        pieces.append(html[position:start])
        name = _NAME.match(html, start + 1)
        if name is not None:
            rest = _REST.match(html, name.end()) if trust_quotes else None
            # An unpaired quote hides every later ">". From here on any ">" ends a tag.
            trust_quotes = rest is not None
            position = rest.end() if rest else html.index(">", start) + 1
            shown, position = _element(html, name, position)
            pieces.append(shown)
        elif html.startswith("<!--", start):
            end = html.find("-->", start + 4)
            position = end + 3 if end >= 0 else size
        elif html[start + 1] in "!?/":
            position = html.index(">", start) + 1
        else:
            pieces.append("<")
            position = start + 1
    return unescape(_LONG_NUMBER.sub("\ufffd", "".join(pieces))).strip()


def _element(html: str, name: re.Match[str], position: int) -> tuple[str, int]:
    """The text for a tag, and the position to go on from: for raw elements after their content."""
    element = name[1].lower()
    # <script/> opens an element in HTML and closes it in XHTML. Closed, it can't hide any text.
    is_closed = html.endswith("/>", 0, position)
    if element in _RAW and not name[0].startswith("/") and not is_closed:
        end = _RAW[element].search(html, position)
        content = html[position : end.start() if end else len(html)]
        shown = "" if element in _HIDDEN else content
        return f"\n{shown}\n", position + len(content)
    return ("" if _INLINE.fullmatch(element) else "\n"), position
