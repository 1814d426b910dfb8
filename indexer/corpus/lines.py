"""Read the lines of a table, in any encoding and possibly compressed, in bounded memory."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from indexer.corpus import decoding, files, guessing
from indexer.corpus.tables.compressed import decompressed

_CHUNK = 1 << 20  # characters of an overlong line that are read at a time
# Python decodes a byte 0xNN that is not UTF-8 as U+DCNN (PEP 383). So a line can be read before its
# encoding is known.
_ESCAPED_BYTE = re.compile("[\udc80-\udcff]")


class Lines:
    """The lines of one table.

    If the table is not in UTF-16 or UTF-32, bytes that are not UTF-8 are read as lone surrogates
    (`is_escaped`), and decoded by `read_again`. `read` and `discard` raise the errors of the
    stream.
    """

    def __init__(
        self, stream: io.TextIOWrapper, encoding: str, ends: str, given: str | None = None
    ) -> None:
        self.encoding = encoding
        #: Python's name of the encoding of bytes that are not UTF-8: the one that the user gave, or
        #: one guessed from the beginning of the table or from the first of these bytes.
        self.other = given
        self.is_given = given is not None
        #: The name of the encoding that was guessed first; None if none was.
        self.guessed: str | None = None
        #: The number of the last line read, from 1.
        self.number = 0
        self._stream = stream
        self._ends = ends
        self._cut = False

    def read(self, limit: int) -> str:
        """The next line with its line end, or "" at the end of the table.

        A line of more than `limit` characters is cut after `limit` + 1; `discard` reads its rest.
        """
        line = self._stream.readline(limit + 1)
        if line:
            self.number += 1
            self._cut = line[-1] not in self._ends
        return line

    def discard(self) -> Iterator[str]:
        """The rest of the last line, in parts, if the line was cut."""
        while self._cut and (part := self._stream.readline(_CHUNK)):
            self._cut = part[-1] not in self._ends
            yield part

    def read_again(self, texts: Sequence[str]) -> tuple[list[str], str]:
        """The texts with bytes that are not UTF-8 decoded, and the name of their encoding.

        The name is that of the table's encoding if there are no such bytes. Raises `Refused` if
        they are not in the encoding that the user gave.
        """
        data = b"".join(as_bytes(text) for text in texts if is_escaped(text))
        if not data:
            return list(texts), self.encoding
        if self.other is not None and not _can_be(data, self.other) and not self.is_given:
            self.other = None
        decoded = decoding.decode_bytes(data, self.other)
        if decoded.guess is not None:
            self.other = decoded.guess.encoding
        if not self.is_given:
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
    """Whether `text` contains bytes that are not UTF-8, as lone surrogates."""
    return not text.isascii() and _ESCAPED_BYTE.search(text) is not None


def as_bytes(text: str) -> bytes:
    """The bytes that a line or field had in its table."""
    return text.encode("utf-8", "surrogateescape")


@contextmanager
def opened(path: Path, newline: str, encoding: str | None = None) -> Iterator[Lines]:
    r"""Yield the lines of a regular file, decompressed if its suffix says that it is compressed.

    `encoding` is used for bytes that are not UTF-8, if the first bytes show neither UTF-16 nor
    UTF-32. Lines end at "\n", or with the `newline` "" at "\r" too. Raises `Refused` if it is not a
    regular file, and one of `compressed.DAMAGED` if its stream is damaged at its beginning.
    """
    with files.open_regular(path, follow=True) as raw:
        stream = decompressed(raw, path)
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
    """Whether line ends are other bytes than in ASCII, as in UTF-16."""
    return encoding is not None and "\n".encode(encoding) != b"\n"


def _other(head: bytes) -> str | None:
    """The guessed encoding of bytes that are not UTF-8 at the beginning of a table, if any."""
    whole = head[: head.rfind(b"\n") + 1] or head
    escaped = "".join(filter(is_escaped, whole.decode("utf-8", "surrogateescape").splitlines(True)))
    found = guessing.guess(as_bytes(escaped)) if escaped else None
    return found.encoding if found else None
