"""Extract the text of RTF documents, through striprtf, whose time grows with their length."""

from __future__ import annotations

import re

from striprtf.striprtf import rtf_to_text

from hashret.workers.refusals import Refused
from indexer.corpus.extract import Decode, Document, Section
from indexer.corpus.extract.told import time_told, told

_MAX_HEAD = 256 << 10  # characters in which \info is looked for
_INFO = {
    "title": re.compile(r"\{\\title ([^{}]{0,4000})\}"),
    "author": re.compile(r"\{\\author ([^{}]{0,4000})\}"),
}
_CREATED = re.compile(
    r"\{\\creatim\\yr(\d{1,4})\\mo(\d{1,2})\\dy(\d{1,2})(?:\\hr(\d{1,2}))?(?:\\min(\d{1,2}))?"
)


def extract(data: bytes, decode: Decode) -> Document:
    r"""The text of an RTF document, and what its ``\\info`` tells. It is ASCII by its standard."""
    if not data.lstrip().startswith(b"{\\rtf"):
        raise Refused("damaged-document", r"expected an RTF document, which begins with {\rtf")
    source = data.decode("latin-1")
    text = _text(source).replace("\0", "\ufffd")
    head = source[:_MAX_HEAD]
    said = {
        name: _text(r"{\rtf1\ansi " + found[1] + "}")
        for name, pattern in _INFO.items()
        if (found := pattern.search(head))
    }
    if created := _CREATED.search(head):
        year, month, day, hour, minute = (int(one or 0) for one in created.groups())
        said["date"] = time_told(f"{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:00")
    return Document([Section("\n\n".join(text.split("\n")))], told(**said))


def _text(source: str) -> str:
    try:
        text = rtf_to_text(source, errors="replace")  # type: ignore[no-untyped-call]
    except (ValueError, LookupError, IndexError, OverflowError, TypeError) as error:
        reason = f"expected RTF, got {type(error).__name__}: {error}"
        raise Refused("damaged-document", reason) from error
    # \u55357 and the like are halves of a surrogate pair
    return str(text).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
