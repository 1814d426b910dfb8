"""Parse the lines of a CSV or TSV table into rows; an unbalanced quote costs one line only.

A quote that is opened and never closed would make one field of the rest of the table. So lines are
held back until their row is complete. If its quoting turns out to be broken, only its first line is
refused, and the others are parsed again, each as the beginning of a row. Correct quoting over many
lines is accepted, unless these lines are so clearly rows themselves that the quotes at both ends
must be stray ones.
"""

from __future__ import annotations

import csv
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import Any

from hashret.errors import InputError
from hashret.workers.refusals import Refused
from indexer.corpus.decoding import encoding_metadata
from indexer.corpus.lines import Lines
from indexer.corpus.tables import rows
from indexer.corpus.tables.columns import Columns
from indexer.corpus.tables.rows import BadRow, Row, too_large

_DELIMITERS = ",;\t"
# Number of delimiters in the lines of a quoted field from which on these lines are taken as rows,
# if each line has as many as the header. About one line of prose in three has as many commas as the
# table; lines with eight in all hardly ever do.
_CLEARLY_ROWS = 8
# Characters that may be parsed again after broken quotes, so that the time stays linear in the
# size of the table: at first so many times the limit of a row, and then so many for each
# character that has been parsed.
_SPARE_AT_FIRST, _SPARE_PER_CHARACTER = 4, 8
_FIRST_ROWS = 20  # rows that are searched for the text that a header does not name
_ENDLESS = "a quote is opened and not closed"
# Messages of the csv module -> ours.
_MESSAGES = {"unexpected end of data": _ENDLESS} | {
    f"'{delimiter}' expected after '\"'": "a quoted field goes on after its closing quote"
    for delimiter in _DELIMITERS
}


@dataclass(frozen=True, slots=True)
class _Form:
    """The format of a table, found from its header: columns, delimiter and use of quotes."""

    columns: list[str]
    delimiter: str
    has_quotes: bool

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """The rows of these lines; raises csv.Error for broken quoting."""
        if self.has_quotes:
            return csv.reader(lines, delimiter=self.delimiter, strict=True)
        return csv.reader(lines, delimiter=self.delimiter, quoting=csv.QUOTE_NONE)

    def is_row(self, line: _Line) -> bool:
        """Whether this line alone is a row with the right number of fields."""
        try:
            return len(next(self.reader([line.text]), [])) == len(self.columns)
        except csv.Error:
            return False


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a table; the text of a line over the limit is dropped."""

    number: int
    text: str
    size: int
    """In characters, also if the text was dropped."""
    is_odd: bool
    """Whether it has an odd number of quotes, so that it opens or closes a quoted field."""

    @property
    def is_cut(self) -> bool:
        """Whether the line was over the limit."""
        return self.size > 0 and not self.text


class _OverLimit(Exception):  # noqa: N818 - caught where rows are made
    """A row has more than `rows.MAX_CHARACTERS`."""


class _RowLines:
    """An iterator over lines for csv.reader, which remembers the lines of the current row.

    Raises _OverLimit if the row grows over the limit, and csv.Error if too many characters have
    been parsed again already.
    """

    def __init__(self, lines: Lines) -> None:
        self.row: list[_Line] = []
        self.size = 0
        self.is_open = False  # whether a quoted field goes on after the lines of this row
        self._lines = lines
        self._again: deque[_Line] = deque()  # lines to parse again, before new ones are read
        self._spare = _SPARE_AT_FIRST * rows.MAX_CHARACTERS  # characters that may be parsed again

    def begin(self) -> None:
        """Begin a new row with the next line."""
        earned = _SPARE_PER_CHARACTER * self.size
        self._spare = min(_SPARE_AT_FIRST * rows.MAX_CHARACTERS, self._spare + earned)
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
            raise csv.Error("too many quotes are broken to search for the end of this one")
        return line.text

    def take(self) -> _Line | None:
        """Add the next line to the row and return it; None at the end of the table."""
        line = self._again.popleft() if self._again else self._read()
        if line is not None:
            self.row.append(line)
            self.size += line.size
            self.is_open ^= line.is_odd
        return line

    def keep_first(self) -> None:
        """End the row after its first line; the other lines will be parsed again."""
        again = self.row[1:]
        self._again.extendleft(reversed(again))
        self._spare = max(0, self._spare - sum(line.size for line in again))
        self.size, self.is_open = self.row[0].size, self.row[0].is_odd
        del self.row[1:]

    def pass_over(self) -> int:
        """Skip to the end of a row that is too large; returns the number of its last line."""
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
    lines: Lines, name: str, wanted: Columns, *, is_tsv: bool = False
) -> Iterator[Row | BadRow]:
    """The rows of a table with a header, without blank lines.

    The delimiter is the comma, semicolon or tab that gives the header a column of a payload that is
    `wanted`, and the most columns. A column without a name is called by its place, from 1: "column
    3".
    Quoting is strictly that of RFC 4180. A TSV (`is_tsv`, a tab as delimiter, and no quote in the
    header) has no quoting; in it a quote is an ordinary character.

    If the quoting of a row is broken, the line on which it begins becomes a `BadRow`, and parsing
    goes on with the next line. A row with correct quoting, or one over the limit, takes all of its
    lines, unless these are clearly rows themselves. Raises InputError if the header has no column
    with a payload, or two columns of one name.
    """
    # The csv module has one limit for the whole process. It is raised here, because `_RowLines`
    # limits the rows.
    csv.field_size_limit(max(csv.field_size_limit(), rows.MAX_CHARACTERS + 1))
    source = _RowLines(lines)
    form = _header(source, lines, name, wanted, is_tsv)
    parsed = _rows(source, form, lines)
    if not wanted.has_payload(form.columns):
        first = [row.fields for row in islice(parsed, _FIRST_ROWS) if isinstance(row, Row)]
        names = [dict.fromkeys(form.columns)]
        raise InputError(f"{name}: {wanted.missing(first or names, in_header=True)}")
    yield from parsed


def _rows(source: _RowLines, form: _Form, lines: Lines) -> Iterator[Row | BadRow]:
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
            yield _broken(source, _MESSAGES.get(str(error), str(error)))
        except _OverLimit:
            yield _over_limit(source, form)
        except Refused as refused:
            yield BadRow(source.row[0].number, refused)


def _require_own_lines(source: _RowLines, form: _Form, n_values: int) -> None:
    """Raise csv.Error if the lines of a row after the first are clearly rows themselves."""
    swallowed = source.row[1:]
    # a row with a wrong number of fields is bad in any case: then fewer delimiters are enough
    needed = _CLEARLY_ROWS if n_values == len(form.columns) else 1
    if _n_delimiters(len(swallowed), form) >= needed and all(map(form.is_row, swallowed)):
        raise csv.Error(f"a quote is closed only in line {swallowed[-1].number}, after other rows")


def _broken(source: _RowLines, what: str) -> BadRow:
    """Refuse the first line of a row with broken quoting; its other lines are parsed again."""
    first, n_again = source.row[0].number, len(source.row) - 1
    source.keep_first()
    rest = f" (lines {first + 1} to {first + n_again} are read as rows)" if n_again else ""
    return BadRow(first, Refused("bad-csv", f"line {first} has broken quotes: {what}{rest}"))


def _over_limit(source: _RowLines, form: _Form) -> BadRow:
    """Refuse a row that is over the limit, or only its first line if that has a broken quote."""
    first = source.row[0]
    limit = first.size + rows.MAX_CHARACTERS  # however long the first line is, others are searched
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
    return dict(zip(form.columns, values, strict=True)), encoding_metadata(encoding)


def _header(source: _RowLines, lines: Lines, name: str, wanted: Columns, is_tsv: bool) -> _Form:
    try:
        line = next(source, "")
    except _OverLimit:
        reason = too_large("row").reason
        raise InputError(
            f"{name}: expected a header row, got: {reason}; check whether it is a table"
        ) from None
    (line,), _ = lines.read_again([line])
    found = {delimiter: _cells(line, delimiter) for delimiter in _DELIMITERS}
    usable = {d: columns for d, columns in found.items() if wanted.has_payload(columns)} or found
    delimiter = max(usable, key=lambda delimiter: len(usable[delimiter]))
    columns = usable[delimiter]
    if not columns:
        raise InputError(
            f"{name}: expected a header row, got {line[:200]!r}; give the table a header"
        )
    if len(set(columns)) < len(columns):
        raise InputError(
            f"{name}: expected columns with different names, got {line[:200]!r}; rename some"
        )
    return _Form(columns, delimiter, not is_tsv or delimiter != "\t" or '"' in line)


def _cells(line: str, delimiter: str) -> list[str]:
    """The column names of a header with this delimiter; none if its quoting is broken."""
    try:
        cells = next(csv.reader([line], delimiter=delimiter, strict=True), [])
    except csv.Error:
        return []
    return [cell.strip() or f"column {place}" for place, cell in enumerate(cells, 1)]
