"""Turn the lines of a CSV or TSV table into rows; a broken quote costs one line, not the table.

A quote that is opened and never closed would make one field of all that follows. So lines are
kept until their row is complete, and where it turns out to be unsound all of them but the first
are read again, each as the beginning of a row. Sound quoting is believed, even over many lines,
unless these lines are so clearly rows themselves that the quotes at both ends must be strays.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from hashret.errors import InputError
from indexer.corpus import rows
from indexer.corpus.lines import Lines
from indexer.corpus.rows import BadRow, Row, said_of, too_large
from indexer.refusals import Refused

_DELIMITERS = ",;\t"
# Delimiters in the right number on each of the lines within a quoted field, all together, from
# which on these lines are taken as rows. Prose has as many commas as the table on one line in
# three or so; on eight in a row hardly ever.
_CLEARLY_ROWS = 8
# Characters that may be read again after broken quotes: so many limits of a row at first, and
# so many for each character that is behind. It keeps the time linear in the table.
_AGAIN_AT_FIRST, _AGAIN = 4, 8
_ENDLESS = "a quote is opened and not closed"
_IN_OUR_WORDS = {"unexpected end of data": _ENDLESS} | {
    f"'{delimiter}' expected after '\"'": "a quoted field goes on after its closing quote"
    for delimiter in _DELIMITERS
}


@dataclass(frozen=True, slots=True)
class _Form:
    """The format of a table by its header: the names of the columns and the delimiter."""

    columns: list[str]
    delimiter: str
    has_quotes: bool

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The rows of these lines; raises csv.Error for unsound quoting."""
        if self.has_quotes:
            return csv.reader(lines, delimiter=self.delimiter, strict=True)
        return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)

    def is_row(self, line: _Line) -> bool:
        """Whether this line alone is a sound row."""
        try:
            return len(next(self.reader([line.text]), [])) == len(self.columns)
        except csv.Error:
            return False


@dataclass(frozen=True, slots=True)
class _Line:
    """One line. If it is over the limit it has no text, and later lines are not read again."""

    number: int
    text: str
    size: int
    is_odd: bool
    """Whether it has an odd number of quotes, so that it opens or closes a quoted field."""

    @property
    def is_cut(self) -> bool:
        """Whether it is over the limit."""
        return self.size > 0 and not self.text


class _OverLimit(Exception):  # noqa: N818 - caught where rows are made
    """A row is larger than a row may be."""


class _RowLines:
    """An iterator over lines for csv.reader, which keeps the lines of the row that is being read.

    Raises _OverLimit when the row grows over the limit, and csv.Error when too much was read
    again already.
    """

    def __init__(self, lines: Lines) -> None:
        self.row: list[_Line] = []
        self.size = 0
        self.is_open = False  # whether a quoted field goes on after the lines of this row
        self._lines = lines
        self._again: deque[_Line] = deque()
        self._spare = _AGAIN_AT_FIRST * rows.MAX_CHARACTERS

    def begin(self) -> None:
        """Begin a new row with the next line."""
        self._spare = min(_AGAIN_AT_FIRST * rows.MAX_CHARACTERS, self._spare + _AGAIN * self.size)
        self.row, self.size, self.is_open = [], 0, False

    def __iter__(self) -> _RowLines:
        return self

    def __next__(self) -> str:
        line = self.take()
        if line is None:
            raise StopIteration
        if line.is_cut or self.size > rows.MAX_CHARACTERS:
            raise _OverLimit
        if self.size - self.row[0].size > self._spare:
            raise csv.Error("so many quotes are broken that the end of this one is not looked for")
        return line.text

    def take(self) -> _Line | None:
        """One more line for this row; None at the end of the table."""
        line = self._again.popleft() if self._again else self._read()
        if line is not None:
            self.row.append(line)
            self.size += line.size
            self.is_open ^= line.is_odd
        return line

    def keep_first(self) -> None:
        """End the row after its first line; the other lines are read again."""
        again = self.row[1:]
        self._again.extendleft(reversed(again))
        self._spare = max(0, self._spare - sum(line.size for line in again))
        self.size, self.is_open = self.row[0].size, self.row[0].is_odd
        del self.row[1:]

    def pass_over(self) -> int:
        """Read on to the end of a row that is too large; the number of its last line."""
        last = self.row[-1].number
        while self.is_open and self.take() is not None:
            last = self.row.pop().number
        return last

    def _read(self) -> _Line | None:
        text = self._lines.read(rows.MAX_CHARACTERS)
        if not text:
            return None
        size, n_quotes = len(text), text.count('"')
        if size > rows.MAX_CHARACTERS:
            for part in self._lines.discard():
                n_quotes += part.count('"')
            text = ""
        return _Line(self._lines.number, text, size, n_quotes % 2 == 1)


def csv_rows(
    lines: Lines, name: str, payload: str = "text", *, is_tsv: bool = False
) -> Iterator[Row | BadRow]:
    """The rows of a table with a header; blank lines are passed over.

    The delimiter is the one of comma, semicolon and tab by which the header has a column `payload`
    or `path`, and the most columns. A column without a name is called "column 3" after its
    place, from 1. Quoting is that of RFC 4180, strictly; in a TSV (`is_tsv`, the delimiter is a
    tab, and the header has no quote) there is none, and a quote is a letter.

    A row of unsound quoting costs the line that it begins on: reading goes on with the next
    line, and each further one that is no sound row is a `BadRow` of its own. A row that is sound,
    or too large, is all of its lines, unless these are clearly rows themselves.
    Raises InputError if the header has no such column, or a name twice.
    """
    # The csv module has one limit for the process: raised, since rows are limited above.
    csv.field_size_limit(max(csv.field_size_limit(), rows.MAX_CHARACTERS + 1))
    source = _RowLines(lines)
    form = _header(source, lines, name, payload, is_tsv)
    reader = form.reader(source)
    while True:
        source.begin()
        try:
            values = next(reader)
            if values:
                _require_own_lines(source, form, len(values))
                yield Row(source.row[0].number, *_fields(form, values, lines))
        except StopIteration:
            return
        except csv.Error as error:
            yield _broken(source, _IN_OUR_WORDS.get(str(error), str(error)))
        except _OverLimit:
            yield _over_limit(source, form)
        except Refused as refused:
            yield BadRow(source.row[0].number, refused)


def _require_own_lines(source: _RowLines, form: _Form, n_values: int) -> None:
    """Raise csv.Error if the lines that a row goes over are other rows, which it swallowed."""
    swallowed = source.row[1:]
    # a row with another number of fields is bad already: then one line is enough
    needed = _CLEARLY_ROWS if n_values == len(form.columns) else 1
    if _n_delimiters(len(swallowed), form) >= needed and all(map(form.is_row, swallowed)):
        raise csv.Error(f"a quote closed only in line {swallowed[-1].number}, beyond other rows")


def _broken(source: _RowLines, what: str) -> BadRow:
    first, n_again = source.row[0].number, len(source.row) - 1
    source.keep_first()
    went_on = f" (lines {first + 1} to {first + n_again} are read as rows)" if n_again else ""
    return BadRow(first, Refused("bad-csv", f"line {first} is lost to its quotes: {what}{went_on}"))


def _over_limit(source: _RowLines, form: _Form) -> BadRow:
    """What becomes of a row that is too large: all of it is lost, or the line of a broken quote."""
    first = source.row[0]
    limit = first.size + rows.MAX_CHARACTERS  # a first line over the limit says nothing of others
    is_endless = False
    while source.is_open and source.size <= limit and not is_endless:
        is_endless = source.take() is None
    n_rows = sum(map(form.is_row, source.row[1:]))
    are_rows = 2 * n_rows >= len(source.row) and _n_delimiters(n_rows, form) >= _CLEARLY_ROWS
    if first.is_cut and (is_endless or are_rows):
        source.keep_first()
        return BadRow(first.number, too_large("row"))
    if is_endless or are_rows:
        return _broken(source, _ENDLESS)
    last = source.pass_over()
    reason = too_large("row").reason
    reason = f"{reason} (lines {first.number} to {last})" if last > first.number else reason
    return BadRow(first.number, Refused("too-large", reason))


def _n_delimiters(n_rows: int, form: _Form) -> int:
    return n_rows * (len(form.columns) - 1)


def _fields(form: _Form, values: list[str], lines: Lines) -> tuple[dict[str, Any], dict[str, str]]:
    if len(values) != len(form.columns):
        raise Refused("bad-csv", f"expected {len(form.columns)} fields, got {len(values)}")
    values, encoding = lines.read_again(values)
    return dict(zip(form.columns, values, strict=True)), said_of(encoding)


def _header(source: _RowLines, lines: Lines, name: str, payload: str, is_tsv: bool) -> _Form:
    try:
        line = next(source, "")
    except _OverLimit:
        reason = too_large("row").reason
        raise InputError(f"{name}: expected a header row, got: {reason}") from None
    (line,), _ = lines.read_again([line])
    found = {delimiter: _cells(line, delimiter) for delimiter in _DELIMITERS}
    meant = {d: columns for d, columns in found.items() if {payload, "path"} & set(columns)}
    if not meant:
        columns = max(found.values(), key=len)
        got = ", ".join(f"{column!r:.60}" for column in columns[:12]) or repr(line[:200])
        raise InputError(
            f"{name}: expected a header row with a column {payload!r} or 'path', got {got}; say by "
            "--text-field which column holds the text, or give the table a header"
        )
    delimiter = max(meant, key=lambda delimiter: len(meant[delimiter]))
    columns = meant[delimiter]
    if len(set(columns)) < len(columns):
        raise InputError(f"{name}: expected columns with different names, got {line[:200]!r}")
    return _Form(columns, delimiter, not is_tsv or delimiter != "\t" or '"' in line)


def _cells(line: str, delimiter: str) -> list[str]:
    """The names in a header if this is its delimiter; none where its quoting is unsound."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [cell.strip() or f"column {place}" for place, cell in enumerate(cells, 1)]
