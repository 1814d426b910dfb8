"""Read tables: one item for each row, with its text or the path of a file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Any, TypeVar

from hashret.errors import InputError
from hashret.items import Item
from hashret.kinds import Kind, kind_of
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import documents, files, images
from indexer.corpus.reading import Reading
from indexer.corpus.tables.columns import Columns
from indexer.corpus.tables.readers import read_rows
from indexer.corpus.tables.rows import BadRow, Row

T = TypeVar("T")

_FIRST_ROWS = 20  # rows of which one must have a payload, else the table is refused
# Characters; no system opens a longer path, and the time to resolve a path is quadratic in its
# length.
_MAX_PATH = 4096


def read_table(path: Path, kind: str, how: Reading) -> Iterator[documents.Found]:
    """Every row of a table as an item of `kind`, "text" or "image", in the order of its lines.

    The field `id`, or the one that the user names, is the id; without it, the id is
    ``<file name>:<line>``. The payload of a text is the field `text` (or those that the user
    names), or the document at `path`; that of an image is the file at `path`. A path is relative to
    the folder of the table, and must not lead out of it. All other fields are metadata (strings in
    CSV), and so is a `path` that differs from the id.

    Raises InputError if none of the first rows has a payload.
    """
    name = how.name_of(path)
    columns = Columns.of(kind, how)
    rows = read_rows(path, how)
    first = list(islice(rows, _FIRST_ROWS))
    require_columns(first, how.shown(path), columns)
    item = partial(_item, folder=how.folder_of(path), kind=kind_of(kind), columns=columns)
    yield from items_of(chain(first, rows), name, columns, how, item)


def items_of(
    rows: Iterable[Row | BadRow],
    name: str,
    columns: Columns,
    how: Reading,
    item: Callable[[Row, str], T],
) -> Iterator[T | Skipped]:
    """What `item` makes of each row and its id, or why it is refused (`Refused`)."""
    for row in rows:
        item_id = f"{name}:{row.within}{row.line}"
        try:
            if isinstance(row, BadRow):
                raise row.refused
            how.fields_seen.update(row.fields.keys() & columns.texts)
            item_id = columns.id_of(row.fields, item_id)
            yield item(row, item_id)
        except Refused as refused:
            yield refused.skipped(item_id)


def require_columns(first: list[Row | BadRow], shown: str, columns: Columns) -> None:
    """Raise InputError if some of the first rows were read, and none of them has what is needed."""
    found = [row.fields for row in first if isinstance(row, Row)]
    if not found:
        return
    if not any(map(columns.has_payload, found)):
        raise InputError(f"{shown}: {columns.missing(found)}")
    if columns.id is not None and not any(columns.id in fields for fields in found):
        raise InputError(f"{shown}: {columns.missing_id(found)}")


def _item(row: Row, item_id: str, folder: Path, kind: Kind, columns: Columns) -> documents.Found:
    """The item of a row; raises `Refused` if the row has no usable payload."""
    metadata = row.metadata | columns.without_payload(row.fields)
    path = row.fields.get("path")
    text = columns.text_of(row.fields)
    if text is not None:
        if "path" in row.fields:
            metadata["path"] = path
        return Item(item_id, text, metadata)
    if "path" not in row.fields:
        raise Refused("missing-payload", columns.missing_in_row(row.fields))
    file, relative = file_beside(folder, path)
    if path != item_id:
        metadata["path"] = path
    entry = files.entry_of(file, relative)
    metadata = {k: v for k, v in entry.metadata.items() if k != "id_encoding"} | metadata
    if kind.decodes_files:
        images.require_image_file(file)
        return Item(item_id, file, metadata)
    return documents.Unread(item_id, file, entry.size, metadata)


def file_beside(folder: Path, name: Any) -> tuple[Path, str]:
    """The file that a row names, and its path in the folder of its table; else raises `Refused`."""
    is_name = isinstance(name, str) and 0 < len(name) <= _MAX_PATH and "\0" not in name
    if not is_name:
        raise Refused("bad-path", f"expected the name of a file, got {name!r:.80}")
    try:
        root, file = folder.resolve(), (folder / name).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before 3.13
        raise Refused("symlink", "leads through a loop of symbolic links") from error
    if not file.is_relative_to(root):
        raise Refused("outside-source", f"expected a file in the folder of the table, got {name!r}")
    return file, file.relative_to(root).as_posix()
