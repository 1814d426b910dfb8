"""Decode bytes of unknown encoding: find the encoding, or find that they are not text."""

from __future__ import annotations

import codecs
import re
import unicodedata
from contextlib import suppress
from dataclasses import dataclass

from hashret.errors import InputError
from hashret.workers.refusals import Refused
from indexer.corpus.guessing import Guess, guess

#: Number of bytes that are inspected to recognise an encoding or a binary file.
SAMPLE = 4096

# Byte order marks; the mark of UTF-32 LE comes first, because it begins with that of UTF-16 LE.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
# Control characters that text does not contain: all but tab, line feed, vertical tab, form feed,
# carriage return and escape.
_CONTROLS = bytes(c for c in range(0x20) if c not in b"\t\n\v\f\r\x1b") + b"\x7f"
_BYTES_PER_CONTROL = 50  # bytes with more control characters than one in so many are not text
_C1 = re.compile(rb"[\x80-\x9f]")  # characters of Windows-1252, controls of Latin-1
# Escape sequences -> the encodings to try. ISO 2022 uses bytes of ASCII only; just its escape
# sequences show what it is.
_ISO_2022 = {
    b"\x1b$)C": ("iso2022_kr",),
    b"\x1b$": ("iso2022_jp", "iso2022_jp_ext", "iso2022_jp_2"),
}
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
# The least share of bytes in UTF-16 or UTF-32, of any script, that are not printable ASCII. ASCII
# text with a stray NUL has hardly any.
_NOT_ASCII = 0.25
_ASCII_TEXT = bytes(range(0x20, 0x7F)) + b"\t\n\r"
# Encodings that a document may declare. The list is fixed, because some of Python's codecs are not
# character sets (punycode, unicode_escape), and documents come from strangers.
_DECLARABLE = re.compile(
    r"windows-125[0-8]|iso-8859-(?:[2-8]|1[03456])|koi8-[ru]|macintosh|mac-cyrillic|ibm866"
    r"|big5hkscs|gb18030|euc-jp|cp949|cp932|cp874|iso-2022-(?:jp|kr)"
)
# Declared names -> the encodings that they mean in practice (WHATWG Encoding Standard, 4.2).
_ALIASES = (
    dict.fromkeys(("gb2312", "gbk", "gb_2312-80", "x-gbk"), "gb18030")
    | dict.fromkeys(("shift_jis", "shift-jis", "x-sjis", "sjis", "windows-31j"), "cp932")
    | dict.fromkeys(("euc-kr", "ks_c_5601-1987", "ksc5601", "windows-949"), "cp949")
    | dict.fromkeys(("tis-620", "iso-8859-11", "windows-874"), "cp874")
    | dict.fromkeys(("big5", "big5-hkscs", "x-x-big5"), "big5hkscs")
    | dict.fromkeys(("iso-8859-1", "latin1", "us-ascii", "ascii"), "windows-1252")
    | {"iso-8859-9": "windows-1254", "iso-8859-8-i": "iso-8859-8", "x-mac-cyrillic": "mac-cyrillic"}
    | {f"cp125{n}": f"windows-125{n}" for n in range(9)}
)


@dataclass(frozen=True, slots=True)
class Decoded:
    """A text, the name of its encoding, and the guess if the encoding was guessed."""

    text: str
    encoding: str
    guess: Guess | None = None


def known(encoding: str) -> str:
    """Python's name of the text encoding that a user names; raises InputError if it is unknown."""
    try:
        found = codecs.lookup(encoding).name
        with suppress(UnicodeDecodeError):
            b"abcd".decode(found)  # LookupError for codecs that are not text encodings
        return found
    except (LookupError, ValueError) as error:
        raise InputError(
            f"encoding: expected the name of an encoding, such as cp1251 or gb18030, got "
            f"{encoding!r}; use a name that Python knows"
        ) from error


def sniff(head: bytes) -> str | None:
    """The encoding that a byte order mark, or zero bytes as in UTF-16 and UTF-32, show.

    None if the first bytes show no encoding: then it is UTF-8, or an older encoding without zero
    bytes.
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
    if b"\0" in head and len(head.translate(None, _ASCII_TEXT)) >= _NOT_ASCII * len(head):
        counts = {name: _n_ascii(head, name) for name in _WIDE}
        most = max(counts, key=lambda name: counts[name])
        return most if counts[most] else None
    return None


def is_text(head: bytes) -> bool:
    """Whether a file that begins with these bytes may be text: no NUL, hardly any controls."""
    shown = sniff(head)
    if shown in _WIDE:  # by zero bytes alone, which numbers have too
        return _n_ascii(head, shown) > 0
    return shown is not None or not (b"\0" in head or _has_many_controls(head))


def decode(data: bytes, declared: str = "", encoding: str | None = None) -> Decoded:
    """The text of `data`; raises `Refused` ("not-text") if it is not text.

    The encodings are tried in this order: the one that `sniff` finds; UTF-8, strictly; the user's
    `encoding`, and if that is given, no other; the one that the document has `declared`; damaged
    UTF-8, with U+FFFD for each damaged byte, which is named "utf-8-damaged"; the best guess. Text
    has no NUL and hardly any other control characters.
    """
    shown = sniff(data[:SAMPLE])
    if shown is not None:
        try:
            return Decoded(_text(data.decode(shown)), shown.removesuffix("-sig"))
        except UnicodeDecodeError as error:
            raise Refused(
                "not-text", f"expected {shown}, as its first bytes show, got: {error.reason}"
            ) from error
    if b"\x1b$" in data and (escaped := _iso_2022(data)) is not None:
        return escaped
    try:
        return Decoded(_text(data.decode("utf-8")), "utf-8")
    except UnicodeDecodeError:
        pass
    if encoding is not None:
        return Decoded(_text(_decode_as(encoding, data)), shown_name(encoding, data))
    return _decode_other(data, declared)


def decode_bytes(data: bytes, encoding: str | None = None) -> Decoded:
    """The text of bytes that are not UTF-8, in `encoding`, or if that is None in a guessed one."""
    if encoding is not None:
        return Decoded(_decode_as(encoding, data), shown_name(encoding, data))
    found = guess(data)
    if found is None:
        return Decoded(
            data.decode("latin-1"), "latin-1", Guess("", "latin-1", len(data), {"latin-1": 1.0})
        )
    return Decoded(found.text, shown_name(found.encoding, data), found)


def shown_name(encoding: str, data: bytes = b"\x80") -> str:
    """The name for metadata and messages of an encoding that has this name in Python.

    Windows-1252 is called Latin-1 if `data` has no byte in which the two differ.
    """
    if encoding == "cp1252" and not _C1.search(data):
        return "latin-1"
    return re.sub(r"^cp(?=125\d$)", "windows-", encoding)


def _decode_as(encoding: str, data: bytes) -> str:
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        raise Refused(
            "not-text",
            f"expected {encoding}, the encoding given, or UTF-8; got bytes that are neither",
        ) from error


def _n_ascii(head: bytes, encoding: str) -> int:
    """The number of ASCII characters if this is the encoding; 0 if it can't be."""
    try:
        text = codecs.getincrementaldecoder(encoding)().decode(head)
    except UnicodeDecodeError:
        return 0
    if any(unicodedata.category(c) in ("Cc", "Cn", "Co") for c in set(text) - set("\t\n\v\f\r")):
        return 0
    return sum(c < "\x80" for c in text)


def _iso_2022(data: bytes) -> Decoded | None:
    """The text if `data` is in an encoding of ISO 2022."""
    for escape, names in _ISO_2022.items():
        for name in names if escape in data else ():
            try:
                return Decoded(_text(data.decode(name)), name.replace("iso2022_", "iso-2022-"))
            except UnicodeDecodeError:
                continue
    return None


def _decode_other(data: bytes, declared: str) -> Decoded:
    """The text of bytes that are not UTF-8, if the user names no encoding."""
    if _has_many_controls(data):
        raise Refused("not-text", "expected text, got bytes with many control characters")
    name = _ALIASES.get(declared.lower(), declared.lower())
    if _DECLARABLE.fullmatch(name):
        try:
            return Decoded(_text(data.decode(name)), name)
        except UnicodeDecodeError:
            pass  # the declaration is wrong; go on without it
    damaged = data.decode("utf-8", "replace")
    n_damaged = damaged.count("\ufffd")
    n_ascii = len(damaged.encode("ascii", "ignore"))
    # In another encoding, two high bytes in a row hardly ever form a UTF-8 character.
    if len(damaged) - n_ascii > 2 * n_damaged:
        return Decoded(_text(damaged), "utf-8-damaged")
    _text(data.decode("latin-1"))
    return decode_bytes(data)


def _has_many_controls(data: bytes) -> bool:
    return len(data) - len(data.translate(None, _CONTROLS)) > len(data) / _BYTES_PER_CONTROL


def _text(text: str) -> str:
    """The same text; raises `Refused` if it contains NUL."""
    if "\0" in text:
        raise Refused("not-text", "expected text, got bytes with NUL among them")
    return text


def encoding_metadata(encoding: str) -> dict[str, str]:
    """The metadata that names the encoding of an item; empty for UTF-8."""
    return {} if encoding == "utf-8" else {"encoding": encoding}
