"""Read sequences from tables: one in each row, or one in all rows with the same series id.

In a table with a series id each row is a step, and rows are taken in their order, wherever they
stand: the rows of several series may be mixed, as in a log. So all of them are in memory, 8 bytes a
number or a token, until the table ends.
"""

from __future__ import annotations

import json
import math
from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from hashret.errors import InputError
from hashret.features.sequences.steps import MAX_STEPS
from hashret.items import Item
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import documents, ids
from indexer.corpus.arrays.series import read_sequence
from indexer.corpus.reading import Reading
from indexer.corpus.tables.columns import Columns
from indexer.corpus.tables.readers import read_rows
from indexer.corpus.tables.rows import BadRow, Row
from indexer.corpus.tables.table import file_beside, require_columns

_FIRST_ROWS = 1_000  # rows by which it is decided whether values are numbers
#: The most values of a table with series ids: 1 GiB.
MAX_VALUES = 1 << 27


def read_sequences(path: Path, how: Reading) -> Iterator[documents.Found]:
    """The sequences of a table: of its series where `how` names their id, else of its rows.

    Of a row the sequence is in the field `sequence`, or the one that the user names with
    --text-field: a list of steps, or a string, which in CSV may be a JSON list; or in the array
    file that `path` names. Ids and metadata are those of any table.

    The values of a step are the columns that `how` names, or the only one beside the id. Columns
    that are the same in all rows of a series become its metadata, and the number of its rows
    `steps`. Raises InputError for a table without such columns.
    """
    columns = Columns.of("sequence", how)
    if how.series_id is None and len(columns.texts) > 1:
        raise InputError(
            f"--text-field: expected one column for sequences, got {', '.join(columns.texts)}; "
            "name one"
        )
    rows = read_rows(path, how, "sequence")
    first = list(islice(rows, _FIRST_ROWS))
    require_columns(first, how.shown(path), columns)
    every, name = chain(first, rows), how.name_of(path)
    if how.series_id is None:
        yield from _of_rows(every, name, columns, how, how.folder_of(path))
    else:
        found = [row.fields for row in first if isinstance(row, Row)]
        table = _Table(how.series_id, _values(found, how, how.shown(path)), how.shown(path))
        yield from table.items(every, name, as_numbers=_are_numbers(found, table.values, how))


def is_sequence(fields: dict[str, Any], besides: Sequence[str]) -> bool:
    """Whether a row has a sequence, and none of the other fields: a list, or a string of tokens."""
    given = fields.get("sequence")
    if any(name in fields for name in besides):
        return False
    return isinstance(given, list) or (isinstance(given, str) and not _is_number(given))


def _of_rows(
    rows: Iterator[Row | BadRow], name: str, columns: Columns, how: Reading, folder: Path
) -> Iterator[Item | Skipped]:
    for row in rows:
        item_id = f"{name}:{row.within}{row.line}"
        try:
            if isinstance(row, BadRow):
                raise row.refused
            how.fields_seen.update(row.fields.keys() & columns.texts)
            item_id = columns.id_of(row.fields, item_id)
            payload = _payload(row.fields, columns, folder)
            metadata = row.metadata | columns.without_payload(row.fields)
            if "path" in row.fields and row.fields["path"] != item_id:
                metadata["path"] = row.fields["path"]
            if not isinstance(payload, str):
                metadata = {"steps": len(payload)} | metadata
            yield Item(item_id, payload, metadata)
        except Refused as refused:
            yield refused.skipped(item_id)


def _payload(
    fields: dict[str, Any], columns: Columns, folder: Path
) -> str | list[Any] | np.ndarray:
    """The sequence of a row; raises `Refused`."""
    (name,) = columns.texts
    if name not in fields:
        if "path" not in fields:
            raise Refused("missing-payload", columns.missing_in_row(fields))
        return read_sequence(file_beside(folder, fields["path"])[0])
    given = fields[name]
    if isinstance(given, str) and given.lstrip().startswith("["):
        with suppress(ValueError, RecursionError):  # a token may begin so
            given = json.loads(given)
    if not isinstance(given, str | list):
        got = "nothing" if given is None else type(given).__name__
        raise Refused("bad-sequence", f"expected a list of steps or a string, got {got}")
    return given


def _values(found: Sequence[dict[str, Any]], how: Reading, shown: str) -> tuple[str, ...]:
    """The columns of a step's values; raises InputError if they are not clear."""
    names = list(dict.fromkeys(name for fields in found for name in fields))
    if how.values:
        missing = [name for name in how.values if name not in names]
        if missing and found:
            raise InputError(
                f"{shown}: expected the values in {', '.join(how.values)}, got no "
                f"{', '.join(missing)} among {', '.join(names)}; name others with --values"
            )
        return how.values
    others = [name for name in names if name != how.series_id]
    if len(others) != 1 and found:
        raise InputError(
            f"{shown}: expected to be told which columns are the values of a step, got "
            f"{', '.join(others) or 'none beside the id'}; name them, as --values "
            f"{','.join(others[:2]) or 'NAME'}"
        )
    return tuple(others)


def _are_numbers(found: Sequence[dict[str, Any]], values: tuple[str, ...], how: Reading) -> bool:
    """Whether the values of steps are numbers: several always are."""
    if how.as_tokens:
        return False
    if len(values) > 1:
        return True
    cells = [fields[values[0]] for fields in found if fields.get(values[0]) not in (None, "")]
    return bool(cells) and all(map(_is_number, cells))


def _is_number(cell: Any) -> bool:
    try:
        _number(cell)
    except (TypeError, ValueError):
        return False
    return True


def _number(cell: Any) -> float:
    """The number in a cell. Raises TypeError or ValueError if there is none."""
    if isinstance(cell, bool):
        raise TypeError(cell)
    return float(cell)


def _token(cell: Any) -> str:
    """The token in a cell. Raises TypeError or ValueError if there is none."""
    if isinstance(cell, bool) or not isinstance(cell, str | int | float):
        raise TypeError(cell)
    if isinstance(cell, float):
        if not math.isfinite(cell):
            raise ValueError(cell)
        cell = int(cell) if cell.is_integer() else cell
    token = str(cell).strip()
    if not token:
        raise ValueError(cell)
    return token


@dataclass(slots=True)
class _Series:
    """One series as far as it is read."""

    values: Any
    metadata: dict[str, Any]
    """The columns that are the same in all of its rows so far."""
    n_steps: int = 0
    refused: Refused | None = None
    """Why it can't be used."""

    def refuse(self, refused: Refused) -> None:
        """Give it up, for the first reason, with what it holds."""
        self.refused = self.refused or refused
        del self.values[:]

    def keep(self, fields: dict[str, Any]) -> None:
        """Keep of the metadata what a further row says too."""
        for name in [n for n, value in self.metadata.items() if fields.get(n) != value]:
            del self.metadata[name]


@dataclass(slots=True)
class _Table:
    """The series of one table."""

    series_id: str
    values: tuple[str, ...]
    shown: str
    series: dict[str, _Series] = field(default_factory=dict)
    n_values: int = 0

    def items(
        self, rows: Iterator[Row | BadRow], name: str, *, as_numbers: bool
    ) -> Iterator[Item | Skipped]:
        """Rows that can't be read as they come, then every series by its first row."""
        made: Callable[[], Any] = (lambda: array("d")) if as_numbers else list
        read = _number if as_numbers else _token
        noun = "a number" if as_numbers else "a token"
        tokens: dict[Any, Any] = {}  # so that each is in memory once
        for row in rows:
            place = f"{name}:{row.within}{row.line}"
            try:
                if isinstance(row, BadRow):
                    raise row.refused
                if self.series_id not in row.fields:
                    raise Refused("bad-id", f"expected an id in {self.series_id!r:.60}, got none")
                series = self._of(ids.checked(row.fields[self.series_id]), row, made)
            except Refused as refused:
                yield refused.skipped(place)
                continue
            if series.refused is None:
                self._add(series, row, read, noun, tokens)
        for item_id, series in self.series.items():
            if series.refused is not None:
                yield series.refused.skipped(item_id)
                continue
            steps = series.values
            if as_numbers:
                steps = np.array(steps).reshape(series.n_steps, len(self.values))
            yield Item(item_id, steps, {"steps": series.n_steps} | series.metadata)

    def _of(self, item_id: str, row: Row, made: Callable[[], Any]) -> _Series:
        used = {self.series_id, *self.values}
        fields = {name: value for name, value in row.fields.items() if name not in used}
        found = self.series.get(item_id)
        if found is None:
            found = self.series[item_id] = _Series(made(), row.metadata | fields)
        else:
            found.keep(row.metadata | fields)
        return found

    def _add(
        self,
        series: _Series,
        row: Row,
        read: Callable[[Any], Any],
        noun: str,
        tokens: dict[Any, Any],
    ) -> None:
        found = []
        for name in self.values:
            cell = row.fields.get(name)
            try:
                found.append(read(cell))
            except (TypeError, ValueError):
                got = "nothing" if cell in (None, "") else f"{cell!r:.40}"
                why = f"line {row.line}: expected {noun} in {name!r:.60}, got {got}"
                series.refuse(Refused("bad-step", why))
                return
        if series.n_steps == MAX_STEPS:
            why = f"expected at most {MAX_STEPS:,} rows with one series id, got more"
            series.refuse(Refused("too-large", why))
            return
        series.n_steps += 1
        series.values.extend(
            tokens.setdefault(one, one) if noun == "a token" else one for one in found
        )
        self.n_values += len(found)
        if self.n_values > MAX_VALUES:
            raise InputError(
                f"{self.shown}: expected at most {MAX_VALUES:,} values in a table with series ids, "
                "got more; split it between series"
            )
