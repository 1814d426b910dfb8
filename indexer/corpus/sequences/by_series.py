"""Read sequences from tables in which each row is a step: of the series of its id, or of the only.

Rows are taken in their order, wherever they stand: those of several series may be mixed, as in a
log. So all of them are in memory, 8 bytes a number or a token, until the table ends.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from hashret.errors import InputError
from hashret.features.sequences.steps import MAX_STEPS
from hashret.items import Item
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import ids
from indexer.corpus.reading import Reading
from indexer.corpus.tables.columns import Columns
from indexer.corpus.tables.readers import read_rows
from indexer.corpus.tables.rows import BadRow, Row

#: Rows by which it is decided which columns there are, and whether values are numbers.
FIRST_ROWS = 1_000
#: The most values of a table: 1 GiB.
MAX_VALUES = 1 << 27


def read_one(path: Path, how: Reading) -> np.ndarray | list[str]:
    """The only sequence of a table, whose rows are its steps; raises `Refused` if it has none.

    The values of a step are the columns that `how` names, or all; several must be numbers.
    """
    one = Columns((), None, noun="sequence")
    try:
        rows = list(islice(read_rows(path, how, one), MAX_STEPS + 1))
        for row in rows:
            if isinstance(row, BadRow):
                raise row.refused
        table = SeriesOfTable.of(rows, None, how, how.shown(path))
        if table.values and all(map(is_number, table.values)):
            got = f"numbers: {', '.join(table.values):.60}"
            raise Refused("bad-csv", f"expected a header row, got {got}")
        found = list(table.items(iter(rows), ""))
    except InputError as error:
        raise Refused("bad-csv", str(error).removeprefix(f"{how.shown(path)}: ")) from error
    for only in found:
        if isinstance(only, Skipped):
            raise Refused(only.error_class, only.reason)
        return only.payload  # type: ignore[return-value]  # what `items` made
    raise Refused("empty-sequence", "expected at least one row below the header, got none")


def is_number(cell: Any) -> bool:
    """Whether a cell of a table is a number, or a string that says one."""
    try:
        _number(cell)
    except (TypeError, ValueError):
        return False
    return True


@dataclass(slots=True)
class _Series:
    """One series as far as it is read."""

    values: Any
    """A list of tokens, or an array of numbers."""
    metadata: dict[str, Any]
    """The other columns of its first row."""
    n_steps: int = 0
    refused: Refused | None = None
    """Why it can't be used."""


@dataclass(slots=True)
class SeriesOfTable:
    """The series of one table, as far as it is read."""

    series_id: str | None
    """The column of the id; None: all rows are of one series."""
    values: tuple[str, ...]
    """The columns of the values of a step."""
    as_numbers: bool
    """Whether these are numbers; else each is a token."""
    shown: str
    """The table as messages show it."""
    _series: dict[str, _Series] = field(default_factory=dict)
    _n_values: int = 0
    _varying: set[str] = field(default_factory=set)
    """The columns that differ within a series, which are no metadata of any."""
    _tokens: dict[str, str] = field(default_factory=dict)
    """Each token, so that it is in memory once."""

    @classmethod
    def of(
        cls, first: Sequence[Row | BadRow], series_id: str | None, how: Reading, shown: str
    ) -> SeriesOfTable:
        """What the first rows of a table say of its series.

        The values are the columns that `how` names; else the only one beside the id, or without one
        all. A single one is of numbers if all of its cells are. Raises InputError if the values are
        not clear.
        """
        found = [row.fields for row in first if isinstance(row, Row)]
        names = list(dict.fromkeys(name for fields in found for name in fields))
        others = tuple(name for name in names if name != series_id)
        values = how.values or others
        missing = [name for name in how.values if name not in others]
        if missing and found:
            raise InputError(
                f"{shown}: expected the values in {', '.join(how.values)}, got no "
                f"{', '.join(missing)} among {', '.join(others)}; name others with --values"
            )
        if series_id is not None and not how.values and len(others) != 1 and found:
            raise InputError(
                f"{shown}: expected to be told which columns are the values of a step, got "
                f"{', '.join(others) or 'none beside the id'}; name them, as --values "
                f"{','.join(others[:2]) or 'NAME'}"
            )
        if how.as_tokens and len(values) > 1:
            raise InputError(
                f"{shown}: expected one column of tokens, got {', '.join(values)}; name it with "
                "--values"
            )
        as_numbers = not how.as_tokens
        if as_numbers and len(values) == 1:
            cells = [fields.get(values[0]) for fields in found[:FIRST_ROWS]]
            cells = [cell for cell in cells if cell not in (None, "")]
            as_numbers = bool(cells) and all(map(is_number, cells))
        return cls(series_id, values, as_numbers, shown)

    def items(self, rows: Iterator[Row | BadRow], name: str) -> Iterator[Item | Skipped]:
        """Rows that can't be read, as they come; then every series, in the order of first rows.

        Columns that are the same in all rows of each series are metadata, and the number of rows is
        `steps`. Raises InputError if there are more values than fit in memory.
        """
        for row in rows:
            try:
                if isinstance(row, BadRow):
                    raise row.refused
                self._take(row)
            except Refused as refused:
                yield refused.skipped(f"{name}:{row.within}{row.line}")
        for item_id, series in self._series.items():
            if series.refused is not None:
                yield series.refused.skipped(item_id)
                continue
            steps = series.values
            if self.as_numbers:
                steps = np.array(steps).reshape(series.n_steps, len(self.values))
            told = {k: v for k, v in series.metadata.items() if k not in self._varying}
            yield Item(item_id, steps, {"steps": series.n_steps} | told)

    def _take(self, row: Row) -> None:
        """Add a row to its series; raises `Refused` if it is of none."""
        item_id = "only"
        if self.series_id is not None:
            if self.series_id not in row.fields:
                raise Refused("bad-id", f"expected an id in {self.series_id!r:.60}, got none")
            item_id = ids.checked(row.fields[self.series_id])
        used = {self.series_id, *self.values}
        told = {name: value for name, value in row.fields.items() if name not in used}
        told |= row.metadata
        series = self._series.get(item_id)
        if series is None:
            made: Any = array("d") if self.as_numbers else []
            series = self._series[item_id] = _Series(made, told)
        elif series.metadata != told:
            names = series.metadata.keys() | told.keys()
            self._varying.update(n for n in names if series.metadata.get(n) != told.get(n))
        if series.refused is None:
            try:
                self._add(series, row)
            except Refused as refused:
                series.refused = refused
                del series.values[:]

    def _add(self, series: _Series, row: Row) -> None:
        """Add the step of a row to its series; raises `Refused` if this can't be used any more."""
        if series.n_steps == MAX_STEPS:
            raise Refused("too-large", f"expected at most {MAX_STEPS:,} rows in a series, got more")
        for name in self.values:
            cell = row.fields.get(name)
            try:
                if self.as_numbers:
                    series.values.append(_number(cell))
                else:
                    token = _token(cell)
                    series.values.append(self._tokens.setdefault(token, token))
            except (TypeError, ValueError):
                noun = "a number" if self.as_numbers else "a token"
                got = "nothing" if cell in (None, "") else f"{cell!r:.40}"
                why = f"line {row.line}: expected {noun} in {name!r:.60}, got {got}"
                raise Refused("bad-step", why) from None
        series.n_steps += 1
        self._n_values += len(self.values)
        if self._n_values > MAX_VALUES:
            raise InputError(
                f"{self.shown}: expected at most {MAX_VALUES:,} values in a table of steps, got "
                "more; split it between series"
            )


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
