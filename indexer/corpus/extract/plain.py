"""Plain text to text: markup such as Markdown's stays, it is read by people too."""

from __future__ import annotations

from indexer.corpus.decoding import Decoded
from indexer.corpus.extract import Decode


def extract(data: bytes, decode: Decode) -> Decoded:
    """The text of a plain document."""
    return decode(data, "")
