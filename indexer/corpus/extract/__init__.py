"""Here is a document's bytes: what is its text? One file for each format.

A format is a file with a function `extract`, and a row for each ending of its files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from indexer.corpus.decoding import Decoded

#: From a text's bytes and the character set that they declare ("": none) to the text and how it
#: was read.
Decode = Callable[[bytes, str], Decoded]
#: From a document's bytes, and what decodes text, to its text; raises `Refused`.
Extract = Callable[[bytes, Decode], Decoded]

#: The endings of documents, in lower case, and what reads them; imported on first use.
EXTRACTORS: Mapping[str, str] = {
    ".txt": "indexer.corpus.extract.plain:extract",
    ".md": "indexer.corpus.extract.plain:extract",
    ".rst": "indexer.corpus.extract.plain:extract",
    ".html": "indexer.corpus.extract.html:extract",
    ".htm": "indexer.corpus.extract.html:extract",
}
#: The ending as which a file without any is read.
UNNAMED = ".txt"
