"""Extract the text of plain text files; markup such as Markdown's is left in."""

from __future__ import annotations

from indexer.corpus.extract import Decode, Document


def extract(data: bytes, decode: Decode) -> Document:
    """The text of a plain document."""
    return Document.plain(decode(data, ""))
