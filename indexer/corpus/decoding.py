"""Bytes of unknown encoding to text: which encoding, and when the bytes are no text at all."""

from __future__ import annotations

import codecs
import re

from indexer.refusals import Refused

#: Bytes looked at to tell an encoding or a binary file.
SAMPLE = 4096

# The longer marks first: that of UTF-32 LE begins with that of UTF-16 LE.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Control characters that no text has: all but tab, line feed, vertical tab, form feed,
# carriage return and escape.
_CONTROLS = bytes(c for c in range(0x20) if c not in b"\t\n\v\f\r\x1b") + b"\x7f"
_C1 = re.compile(rb"[\x80-\x9f]")
# Encodings that a document may declare: a fixed list, since a codec's name from a stranger can
# ask for things that are no character sets (punycode, unicode_escape).
_DECLARABLE = re.compile(
    r"windows-125[0-8]|iso-8859-(?:[2-9]|1[03456])|koi8-[ru]|macintosh|ibm866"
    r"|big5|gb18030|euc-jp|euc-kr|cp932"
)
# What the declared names of today's documents mean in truth (WHATWG Encoding Standard, 4.2).
_MEANT = {"gb2312": "gb18030", "gbk": "gb18030", "x-sjis": "cp932", "shift_jis": "cp932"}


def sniff(head: bytes) -> str | None:
    """The encoding that the first bytes show: by byte order mark or by UTF-16's zero bytes.

    Text of mostly Latin letters in UTF-16 has a zero in every other byte. None: nothing is shown,
    so UTF-8 or an 8-bit encoding.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    pairs = len(head) // 2
    even, odd = head[: 2 * pairs : 2].count(0), head[1 : 2 * pairs : 2].count(0)
    if odd > 0.4 * pairs and even <= 0.05 * pairs:
        return "utf-16-le"
    if even > 0.4 * pairs and odd <= 0.05 * pairs:
        return "utf-16-be"
    return None


def decode(data: bytes, declared: str = "") -> tuple[str, str]:
    """The text of `data` and the name of its encoding; raises `Refused` ("not-text").

    In this order: the encoding that `sniff` sees; UTF-8, strictly; an encoding that the document
    itself has `declared`; UTF-8 with damage, each damaged byte as U+FFFD, named
    "utf-8-damaged"; Windows-1252 where there are bytes 0x80-0x9f that it defines, else Latin-1.
    Text has no NUL, and hardly any other control characters.
    """
    shown = sniff(data[:SAMPLE])
    if shown is not None:
        try:
            return _text(data.decode(shown)), shown.removesuffix("-sig")
        except UnicodeDecodeError as error:
            raise Refused("not-text", f"begins as {shown} but is not: {error.reason}") from error
    try:
        return _text(data.decode("utf-8")), "utf-8"
    except UnicodeDecodeError:
        return _decode_other(data, declared)


def decode_8_bit(data: bytes) -> tuple[str, str]:
    """The text of bytes that are not UTF-8, as Windows-1252 or Latin-1, and which of the two."""
    if _C1.search(data):
        try:
            return data.decode("windows-1252"), "windows-1252"
        except UnicodeDecodeError:
            pass  # five bytes of 0x80-0x9f are undefined there
    return data.decode("latin-1"), "latin-1"


def _decode_other(data: bytes, declared: str) -> tuple[str, str]:
    if len(data) - len(data.translate(None, _CONTROLS)) > len(data) / 50:
        raise Refused("not-text", "expected text, got bytes that are mostly no characters")
    name = _MEANT.get(declared.lower(), declared.lower())
    if _DECLARABLE.fullmatch(name):
        try:
            return _text(data.decode(name)), name
        except UnicodeDecodeError:
            pass  # declared wrongly: go on as if nothing had been said
    damaged = data.decode("utf-8", "replace")
    n_damaged = damaged.count("\ufffd")
    n_ascii = len(damaged.encode("ascii", "ignore"))
    # In an 8-bit encoding, hardly ever do two high bytes in a row form a UTF-8 character.
    if len(damaged) - n_ascii > 2 * n_damaged:
        return _text(damaged), "utf-8-damaged"
    text, encoding = decode_8_bit(data)
    return _text(text), encoding


def _text(text: str) -> str:
    if "\0" in text:
        raise Refused("not-text", "expected text, got bytes with NUL among them")
    return text
