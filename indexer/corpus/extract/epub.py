"""Extract the text of EPUB books: one section for each chapter, in the order of reading."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Collection
from contextlib import suppress
from urllib.parse import unquote, urlsplit
from xml.etree.ElementTree import Element

from hashret.workers.refusals import Refused
from indexer.corpus.extract import Decode, Document, Section
from indexer.corpus.extract.html import declared_charset, text_of
from indexer.corpus.extract.safe_xml import tree
from indexer.corpus.extract.told import names, time_told, told
from indexer.corpus.extract.zipped import Zipped

_NOUN = "an EPUB"
_CONTAINER = "META-INF/container.xml"
_ENCRYPTION = "META-INF/encryption.xml"
_OPF = "{http://www.idpf.org/2007/opf}"
_DUBLIN_CORE = "{http://purl.org/dc/elements/1.1/}"
_NCX = "{http://www.daisy.org/z3986/2005/ncx/}"
_CHAPTERS = ("application/xhtml+xml", "text/html", "application/xml", "text/x-oeb1-document")
_BODY = re.compile(r"<body[\s>]", re.IGNORECASE)
_LINK = re.compile(
    r"""<a\s[^>]{0,500}?href\s*=\s*["']([^"']{1,500})["'][^>]{0,500}>(.{0,2000}?)</a>""", re.DOTALL
)
_HEADING = re.compile(r"<h[1-3][\s>].{0,2000}?</h[1-3]>", re.DOTALL | re.IGNORECASE)


def extract(data: bytes, decode: Decode) -> Document:
    """The text of an EPUB: chapters as its spine orders them, titled as its contents name them."""
    members = Zipped(data, _NOUN)
    package = _package_name(members)
    root = tree(members.read(package), _NOUN)
    folder = posixpath.dirname(package)
    items = {item.get("id", ""): item for item in root.iter(f"{_OPF}item")}
    spine = [items.get(ref.get("idref", "")) for ref in root.iter(f"{_OPF}itemref")]
    if not spine:
        raise members.damaged("it has no order of chapters")
    chapters = [
        _within(folder, item.get("href", ""))
        for item in spine
        if item is not None and item.get("media-type") in _CHAPTERS
    ]
    _require_not_encrypted(members, chapters)
    titles = _titles(members, folder, items.values(), decode)
    sections = []
    for number, name in enumerate(chapters, 1):
        html = _html(members, name, decode)
        heading = _HEADING.search(html)
        title = titles.get(name) or (" ".join(text_of(heading[0]).split()) if heading else "")
        if text := text_of(html):
            sections.append(Section(text, title, number))
    return Document(sections, _told(root))


def _package_name(members: Zipped) -> str:
    """The name of the member that lists the others."""
    for element in tree(members.read(_CONTAINER), _NOUN).iter():
        if element.tag.endswith("rootfile") and element.get("full-path"):
            return element.get("full-path", "")
    raise members.damaged(f"{_CONTAINER} names no package")


def _within(folder: str, href: str) -> str:
    """The name of the member at a relative address."""
    return posixpath.normpath(posixpath.join(folder, unquote(urlsplit(href).path)))


def _require_not_encrypted(members: Zipped, chapters: list[str]) -> None:
    """Raise `Refused` if a chapter is encrypted; fonts often are, in a way that hides nothing."""
    if _ENCRYPTION in members:
        root = tree(members.read(_ENCRYPTION), _NOUN)
        hidden = {unquote(element.get("URI", "")) for element in root.iter()}
        if hidden & set(chapters):
            raise Refused("encrypted", f"expected {_NOUN} that is not locked, got one with DRM")


def _html(members: Zipped, name: str, decode: Decode) -> str:
    """The body of a chapter; its head has the title of the book again and again."""
    data = members.read(name)
    html = decode(data, declared_charset(data)).text
    body = _BODY.search(html)
    return html[body.start() :] if body else html


def _titles(
    members: Zipped, folder: str, items: Collection[Element], decode: Decode
) -> dict[str, str]:
    """The title of each chapter's member, by the contents of EPUB 3 or of EPUB 2."""
    titles: dict[str, str] = {}
    for item in items:
        name = _within(folder, item.get("href", ""))
        with suppress(Refused):  # many books have unsound contents, and are whole without titles
            if "nav" in (item.get("properties") or "").split():
                for href, html in _LINK.findall(_html(members, name, decode)):
                    _set_title(titles, _within(posixpath.dirname(name), href), text_of(html))
            elif item.get("media-type") == "application/x-dtbncx+xml":
                for point in tree(members.read(name), _NOUN).iter(f"{_NCX}navPoint"):
                    label = point.findtext(f"{_NCX}navLabel/{_NCX}text") or ""
                    target = point.find(f"{_NCX}content")
                    href = "" if target is None else target.get("src", "")
                    _set_title(titles, _within(posixpath.dirname(name), href), label)
    return titles


def _set_title(titles: dict[str, str], name: str, title: str) -> None:
    """Note the first title of a member; later ones are of parts of it."""
    if title := " ".join(title.split()):
        titles.setdefault(name, title)


def _told(root: Element) -> dict[str, str]:
    def values(name: str) -> list[str]:
        return ["".join(one.itertext()) for one in root.iter(_DUBLIN_CORE + name)]

    return told(
        title=next(iter(values("title")), ""),
        author=names(values("creator")),
        date=time_told(next(iter(values("date")), "")),
        language=next(iter(values("language")), ""),
    )
