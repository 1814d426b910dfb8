"""The lines of a JSONL or CSV table to rows: names and values, checked, in bounded memory."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hashret.errors import InputError
from hashret.items import MAX_DEPTH, is_unicode
from indexer.corpus import decoding
from indexer.corpus.lines import Lines, as_bytes, is_escaped
from indexer.refusals import Refused

#: The longest JSONL line and CSV row, in characters.
MAX_CHARACTERS = 16 << 20

_DELIMITERS = ",;\t"


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line that it begins on (from 1), its fields, and what else to say of it."""

    line: int
    fields: dict[str, Any]
    said: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: the line that it begins on (from 1), and why."""

    line: int
    refused: Refused


def json_rows(lines: Lines) -> Iterator[Row | BadRow]:
    """The objects of a JSON Lines table; blank lines are passed over."""
    while line := lines.read(MAX_CHARACTERS):
        if len(line) > MAX_CHARACTERS:
            for _ in lines.discard():
                pass
            yield BadRow(lines.number, _too_large("line"))
        elif not line.isspace():
            try:
                yield Row(lines.number, _json_object(line), _said(lines.encoding))
            except Refused as refused:
                yield BadRow(lines.number, refused)


def _json_object(line: str) -> dict[str, Any]:
    if is_escaped(line):
        raise Refused("not-utf8", "expected UTF-8, as JSON is; convert the file")
    try:
        value = _JSON.decode(line)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        raise Refused("bad-json", f"expected a JSON object: {error}") from error
    if not isinstance(value, dict):
        raise Refused("bad-json", f"expected a JSON object, got {_json_noun(value)}")
    if line.count("[") + line.count("{") > MAX_DEPTH:
        _require_shallow(value)
    # Only an escape can bring a lone surrogate into a line that was sound UTF-8.
    if "\\ud" in line or "\\uD" in line:
        _require_characters(value)
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number


_JSON = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite)


def _require_shallow(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        level = [one for one in inner if isinstance(one, dict | list)]


def _too_deep() -> Refused:
    return Refused("bad-json", f"expected values nested at most {MAX_DEPTH} deep")


def _require_characters(value: Any) -> None:
    if not is_unicode(json.dumps(value, ensure_ascii=False)):
        raise Refused("bad-json", "half of a surrogate pair is escaped, which is no text")


def _json_noun(value: Any) -> str:
    if value is None:
        return "null"
    nouns = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return nouns.get(type(value), "an array")


class _RowLines:
    """An iterator over lines for csv.reader that stops a row which grows over the limit."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines
        self.begin()

    def begin(self) -> None:
        """A new row begins with the next line."""
        self._size = self._quotes = 0

    def __iter__(self) -> _RowLines:
        return self

    def __next__(self) -> str:
        line = self._lines.read(MAX_CHARACTERS)
        if not line:
            raise StopIteration
        self._size += len(line)
        self._quotes += line.count('"')
        if self._size > MAX_CHARACTERS:
            self._discard_row(line)
            raise _too_large("row")
        return line

    def _discard_row(self, line: str) -> None:
        """Read to the end of the row: the first line end with as many quotes opened as closed."""
        while line:
            self._quotes += sum(part.count('"') for part in self._lines.discard())
            if self._quotes % 2 == 0:
                return
            line = self._lines.read(MAX_CHARACTERS)
            self._quotes += line.count('"')


def csv_rows(lines: Lines, name: str) -> Iterator[Row | BadRow]:
    """The rows of a CSV table with a header, strictly quoted; blank lines are passed over.

    The delimiter is the one of comma, semicolon and tab by which the header has a column `text`
    or `path`, and the most columns. A column without a name is called "column 3" after its
    place, from 1. After a row of unsound quoting, reading goes on with the next line; a quote
    that is never closed takes the rest of the table with it, and the reason says from which
    line to which.
    Raises InputError if the header has no such column, or a name twice.
    """
    # The csv module has one limit for the process: raised, since rows are limited above.
    csv.field_size_limit(max(csv.field_size_limit(), MAX_CHARACTERS + 1))
    source = _RowLines(lines)
    columns, delimiter = _header(source, name)
    reader = csv.reader(source, delimiter=delimiter, strict=True)
    while True:
        first = lines.number + 1
        source.begin()
        try:
            values = next(reader)
            if values:
                yield Row(first, *_fields(columns, values, lines.encoding))
        except StopIteration:
            return
        except csv.Error as error:
            yield BadRow(first, Refused("bad-csv", f"{_span(first, lines.number)}: {error}"))
        except Refused as refused:
            yield BadRow(first, refused)


def _fields(
    columns: list[str], values: list[str], encoding: str
) -> tuple[dict[str, Any], dict[str, str]]:
    if len(values) != len(columns):
        raise Refused("bad-csv", f"expected {len(columns)} fields, got {len(values)}")
    escaped = "".join(filter(is_escaped, values))
    if escaped:
        encoding = decoding.decode_8_bit(as_bytes(escaped))[1]
        values = [as_bytes(v).decode(encoding) if is_escaped(v) else v for v in values]
    return dict(zip(columns, values, strict=True)), _said(encoding)


def _header(source: _RowLines, name: str) -> tuple[list[str], str]:
    try:
        line = next(source, "")
    except Refused as refused:
        raise InputError(f"{name}: expected a header row, got {refused.reason}") from refused
    if is_escaped(line):
        line = decoding.decode_8_bit(as_bytes(line))[0]
    found = {delimiter: _cells(line, delimiter) for delimiter in _DELIMITERS}
    delimiter = max(found, key=lambda delimiter: len(found[delimiter]))
    columns = found[delimiter]
    if not columns:
        raise InputError(
            f"{name}: expected a header row with a column 'text' or 'path', got {line[:200]!r}; "
            "give the table such a first row"
        )
    if len(set(columns)) < len(columns):
        raise InputError(f"{name}: expected columns with different names, got {line[:200]!r}")
    return columns, delimiter


def _cells(line: str, delimiter: str) -> list[str]:
    """The names in a header, if these are its delimiter and have a payload's name, else none."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    columns = [cell.strip() or f"column {place}" for place, cell in enumerate(cells, 1)]
    return columns if "text" in columns or "path" in columns else []


def _span(first: int, last: int) -> str:
    return f"lines {first} to {last}" if last > first else f"line {first}"


def _said(encoding: str) -> dict[str, str]:
    return {} if encoding == "utf-8" else {"encoding": encoding}


def _too_large(noun: str) -> Refused:
    return Refused("too-large", f"expected a {noun} of at most {MAX_CHARACTERS:,} characters")
