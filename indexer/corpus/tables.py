"""Turn JSONL and CSV tables into items, one for each row, with its text or the path of a file."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Any

from hashret.errors import InputError
from hashret.items import Item
from hashret.kinds import Kind, kind_of
from indexer.corpus import documents, files, ids, images
from indexer.corpus.csv_rows import csv_rows
from indexer.corpus.lines import opened
from indexer.corpus.reading import Reading
from indexer.corpus.rows import BadRow, Row, json_rows
from indexer.refusals import Refused

JSON_SUFFIXES = (".jsonl", ".ndjson")
CSV_SUFFIXES = (".csv", ".tsv")
SUFFIXES = JSON_SUFFIXES + CSV_SUFFIXES

# Rows that are looked at before the first item, for whether there is a payload at all.
_FIRST_ROWS = 20
_SHOWN_NAMES = 12
# Characters: no system opens a longer path, and to resolve one takes the square of its length.
_MAX_PATH = 4096


def is_table(path: Path) -> bool:
    """Whether the name is that of a table, compressed or not."""
    return _suffix(path) in SUFFIXES


def read_table(path: Path, kind: str, how: Reading) -> Iterator[documents.Found]:
    """Every row of a table as an item of `kind`, "text" or "image", in the order of its lines.

    `id` gives the id, else it is ``<file name>:<line>``. For texts, `text` (or the field that
    the user named) is the payload, or the document at `path`; for images, the file at `path`. A
    path is relative to the folder of the table and must stay in it. All other keys are metadata
    as they are (in CSV: strings), and so is a `path` that differs from the id.

    Raises InputError if a table of texts has none of these in its first rows.
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
    """The rows of a table. What keeps its rest from being read is one last `BadRow`.

    Raises InputError if the table cannot be opened or its header is not usable.
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
        reason = f"from here on not {error.encoding}: {error.reason}; the rest is not read"
        yield BadRow(line + 1, Refused("not-utf8", reason))
    except (EOFError, zlib.error, OSError) as error:
        reason = f"damaged from here on: {error}; the rest is not read"
        error_class = "damaged-gzip" if path.suffix.lower() == ".gz" else "unreadable"
        yield BadRow(line + 1, Refused(error_class, reason))


def payload_field(kind: str, how: Reading) -> str:
    """The column or key of a row that holds a payload of the kind, or "path" if none does."""
    key = kind_of(kind).key
    return (how.text_field or key) if key else "path"


def _require_payload(first: list[Row | BadRow], path: Path, field: str) -> None:
    """Raise InputError if all of the first rows are sound, and none has the field or a path."""
    found = [row.fields for row in first if isinstance(row, Row)]
    if not found or any(field in fields or "path" in fields for fields in found):
        return
    raise InputError(
        f"{path}: {missing_payload(field, dict.fromkeys(k for f in found for k in f))}"
    )


def missing_payload(field: str, names: Iterable[str]) -> str:
    """What is said of a table in which these names are found, and not the one of its payload."""
    shown = [f"{name!r:.60}" for name in islice(names, _SHOWN_NAMES + 1)]
    listed = ", ".join(shown[:_SHOWN_NAMES]) + ", ..." * (len(shown) > _SHOWN_NAMES)
    if field == "path":
        return f"expected 'path', the name of an image file, got {listed or 'no fields'}"
    return (
        f"expected {field!r} or 'path', got {listed or 'no fields'}; say by --text-field which "
        "of them holds the text"
    )


def _item(row: Row, item_id: str, folder: Path, kind: Kind, field: str) -> documents.Found:
    metadata = row.said | {k: v for k, v in row.fields.items() if k not in ("id", "path")}
    given = row.fields.get("path")
    if field in row.fields and field != "path":
        text = metadata.pop(field)
        _require_text(text)
        if "path" in row.fields:
            metadata["path"] = given
        return Item(item_id, text, metadata)
    if "path" not in row.fields:
        raise Refused("missing-payload", missing_payload(field, row.fields))
    file = _file_beside(folder, given)
    if given != item_id:
        metadata["path"] = given
    if kind.decodes_files:
        images.require_image_file(file)
        return Item(item_id, file, metadata)
    with files.open_regular(file) as stream:
        size = os.fstat(stream.fileno()).st_size
    return documents.Unread(item_id, file, size, metadata)


def _require_text(text: Any) -> None:
    if not isinstance(text, str):
        raise Refused("bad-text", f"expected a string, got {type(text).__name__}")
    if not text or text.isspace():
        raise Refused("empty-text", "expected text, got nothing but white space")


def _file_beside(folder: Path, given: Any) -> Path:
    usual = isinstance(given, str) and 0 < len(given) <= _MAX_PATH
    if not usual or "\0" in given:
        raise Refused("bad-path", f"expected the name of a file, got {given!r:.80}")
    try:
        root, file = folder.resolve(), (folder / given).resolve()
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of links, before 3.13
        raise Refused("symlink", "leads through a loop of symbolic links") from error
    if not file.is_relative_to(root):
        raise Refused(
            "outside-source", f"expected a file in the folder of the table, got {given!r}"
        )
    return file


def _suffix(path: Path) -> str:
    plain = path.with_suffix("") if path.suffix.lower() == ".gz" else path
    return plain.suffix.lower()
