"""HTML to text, in one pass over any input.

Not `html.parser`: it is quadratic on unclosed markup (CPython 3.11.7 takes 35 s for 60 kB of
``<a <a <a ...``), and a corpus is written by strangers. Here each scan that fails to find an
end is made at most once in a document, so the time is linear in its length.
"""

from __future__ import annotations

import re
from dataclasses import replace
from html import unescape

from indexer.corpus.decoding import Decoded
from indexer.corpus.extract import Decode

# Elements inside a line; all others part words, so that <td>a<td>b does not become "ab".
_INLINE = re.compile(
    "a|abbr|acronym|b|bd[io]|big|cite|code|data|del|dfn|em|font|i|ins|kbd|mark|nobr|q|s|samp|small"
    "|span|strike|strong|su[bp]|time|tt|u|var|wbr"
)
# Elements whose content is raw, up to their end tag (WHATWG HTML, 13.2.6.4).
_RAW = {
    name: re.compile(rf"</{name}(?=[\s/>])", re.IGNORECASE)
    for name in ("script", "style", "title", "textarea")
}
_UNSHOWN = ("script", "style")
_NAME = re.compile(r"/?([a-zA-Z][^\s/>]*)")
# The rest of a tag up to its ">"; one inside a quoted attribute value does not end it.
_REST = re.compile(r"""(?:[^>=]++|=\s*+(?:"[^"]*+"|'[^']*+')?+)*+>""")
# unescape() turns digits into an integer; Python refuses to convert thousands of them.
_LONG_NUMBER = re.compile(r"&#(?:[0-9]{8,}|[xX][0-9a-fA-F]{8,});?")
_LOOKED_AT = 256 << 10
_XML = re.compile(rb"""\s*<\?xml[^>]*?\sencoding\s*=\s*["']([a-zA-Z0-9_-]+)""", re.IGNORECASE)
_CHARSET = re.compile(rb"""<meta[^>]{0,200}?charset\s*=\s*["']?([a-zA-Z0-9_-]+)""", re.IGNORECASE)


def extract(data: bytes, decode: Decode) -> Decoded:
    """The text of an HTML document, as `text_of`."""
    found = decode(data, declared_charset(data))
    return replace(found, text=text_of(found.text))


def declared_charset(html: bytes) -> str:
    """The character set that a first ``<?xml encoding=`` or a ``<meta>`` declares, or "".

    A ``<meta>`` is looked for in the first 256 KiB: scripts and styles may stand before it.
    """
    found = _XML.match(html[:1024]) or _CHARSET.search(html[:_LOOKED_AT])
    return found[1].decode("ascii") if found else ""


def text_of(html: str) -> str:
    """The text of an HTML document: its title and all that is shown, without the markup.

    Entities are decoded and words stay apart at block boundaries. Not promised: how a browser
    repairs each kind of broken markup; a ``<`` that begins no tag is text.
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
            # An unpaired quote hid every later ">": from now on any ">" ends a tag.
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
    """What a tag puts into the text, and where to read on: after the content if that is raw."""
    word = name[1].lower()
    # <script/> opens in HTML and is whole in XHTML; taken as whole, no text can be lost to it.
    is_whole = html.endswith("/>", 0, position)
    if word in _RAW and not name[0].startswith("/") and not is_whole:
        end = _RAW[word].search(html, position)
        content = html[position : end.start() if end else len(html)]
        shown = "" if word in _UNSHOWN else content
        return f"\n{shown}\n", position + len(content)
    return ("" if _INLINE.fullmatch(word) else "\n"), position
