"""The lines of a table as text, in bounded memory, whatever its encoding and compression."""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from indexer.corpus import decoding, files, guessing

_CHUNK = 1 << 20
# Python decodes a byte 0xNN that is not UTF-8 as U+DCNN (PEP 383), so that a line can be read
# before it is known whether it is sound.
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


class Lines:
    """The lines of one table; `number` is that of the last line read, from 1.

    In a table that is not shown to be UTF-16 or UTF-32, bytes that are not UTF-8 come as lone
    surrogates; see `is_escaped`. `read` and `discard` raise what the stream raises.

    `other` is the encoding of such bytes, by Python's name: as the user said (`is_said`), or as it
    is guessed from the beginning of the table or from the first of them.
    """

    def __init__(
        self, stream: io.TextIOWrapper, encoding: str, ends: str, said: str | None = None
    ) -> None:
        self.encoding = encoding
        self.other = said
        self.is_said = said is not None
        self.guessed: str | None = None
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

    def read_again(self, texts: Sequence[str]) -> tuple[list[str], str]:
        """The same texts with the bytes that are not UTF-8 read in the table's other encoding.

        And the name of that encoding, that of the table if there are no such bytes. Raises
        `Refused` where it is not the one that was said.
        """
        data = b"".join(as_bytes(text) for text in texts if is_escaped(text))
        if not data:
            return list(texts), self.encoding
        if self.other is not None and not _can_be(data, self.other) and not self.is_said:
            self.other = None
        decoded = decoding.decode_bytes(data, self.other)
        if decoded.guess is not None:
            self.other = decoded.guess.encoding
        if not self.is_said:
            self.guessed = self.guessed or decoded.encoding
        name = self.other or "latin-1"
        again = [as_bytes(text).decode(name) if is_escaped(text) else text for text in texts]
        return again, decoded.encoding


def _can_be(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeDecodeError:
        return False
    return True


def is_escaped(text: str) -> bool:
    """Whether `text` holds bytes that are not UTF-8."""
    return not text.isascii() and _ESCAPED_BYTE.search(text) is not None


def as_bytes(text: str) -> bytes:
    """The bytes that a line or field had in its table."""
    return text.encode("utf-8", "surrogateescape")


@contextmanager
def opened(path: Path, newline: str, encoding: str | None = None) -> Iterator[Lines]:
    r"""The lines of a regular file, decompressed if its name ends in .gz.

    `encoding` is that of a table which is neither UTF-8 nor shown to be UTF-16 or UTF-32.
    `newline` is "\n", or "" to end lines at "\r" too. Raises `Refused` if it is no regular file,
    and EOFError, zlib.error or OSError if a gzip stream is damaged at its beginning.
    """
    with files.open_regular(path, follow=True) as raw:
        is_gzip = path.suffix.lower() == ".gz"
        stream = io.BufferedReader(gzip.GzipFile(fileobj=raw)) if is_gzip else raw
        head = stream.peek(decoding.SAMPLE)[: decoding.SAMPLE]
        shown = decoding.sniff(head)
        if shown is None and _is_wide(encoding):
            shown = encoding
        errors = "surrogateescape" if shown in (None, "utf-8-sig") else "strict"
        with io.TextIOWrapper(stream, shown or "utf-8", errors, newline) as text:
            name = (shown or "utf-8").removesuffix("-sig")
            lines = Lines(text, name, newline or "\r\n", encoding)
            if shown is None and encoding is None:
                lines.other = _other(head)
            yield lines


def _is_wide(encoding: str | None) -> bool:
    """Whether the ends of lines are not the bytes that they are in ASCII."""
    return encoding is not None and "\n".encode(encoding) != b"\n"


def _other(head: bytes) -> str | None:
    """The encoding of a table by its beginning; None if that is UTF-8 or has nothing else."""
    whole = head[: head.rfind(b"\n") + 1] or head
    escaped = "".join(filter(is_escaped, whole.decode("utf-8", "surrogateescape").splitlines(True)))
    found = guessing.guess(as_bytes(escaped)) if escaped else None
    return found.encoding if found else None
