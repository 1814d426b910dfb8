"""Read texts of sequences: one a line, or one a record of a FASTA file.

FASTA: a line that begins with ">" names the sequence that stands in the lines after it, as biology
writes DNA and proteins (Pearson and Lipman, PNAS 1988).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from hashret.errors import InputError
from hashret.items import Item
from hashret.kinds import KINDS
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import ids
from indexer.corpus.decoding import encoding_metadata
from indexer.corpus.lines import Lines, is_escaped
from indexer.corpus.reading import Reading
from indexer.corpus.tables.readers import parsed
from indexer.corpus.tables.rows import MAX_CHARACTERS, BadRow, Row, too_large

_TEXT = KINDS["sequence"].key  # the field of a row that holds its sequence
_MARK = ">"  # before the name of a record of FASTA
_REMARK = ";"  # before a remark in it, in files of long ago


def read_lines(path: Path, how: Reading, name: str) -> Iterator[Item | Skipped]:
    """Every line of a text as an item, or every record of a FASTA file; blank lines are none.

    The id of a line is ``<name>:<line>``, that of a record the first word of its name; the rest of
    the name becomes the metadata `description`.
    """
    try:
        for row in parsed(path, how, "\n", _rows):
            yield _item(row, name)
    except Refused as refused:
        raise InputError(f"{how.shown(path)}: {refused.reason}") from refused


def _item(row: Row | BadRow, name: str) -> Item | Skipped:
    item_id = f"{name}:{row.line}"
    try:
        if isinstance(row, BadRow):
            raise row.refused
        fields = dict(row.fields)
        text = fields.pop(_TEXT)
        if "id" in fields:
            item_id = ids.checked(fields.pop("id"))
        return Item(item_id, text, row.metadata | fields)
    except Refused as refused:
        return refused.skipped(item_id)


def _rows(lines: Lines) -> Iterator[Row | BadRow]:
    record: _Record | None = None
    is_first = True
    while line := lines.read(MAX_CHARACTERS):
        if len(line) > MAX_CHARACTERS:
            for _ in lines.discard():
                pass
            yield BadRow(lines.number, too_large("line"))
            continue
        if line.isspace():
            continue
        if is_escaped(line) or lines.is_given:
            (line,), encoding = lines.read_again([line])
        else:
            encoding = lines.encoding
        line = line.strip("\r\n")
        if is_first and line.startswith(_MARK):
            record = _Record(lines.number, line)
        elif record is None:
            yield Row(lines.number, {_TEXT: line}, encoding_metadata(encoding))
        elif line.startswith(_MARK):
            yield record.row()
            record = _Record(lines.number, line)
        elif not line.startswith(_REMARK):
            record.add(line)
        is_first = False
    if record is not None:
        yield record.row()


class _Record:
    """A record of FASTA as far as it is read."""

    def __init__(self, number: int, title: str):
        self._number = number
        name, _, self._description = title[len(_MARK) :].strip().partition(" ")
        self._name = name
        self._parts: list[str] = []
        self._size = 0

    def add(self, line: str) -> None:
        """Add a line to the sequence; one beyond the limit is not kept."""
        self._size += len(line)
        if self._size <= MAX_CHARACTERS:
            self._parts.append("".join(line.split()))

    def row(self) -> Row | BadRow:
        """The row of the record."""
        if self._size > MAX_CHARACTERS:
            return BadRow(self._number, too_large("record"))
        fields = {_TEXT: "".join(self._parts)}
        if self._name:
            fields["id"] = self._name
        if self._description:
            fields["description"] = self._description.strip()
        return Row(self._number, fields)
