"""The rows of a table in any form, which its suffix selects, compressed or not."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from hashret.errors import InputError
from hashret.workers.refusals import Refused
from indexer.corpus.lines import Lines, opened
from indexer.corpus.reading import Reading
from indexer.corpus.tables import binary
from indexer.corpus.tables.columns import Columns
from indexer.corpus.tables.compressed import DAMAGED, error_class, plain_suffix
from indexer.corpus.tables.csv_rows import csv_rows
from indexer.corpus.tables.json_array import array_rows, is_array
from indexer.corpus.tables.rows import BadRow, Row, json_rows
from indexer.corpus.tables.typed import Typed, typed, types_of

CSV_SUFFIXES = (".csv", ".tsv")
#: The suffixes of tables, without that of a compressed file.
SUFFIXES = (".jsonl", ".ndjson", ".json", *CSV_SUFFIXES, *binary.SUFFIXES)


def is_table(path: Path) -> bool:
    """Whether a file has the suffix of a table, compressed or not."""
    return plain_suffix(path) in SUFFIXES


def require_used(how: Reading, tables: Sequence[Path]) -> None:
    """Raise InputError for an option of tables that none of the sources' tables has a use for."""
    suffixes = {plain_suffix(path) for path in tables}
    for name, is_given, of in (
        ("--text-field", how.text_fields, SUFFIXES),
        ("--id-field", how.id_field, SUFFIXES),
        ("--series-id", how.series_id, SUFFIXES),
        ("--table", how.table, binary.DATABASES),
        ("--infer-types", how.infer_types, CSV_SUFFIXES),
    ):
        if is_given and suffixes.isdisjoint(of):
            expected = f"a table ({', '.join(of)})"
            raise InputError(
                f"{name}: expected {expected} among the sources, got none; leave it out"
            )


def read_rows(path: Path, how: Reading, columns: Columns | None = None) -> Iterator[Row | BadRow]:
    """The rows of a table; if the rest can't be read, the last one is a `BadRow` with the reason.

    A CSV must have one of the `columns` with a payload; None: those of texts.
    Raises InputError if the table can't be opened or its header is not usable.
    """
    suffix, columns = plain_suffix(path), columns or Columns.of("text", how)
    try:
        if suffix in binary.SUFFIXES:
            yield from binary.binary_rows(path, how, columns.names)
        elif suffix in CSV_SUFFIXES:
            yield from _csv(path, how, columns)
        elif suffix == ".json" and _is_array(path, how):
            yield from parsed(path, how, "\n", array_rows)
        else:
            yield from parsed(path, how, "\n", json_rows)
    except Refused as refused:
        raise InputError(f"{how.shown(path)}: {refused.reason}") from refused


def _is_array(path: Path, how: Reading) -> bool:
    try:
        with opened(path, "\n", how.encoding) as lines:
            return is_array(lines)
    except (UnicodeDecodeError, *DAMAGED):
        return False  # whichever way it is read, this error comes again


def _csv(path: Path, how: Reading, columns: Columns) -> Iterator[Row | BadRow]:
    is_tsv = plain_suffix(path) == ".tsv"
    types: dict[str, Typed] = {}
    if how.infer_types:
        untyped = replace(how, infer_types=False, guesses=Counter())
        strings = read_rows(path, untyped, columns)
        found = (row.fields for row in strings if isinstance(row, Row))
        types = types_of(found, untyped=columns.names)
    parse = partial(csv_rows, name=how.shown(path), wanted=columns, is_tsv=is_tsv)
    for row in parsed(path, how, "", parse):
        if types and isinstance(row, Row):
            yield replace(row, fields=typed(row.fields, types))
        else:
            yield row


def parsed(
    path: Path, how: Reading, newline: str, parse: Callable[[Lines], Iterator[Row | BadRow]]
) -> Iterator[Row | BadRow]:
    """The rows that are parsed from the lines of a text file."""
    line = 0
    try:
        with opened(path, newline, how.encoding) as lines:
            for row in parse(lines):
                line = row.line
                yield row
            if lines.guessed is not None:
                how.guesses[lines.guessed] += 1
    except UnicodeDecodeError as error:
        reason = f"not {error.encoding} from here on: {error.reason}; the rest is not read"
        yield BadRow(line + 1, Refused("not-utf8", reason))
    except DAMAGED as error:
        reason = f"damaged from here on: {error}; the rest is not read"
        yield BadRow(line + 1, Refused(error_class(path), reason))
