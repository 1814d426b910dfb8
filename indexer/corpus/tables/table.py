"""Read JSONL and CSV tables: one item for each row, with its text or the path of a file."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from hashret.errors import InputError
from hashret.items import Item
from hashret.kinds import Kind, kind_of
from indexer.corpus import documents, files, ids, images
from indexer.corpus.lines import opened
from indexer.corpus.reading import Reading
from indexer.corpus.tables.csv_rows import csv_rows
from indexer.corpus.tables.rows import BadRow, Row, json_rows
from indexer.refusals import Refused

JSON_SUFFIXES = (".jsonl", ".ndjson")
CSV_SUFFIXES = (".csv", ".tsv")
SUFFIXES = JSON_SUFFIXES + CSV_SUFFIXES

_FIRST_ROWS = 20  # rows of which one must have a payload, else the table is refused
_SHOWN_NAMES = 12  # names of fields that are listed in a message
# Characters; no system opens a longer path, and the time to resolve a path is quadratic in its
# length.
_MAX_PATH = 4096


def is_table(path: Path) -> bool:
    """Whether a file has the suffix of a table, compressed or not."""
    return _suffix(path) in SUFFIXES


def read_table(path: Path, kind: str, how: Reading) -> Iterator[documents.Found]:
    """Every row of a table as an item of `kind`, "text" or "image", in the order of its lines.

    The field `id` is the id; without it, the id is ``<file name>:<line>``. The payload of a text is
    the field `text` (or the one that the user names), or the document at `path`; that of an image
    is the file at `path`. A path is relative to the folder of the table, and must not lead out of
    it. All other fields are metadata (strings in CSV), and so is a `path` that differs from the id.

    Raises InputError if none of the first rows has a payload.
    """
    name, payload = files.id_of(path.name), kind_of(kind)
    field = payload_field(kind, how)
    rows = read_rows(path, how)
    first = list(islice(rows, _FIRST_ROWS))
    _require_payload(first, path, field)
    for row in chain(first, rows):
        default_id = f"{name}:{row.line}"
        if isinstance(row, BadRow):
            yield row.refused.skipped(default_id)
            continue
        try:
            item_id = ids.checked(row.fields["id"]) if "id" in row.fields else default_id
        except Refused as refused:
            yield refused.skipped(default_id)
            continue
        try:
            yield _item(row, item_id, path.parent, payload, field)
        except Refused as refused:
            yield refused.skipped(item_id)


def read_rows(path: Path, how: Reading) -> Iterator[Row | BadRow]:
    """The rows of a table; if the rest can't be read, the last one is a `BadRow` with the reason.

    Raises InputError if the table can't be opened or its header is not usable.
    """
    line = 0
    payload = payload_field("text", how)
    try:
        is_csv = _suffix(path) in CSV_SUFFIXES
        with opened(path, "" if is_csv else "\n", how.encoding) as lines:
            is_tsv = _suffix(path) == ".tsv"
            rows = csv_rows(lines, path.name, payload, is_tsv=is_tsv) if is_csv else None
            for row in rows or json_rows(lines):
                line = row.line
                yield row
            if lines.guessed is not None:
                how.guesses[lines.guessed] += 1
    except Refused as refused:
        raise InputError(f"{path}: {refused.reason}") from refused
    except UnicodeDecodeError as error:
        reason = f"not {error.encoding} from here on: {error.reason}; the rest is not read"
        yield BadRow(line + 1, Refused("not-utf8", reason))
    except (EOFError, zlib.error, OSError) as error:
        reason = f"damaged from here on: {error}; the rest is not read"
        error_class = "damaged-gzip" if path.suffix.lower() == ".gz" else "unreadable"
        yield BadRow(line + 1, Refused(error_class, reason))


def payload_field(kind: str, how: Reading) -> str:
    """The field with the payload of a row, for items of the kind; "path" if only files can be."""
    key = kind_of(kind).key
    return (how.text_field or key) if key else "path"


def _require_payload(first: list[Row | BadRow], path: Path, field: str) -> None:
    """Raise InputError if some of the first rows were read, and none of these has a payload."""
    found = [row.fields for row in first if isinstance(row, Row)]
    if not found or any(field in fields or "path" in fields for fields in found):
        return
    raise InputError(
        f"{path}: {missing_payload(field, dict.fromkeys(k for f in found for k in f))}"
    )


def missing_payload(field: str, names: Iterable[str]) -> str:
    """The message for rows that have fields of these names, and none with a payload."""
    shown = [f"{name!r:.60}" for name in islice(names, _SHOWN_NAMES + 1)]
    listed = ", ".join(shown[:_SHOWN_NAMES]) + ", ..." * (len(shown) > _SHOWN_NAMES)
    if field == "path":
        return f"expected 'path', the name of an image file, got {listed or 'no fields'}"
    return (
        f"expected {field!r} or 'path', got {listed or 'no fields'}; name the field of the text "
        "with --text-field"
    )


def _item(row: Row, item_id: str, folder: Path, kind: Kind, field: str) -> documents.Found:
    """The item of a row; raises `Refused` if the row has no usable payload."""
    metadata = row.metadata | {k: v for k, v in row.fields.items() if k not in ("id", "path")}
    path = row.fields.get("path")
    if field in row.fields and field != "path":
        text = metadata.pop(field)
        _require_text(text)
        if "path" in row.fields:
            metadata["path"] = path
        return Item(item_id, text, metadata)
    if "path" not in row.fields:
        raise Refused("missing-payload", missing_payload(field, row.fields))
    file, relative = _file_beside(folder, path)
    if path != item_id:
        metadata["path"] = path
    entry = files.entry_of(file, relative)
    metadata = {k: v for k, v in entry.metadata.items() if k != "id_encoding"} | metadata
    if kind.decodes_files:
        images.require_image_file(file)
        return Item(item_id, file, metadata)
    return documents.Unread(item_id, file, entry.size, metadata)


def _require_text(text: Any) -> None:
    if not isinstance(text, str):
        raise Refused("bad-text", f"expected a string, got {type(text).__name__}")
    if not text or text.isspace():
        raise Refused("empty-text", "expected text, got nothing but white space")


def _file_beside(folder: Path, name: Any) -> tuple[Path, str]:
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


def _suffix(path: Path) -> str:
    """The suffix in lower case, without a .gz after it."""
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return plain.suffix.lower()
