"""Extract the text of Outlook messages (.msg), through olefile."""

from __future__ import annotations

import io
import struct
from datetime import UTC, datetime, timedelta

import olefile  # type: ignore[import-untyped]

from hashret.workers.refusals import Refused
from indexer.corpus.extract import Decode, Document, Section, html
from indexer.corpus.extract.told import iso, told

# Properties of MAPI (MS-OXPROPS), as the names of streams have them.
_SUBJECT, _BODY, _HTML, _CODE_PAGE = "0037", "1000", "1013", 0x3FFD
_FROM, _FROM_ADDRESS, _FROM_SMTP, _TO, _CC = "0C1A", "0C1F", "5D01", "0E04", "0E03"
_ATTACHMENT, _ATTACHMENT_8_3 = "3707", "3704"
_SENT, _DELIVERED = 0x0039, 0x0E06
_TIME = 0x0040  # the type of a property that is a time: 100 nanoseconds since 1601
_EPOCH = datetime(1601, 1, 1, tzinfo=UTC)
_HEADER = 32  # bytes before the properties of a message; each has 16
_MAX_STREAM = 16 << 20  # bytes
_MAX_ATTACHMENTS = 100  # whose names are told
_MAX_STREAMS = 20_000  # of one file


def extract(data: bytes, decode: Decode) -> Document:
    """The subject and body of an Outlook message, and its sender, recipients and time."""
    if not olefile.isOleFile(data=data):
        raise Refused("damaged-document", "expected an Outlook message, got no OLE file")
    try:
        with olefile.OleFileIO(io.BytesIO(data)) as ole:
            return _document(ole, decode)
    except (OSError, ValueError, IndexError, struct.error, RecursionError) as error:
        raise Refused(
            "damaged-document", f"expected an Outlook message, got a damaged one: {error}"
        ) from error


def _document(ole: olefile.OleFileIO, decode: Decode) -> Document:
    names = ole.listdir()
    if len(names) > _MAX_STREAMS or not ole.exists("__properties_version1.0"):
        raise Refused("damaged-document", "expected an Outlook message, got another OLE file")
    numbers = _properties(_stream(ole, "__properties_version1.0"))
    page = numbers.get((_CODE_PAGE, 3), 0) & 0xFFFF
    charset = "utf-8" if page == 65001 else f"cp{page}" if page else ""

    def text(tag: str, folder: str = "") -> str:
        start = f"{folder}__substg1.0_{tag}"
        if ole.exists(start + "001F"):
            return _stream(ole, start + "001F").decode("utf-16-le", "replace").replace("\0", "")
        found = _stream(ole, start + "001E").rstrip(b"\0") if ole.exists(start + "001E") else b""
        return decode(found, charset).text if found else ""

    body = text(_BODY)
    if not body.strip() and ole.exists(f"__substg1.0_{_HTML}0102"):
        found = _stream(ole, f"__substg1.0_{_HTML}0102")
        body = html.text_of(decode(found, html.declared_charset(found) or charset).text)
    subject = text(_SUBJECT)
    name, address = text(_FROM), text(_FROM_SMTP) or text(_FROM_ADDRESS)
    time = numbers.get((_SENT, _TIME)) or numbers.get((_DELIVERED, _TIME))
    folders = sorted({one[0] for one in names if one[0].startswith("__attach")})
    attached = (
        text(_ATTACHMENT, f"{one}/") or text(_ATTACHMENT_8_3, f"{one}/")
        for one in folders[:_MAX_ATTACHMENTS]
    )
    said = {
        "from": f"{name} <{address}>" if name and "@" in address else name or address,
        "to": text(_TO),
        "cc": text(_CC),
        "subject": subject,
        "date": _iso(time) if time else "",
        "attachments": ", ".join(one.replace(",", "") for one in attached if one),
    }
    whole = "\n\n".join(one for one in (subject.strip(), body.strip()) if one)
    return Document([Section(whole, told(subject=subject).get("subject", ""))], told(**said))


def _stream(ole: olefile.OleFileIO, name: str) -> bytes:
    with ole.openstream(name) as stream:
        found = stream.read(_MAX_STREAM + 1)
    if len(found) > _MAX_STREAM:
        raise Refused("too-large", f"expected a text of at most {_MAX_STREAM:,} bytes in a message")
    return bytes(found)


def _properties(data: bytes) -> dict[tuple[int, int], int]:
    """The (number, type) -> value of the properties of fixed length."""
    found: dict[tuple[int, int], int] = {}
    for at in range(_HEADER, len(data) - 15, 16):
        kind, number, _, value = struct.unpack_from("<HHIQ", data, at)
        found.setdefault((number, kind), value)
    return found


def _iso(time: int) -> str:
    try:
        return iso(_EPOCH + timedelta(microseconds=time // 10))
    except OverflowError:
        return ""
