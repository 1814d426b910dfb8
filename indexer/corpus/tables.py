"""JSONL and CSV tables to Items: one item a row, its text in the row or in a file beside it."""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hashret.errors import InputError
from hashret.items import Item
from hashret.kinds import Kind, kind_of
from indexer.corpus import documents, files, ids, images
from indexer.corpus.lines import opened
from indexer.corpus.rows import BadRow, Row, csv_rows, json_rows
from indexer.refusals import Refused

JSON_SUFFIXES = (".jsonl", ".ndjson")
CSV_SUFFIXES = (".csv", ".tsv")
SUFFIXES = JSON_SUFFIXES + CSV_SUFFIXES


def is_table(path: Path) -> bool:
    """Whether the name is that of a table, compressed or not."""
    return _suffix(path) in SUFFIXES


def read_table(path: Path, kind: str) -> Iterator[documents.Found]:
    """Every row of a table as an item of `kind`, "text" or "image", in the order of its lines.

    `id` gives the id, else it is ``<file name>:<line>``. For texts, `text` is the payload, or the
    document at `path`; for images, the file at `path`. A path is relative to the folder of the
    table and must stay in it. All other keys are metadata as they are (in CSV: strings), and so
    is a `path` that differs from the id.
    """
    name, payload = files.id_of(path.name), kind_of(kind)
    for row in read_rows(path):
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
            yield _item(row, item_id, path.parent, payload)
        except Refused as refused:
            yield refused.skipped(item_id)


def read_rows(path: Path) -> Iterator[Row | BadRow]:
    """The rows of a table. What keeps its rest from being read is one last `BadRow`.

    Raises InputError if the table cannot be opened or its header is not usable.
    """
    line = 0
    try:
        is_csv = _suffix(path) in CSV_SUFFIXES
        with opened(path, newline="" if is_csv else "\n") as lines:
            for row in csv_rows(lines, path.name) if is_csv else json_rows(lines):
                line = row.line
                yield row
    except Refused as refused:
        raise InputError(f"{path}: {refused.reason}") from refused
    except UnicodeDecodeError as error:
        reason = f"from here on not {error.encoding}: {error.reason}; the rest is not read"
        yield BadRow(line + 1, Refused("not-utf8", reason))
    except (EOFError, zlib.error, OSError) as error:
        reason = f"damaged from here on: {error}; the rest is not read"
        error_class = "damaged-gzip" if path.suffix.lower() == ".gz" else "unreadable"
        yield BadRow(line + 1, Refused(error_class, reason))


def _item(row: Row, item_id: str, folder: Path, kind: Kind) -> Item | documents.Unread:
    metadata = row.said | {k: v for k, v in row.fields.items() if k not in ("id", "path")}
    given = row.fields.get("path")
    if kind.key and kind.key in row.fields:
        text = metadata.pop(kind.key)
        _require_text(text)
        if "path" in row.fields:
            metadata["path"] = given
        return Item(item_id, text, metadata)
    if "path" not in row.fields:
        keys = " or ".join(map(repr, kind.keys))
        raise Refused("missing-payload", f"expected the key {keys}, got {sorted(row.fields)[:9]}")
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
    if not isinstance(given, str) or not given or "\0" in given:
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
