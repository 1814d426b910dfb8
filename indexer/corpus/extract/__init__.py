"""Here are a document's bytes: what is its text? One file for each format.

A format is a module with a function `extract`, and a row in `EXTRACTORS` for each suffix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from indexer.corpus.decoding import Decoded

#: A function (bytes, declared encoding or "") that decodes text.
Decode = Callable[[bytes, str], Decoded]
#: A function (bytes, decode) that returns the text of a document; raises `Refused`.
Extract = Callable[[bytes, Decode], Decoded]

#: The suffix of a document, in lower case -> its function `extract`, imported on first use.
EXTRACTORS: Mapping[str, str] = {
    ".txt": "indexer.corpus.extract.plain:extract",
    ".md": "indexer.corpus.extract.plain:extract",
    ".rst": "indexer.corpus.extract.plain:extract",
    ".html": "indexer.corpus.extract.html:extract",
    ".htm": "indexer.corpus.extract.html:extract",
}
#: The suffix as which a file without a suffix is read.
UNNAMED = ".txt"
