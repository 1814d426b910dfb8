"""Parse a JSON array of objects into rows, one object after the other, in bounded memory.

The end of an object is found by its brackets and strings alone, and then it is parsed. So what is
wrong within one object costs no other.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from hashret.workers.refusals import Refused
from indexer.corpus.lines import Lines
from indexer.corpus.tables import rows
from indexer.corpus.tables.rows import BadRow, Row, json_row, too_large

_CHUNK = 1 << 16  # characters that are read at a time

# Strings and whatever else stands up to the next bracket, or up to the next comma or bracket. The
# quantifiers are possessive, so that the time is linear. A string that has no end is left out.
_STRING = r'"[^"\\]*+(?:\\.[^"\\]*+)*+"'
_TO_BRACKET = re.compile(rf'[^"\[\]{{}}]*+(?:{_STRING}[^"\[\]{{}}]*+)*+', re.DOTALL)
_TO_COMMA = re.compile(rf'[^"\[\]{{}},]*+(?:{_STRING}[^"\[\]{{}},]*+)*+', re.DOTALL)


def is_array(lines: Lines) -> bool:
    """Whether the first character that is no white space opens an array; reads up to there.

    Raises `Refused` if an object is opened that goes on after its line: then it is no JSON Lines.
    """
    while text := lines.read(_CHUNK):
        if begin := text.strip():
            if begin == "{":
                raise Refused(
                    "bad-json",
                    "expected an array of objects or an object a line, got one object over several "
                    "lines; write its rows as lines, as `jq -c` does",
                )
            return begin.startswith("[")
    return False


def array_rows(lines: Lines) -> Iterator[Row | BadRow]:
    """The rows of a JSON array of objects, numbered from 1.

    What is no object is a `BadRow`. So is, as the last one, the place from which on the array can't
    be read: an object over `rows.MAX_CHARACTERS`, or the end of a file that breaks off.
    """
    source = _Source(lines)
    source.to_array()
    number, mark = 0, ","
    while mark == ",":
        number += 1
        try:
            text, mark = source.element()
        except _OverLimit:
            yield BadRow(number, _ended(number, too_large("row").reason, "too-large"))
            return
        if not mark:
            last = json_row(text, lines, number, "row")
            if isinstance(last, Row):
                yield last
                number += 1
            yield BadRow(number, _ended(number, "expected a comma or ], got the end of the file"))
        elif text.strip() or mark == "," or number > 1:
            yield json_row(text, lines, number, "row")
    if mark and source.has_more():
        yield BadRow(number + 1, _ended(number + 1, "expected one array, got more after its end"))


class _OverLimit(Exception):  # noqa: N818 - caught where rows are made
    """An element has more than `rows.MAX_CHARACTERS`."""


class _Source:
    """The characters of a file from the first one that is not read yet."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self._text = ""
        self._start = 0

    def to_array(self) -> None:
        """Read up to the bracket that opens the array."""
        while "[" not in self._text:
            self._text = self._lines.read(_CHUNK)
        self._start = self._text.index("[") + 1

    def element(self) -> tuple[str, str]:
        """The text up to a comma or the end of the array, and which of them; "" for neither."""
        depth, at = 0, self._start
        while True:
            found = (_TO_BRACKET if depth else _TO_COMMA).match(self._text, at)
            at = found.end() if found else at
            mark = self._text[at : at + 1]
            if mark in ("", '"'):  # an open string, or the end of what was read
                if len(self._text) - self._start > rows.MAX_CHARACTERS:
                    raise _OverLimit
                at -= self._start
                if not self._read_more():
                    return self._text, ""
            elif depth == 0 and mark in ",]":
                text, self._start = self._text[self._start : at], at + 1
                return text, mark
            else:
                depth = max(0, depth + (1 if mark in "[{" else -1))
                at += 1

    def has_more(self) -> bool:
        """Whether anything but white space follows."""
        while not (is_text := bool(self._text[self._start :].strip())):
            self._text, self._start = self._lines.read(_CHUNK), 0
            if not self._text:
                break
        return is_text

    def _read_more(self) -> bool:
        """Read as many characters as there are already, at least; False at the end of the file."""
        parts = [self._text[self._start :]]
        self._start = 0
        wanted = max(_CHUNK, len(parts[0]))
        while wanted > 0 and (part := self._lines.read(_CHUNK)):
            parts.append(part)
            wanted -= len(part)
        self._text = "".join(parts)
        return len(parts) > 1


def _ended(number: int, reason: str, error_class: str = "bad-json") -> Refused:
    return Refused(error_class, f"row {number}: {reason}; the rest is not read")
