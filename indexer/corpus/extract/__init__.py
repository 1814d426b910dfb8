"""Here is a document's bytes: what is its text? One file for each format.

A format is a file with a function `extract`, and a row for each ending of its files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

#: From a text's bytes and the character set that they declare ("": none) to the text and its
#: encoding's name.
Decode = Callable[[bytes, str], tuple[str, str]]
#: From a document's bytes, and what decodes text, to its text and encoding; raises `Refused`.
Extract = Callable[[bytes, Decode], tuple[str, str]]

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
