"""Read sequences from tables: one in each row, or one in all rows with the same series id."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np

from hashret.errors import InputError
from hashret.items import Item
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus.reading import Reading
from indexer.corpus.sequences.by_series import FIRST_ROWS, SeriesOfTable, is_number
from indexer.corpus.sequences.in_arrays import read_sequence
from indexer.corpus.tables.columns import Columns
from indexer.corpus.tables.readers import read_rows
from indexer.corpus.tables.rows import Row
from indexer.corpus.tables.table import file_beside, items_of, require_columns


def read_table(path: Path, how: Reading) -> Iterator[Item | Skipped]:
    """The sequences of a table: of its series where `how` names their id, else of its rows.

    Of a row the sequence is in the field `sequence`, or the one that the user names with
    --text-field: a list of steps, or a string, which in CSV may be a JSON list; or in the array
    file that `path` names. Ids and metadata are those of any table (`tables.table`). Of series see
    `by_series`.

    Raises InputError for a table without the columns that are needed.
    """
    columns = Columns.of("sequence", how)
    if how.series_id is None and len(columns.texts) > 1:
        raise InputError(
            f"--text-field: expected one column for sequences, got {', '.join(columns.texts)}; "
            "name one"
        )
    rows = read_rows(path, how, columns)
    first = list(islice(rows, FIRST_ROWS))
    require_columns(first, how.shown(path), columns)
    every, name = chain(first, rows), how.name_of(path)
    if how.series_id is None:
        item = partial(_item, folder=how.folder_of(path), columns=columns)
        yield from items_of(every, name, columns, how, item)
    else:
        table = SeriesOfTable.of(first, how.series_id, how, how.shown(path))
        yield from table.items(every, name)


def is_sequence(fields: Mapping[str, Any], besides: Sequence[str]) -> bool:
    """Whether a row has a sequence, and none of the other fields: a list, or a string of tokens."""
    given = fields.get("sequence")
    if any(name in fields for name in besides):
        return False
    return isinstance(given, list) or (isinstance(given, str) and not is_number(given))


def _item(row: Row, item_id: str, folder: Path, columns: Columns) -> Item:
    """The sequence of a row; raises `Refused` if the row has no usable one."""
    payload = _payload(row.fields, columns, folder)
    metadata = row.metadata | columns.without_payload(row.fields)
    if "path" in row.fields and row.fields["path"] != item_id:
        metadata["path"] = row.fields["path"]
    if not isinstance(payload, str):
        metadata = {"steps": len(payload)} | metadata
    return Item(item_id, payload, metadata)


def _payload(
    fields: Mapping[str, Any], columns: Columns, folder: Path
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
        raise Refused("bad-payload", f"expected a list of steps or a string, got {got}")
    return given
