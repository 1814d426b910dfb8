"""Extract the text of mail (.eml) and of web archives (.mhtml).

`email.parser` is used for the headers of each part, not for the tree of parts: its time grows with
the lines times the depth, and mails come from strangers. Here each part is cut at its boundary, in
a few levels and some thousand parts, and headers are cut before they are parsed.
"""

from __future__ import annotations

import re
from binascii import Error as Base64Error
from collections.abc import Iterator
from dataclasses import dataclass, field
from email.errors import HeaderParseError
from email.header import decode_header
from email.message import Message
from functools import partial

from hashret.workers.refusals import Refused
from indexer.corpus.decoding import Decoded
from indexer.corpus.extract import Decode, Document, Section, html
from indexer.corpus.extract.told import line, time_told, told

_MAX_DEPTH = 10  # levels of parts in parts, and of mails in mails
_MAX_PARTS = 10_000  # of one mail, at all levels
_MAX_ATTACHMENTS = 100  # whose names are told
_MAX_HEAD = 1 << 20  # bytes in which the headers of a part are
_MAX_HEADER = 4000  # bytes of one header: email.utils takes the square of their number
_HEAD_END = re.compile(rb"\r?\n\r?\n|\r\r")
_HEADER = re.compile(rb"^([A-Za-z][A-Za-z-]{0,40})[ \t]*:((?:[^\r\n]|\r?\n[ \t]|\r[ \t])*)", re.M)
_READ = ("from", "to", "cc", "subject", "date")
_STRUCTURE = (
    "content-type",
    "content-transfer-encoding",
    "content-disposition",
    "content-location",
)


@dataclass(slots=True)
class _Mail:
    """What is found in one mail and in those within it."""

    decode: Decode
    sections: list[Section] = field(default_factory=list)
    attachments: list[str] = field(default_factory=list)
    encodings: list[str] = field(default_factory=list)
    n_parts: int = 0

    def text(self, body: bytes, part: Message) -> Decoded:
        charset = part.get_content_charset("")
        try:
            found = self.decode(body, charset or html.declared_charset(body))
        except Refused:  # its type is wrong: the other parts are still read
            return Decoded("", "utf-8")
        self.encodings.append(found.encoding)
        return found


def extract(data: bytes, decode: Decode) -> Document:
    """The text of a mail, a section for each mail in it, and its headers as metadata.

    Of alternatives plain text is read, or else HTML; of attachments the names are told.
    """
    part, body = _headers(_without_envelope(data))
    if not any(name in part for name in (*_READ, *_STRUCTURE)):
        raise Refused("damaged-document", "expected a mail, got nothing with headers such as From:")
    mail = _Mail(decode)
    _read_mail(mail, part, body, 0)
    said = {name: _decoded(part[name], decode) for name in _READ if part[name]}
    said["date"] = time_told(said.get("date", ""))
    said["attachments"] = ", ".join(mail.attachments)
    other = (one for one in mail.encodings if one != "utf-8")
    return Document(mail.sections, told(**said), next(other, "utf-8"))


def page(data: bytes, decode: Decode) -> Document:
    """The page of a web archive: its first part that is HTML, or plain text."""
    mail = _Mail(decode)
    leaves = list(_leaves(mail, *_headers(data), 0))
    for kind in ("text/html", "text/plain"):
        for part, body in leaves:
            if part.get_content_type() == kind:
                found = _payload(part, body)
                if kind == "text/plain":
                    return Document.plain(mail.text(found, part))
                said = part.get_content_charset("")
                return html.extract(found, partial(_declared, decode, said))
    raise Refused("damaged-document", "expected a web archive, got no part that is HTML")


def _declared(decode: Decode, charset: str, data: bytes, declared: str) -> Decoded:
    """The text of a page in the encoding that its part names, or else that it declares itself."""
    return decode(data, charset or declared)


def _without_envelope(data: bytes) -> bytes:
    """A mail without the line "From " that begins it in a mailbox."""
    return data[data.find(b"\n") + 1 :] if data.startswith((b"From ", b">From ")) else data


def _headers(data: bytes) -> tuple[Message, bytes]:
    """The headers of a part that are used here, each cut to a bounded length, and its body."""
    part = Message()
    if data.startswith((b"\n", b"\r\n")):
        return part, data
    end = _HEAD_END.search(data, 0, _MAX_HEAD)
    for found in _HEADER.finditer(data, 0, end.start() if end else _MAX_HEAD):
        name = found[1].decode("ascii").lower()
        if name in (*_READ, *_STRUCTURE) and name not in part:
            value = " ".join(_as_text(found[2][:_MAX_HEADER]).split())
            part[name] = value.replace("\0", "")
    return part, data[end.end() :] if end else b""


def _as_text(header: bytes) -> str:
    """A header as text: it is ASCII by the standard, and UTF-8 or an 8-bit encoding in fact."""
    try:
        return header.decode("utf-8")
    except UnicodeDecodeError:
        return header.decode("cp1252", "replace")


def _decoded(header: str, decode: Decode) -> str:
    """A header with its encoded words decoded."""
    try:
        parts = decode_header(header)
    except (HeaderParseError, ValueError):
        return line(header)
    said = []
    for part, charset in parts:
        try:
            if isinstance(part, bytes):
                part = decode(part, charset).text if charset else part.decode("latin-1")
            said.append(part)
        except Refused:
            said.append("\ufffd")
    return line("".join(said))


def _read_mail(mail: _Mail, part: Message, body: bytes, depth: int) -> None:
    """Add the section of one mail, before those of the mails in it."""
    at = len(mail.sections)
    texts = _texts(mail, part, body, depth)
    subject = _decoded(part["subject"] or "", mail.decode)
    text = "\n\n".join(one for one in (subject, *texts) if one.strip())
    mail.sections.insert(at, Section(text, subject))


def _texts(mail: _Mail, part: Message, body: bytes, depth: int) -> list[str]:
    """The texts of a part that is no attachment, in order."""
    leaves = list(_leaves(mail, part, body, depth))
    kinds = [one.get_content_type() for one, _ in leaves]
    texts = []
    for (one, content), kind in zip(leaves, kinds, strict=True):
        if kind == "text/plain":
            texts.append(mail.text(_payload(one, content), one).text.strip())
        elif kind == "text/html":
            texts.append(html.text_of(mail.text(_payload(one, content), one).text))
    return texts


def _leaves(mail: _Mail, part: Message, body: bytes, depth: int) -> Iterator[tuple[Message, bytes]]:
    """The parts with text to read; names of attachments and mails within it are noted."""
    mail.n_parts += 1
    if mail.n_parts > _MAX_PARTS:
        raise Refused("too-large", f"expected a mail of at most {_MAX_PARTS:,} parts, got more")
    kind = part.get_content_type()
    name = part.get_filename()
    if kind == "message/rfc822" and depth < _MAX_DEPTH:
        _read_mail(mail, *_headers(_without_envelope(_payload(part, body))), depth + 1)
    elif kind.startswith("multipart/") and depth < _MAX_DEPTH:
        parts = _parts(part, body)
        if kind == "multipart/alternative":
            parts = _preferred(parts)
        for one, content in parts:
            yield from _leaves(mail, one, content, depth + 1)
    elif _is_attached(part, name, depth) or not kind.startswith("text/"):
        if len(mail.attachments) < _MAX_ATTACHMENTS:
            mail.attachments.append(_decoded(name or kind, mail.decode).replace(",", ""))
    elif kind in ("text/plain", "text/html"):
        yield part, body


def _parts(part: Message, body: bytes) -> list[tuple[Message, bytes]]:
    """The parts of a multipart body; one without its boundary is one part, as plain text."""
    boundary = (part.get_boundary() or "").encode("utf-8", "replace")
    if not boundary or b"--" + boundary not in body:
        return [(Message(), body)]
    pattern = rb"(?:^|\r?\n)--" + re.escape(boundary) + rb"(?=[ \t\r\n-]|$)"
    parts = []
    for one in re.split(pattern, body, maxsplit=_MAX_PARTS + 1)[1:]:
        if one.startswith(b"--"):
            break
        parts.append(_headers(one.lstrip(b" \t").removeprefix(b"\r").removeprefix(b"\n")))
    return parts


def _is_attached(part: Message, name: str | None, depth: int) -> bool:
    """Whether a part is a file sent with the mail, and not what the mail says."""
    disposition = part.get_content_disposition()
    return disposition == "attachment" or bool(name and depth and disposition != "inline")


def _preferred(parts: list[tuple[Message, bytes]]) -> list[tuple[Message, bytes]]:
    """Of alternatives the plain text, if it has any; else all but plain text."""
    for part, body in parts:
        if part.get_content_type() == "text/plain" and body.strip():
            return [(part, body)]
    return [one for one in parts if one[0].get_content_type() != "text/plain"][:1]


def _payload(part: Message, body: bytes) -> bytes:
    """The body of a part without its transfer encoding."""
    part.set_payload(body.decode("ascii", "surrogateescape"))
    try:
        found = part.get_payload(decode=True)
    except (Base64Error, ValueError, UnicodeError):
        return body
    return found if isinstance(found, bytes) else body
