"""The lines of a table as text, in bounded memory, whatever its encoding and compression."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from indexer.corpus import decoding, files

_CHUNK = 1 << 20
# Python decodes a byte 0xNN that is not UTF-8 as U+DCNN (PEP 383), so that a line can be read
# before it is known whether it is sound.
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


class Lines:
    """The lines of one table; `number` is that of the last line read, from 1.

    In a table that is not shown to be UTF-16 or UTF-32, bytes that are not UTF-8 come as lone
    surrogates; see `is_escaped`. `read` and `discard` raise what the stream raises.
    """

    def __init__(self, stream: io.TextIOWrapper, encoding: str, ends: str) -> None:
        self.encoding = encoding
        self.number = 0
        self._stream = stream
        self._ends = ends
        self._cut = False

    def read(self, limit: int) -> str:
        """The next line with its end, or "" at the end of the table.

        At most `limit` + 1 characters: a longer line is cut there, and `discard` reads its rest.
        """
        line = self._stream.readline(limit + 1)
        if line:
            self.number += 1
            self._cut = line[-1] not in self._ends
        return line

    def discard(self) -> Iterator[str]:
        """The rest of the last line, if it was cut, in parts; goes on to the line's end."""
        while self._cut and (part := self._stream.readline(_CHUNK)):
            self._cut = part[-1] not in self._ends
            yield part


def is_escaped(text: str) -> bool:
    """Whether `text` holds bytes that are not UTF-8."""
    return not text.isascii() and _ESCAPED_BYTE.search(text) is not None


def as_bytes(text: str) -> bytes:
    """The bytes that a line or field had in its table."""
    return text.encode("utf-8", "surrogateescape")


@contextmanager
def opened(path: Path, newline: str) -> Iterator[Lines]:
    r"""The lines of a regular file, decompressed if its name ends in .gz.

    `newline` is "\n", or "" to end lines at "\r" too. Raises `Refused` if it is no regular file,
    and EOFError, zlib.error or OSError if a gzip stream is damaged at its beginning.
    """
    with files.open_regular(path, follow=True) as raw:
        is_gzip = path.suffix.lower() == ".gz"
        stream = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if is_gzip else raw
        shown = decoding.sniff(stream.peek(decoding.SAMPLE)[: decoding.SAMPLE])
        errors = "surrogateescape" if shown in (None, "utf-8-sig") else "strict"
        with io.TextIOWrapper(stream, shown or "utf-8", errors, newline) as text:
            yield Lines(text, (shown or "utf-8").removesuffix("-sig"), newline or "\r\n")
