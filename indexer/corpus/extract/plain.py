"""Extract the text of plain text files; markup such as Markdown's is left in."""

from __future__ import annotations

from indexer.corpus.decoding import Decoded
from indexer.corpus.extract import Decode


def extract(data: bytes, decode: Decode) -> Decoded:
    """The text of a plain document."""
    return decode(data, "")
