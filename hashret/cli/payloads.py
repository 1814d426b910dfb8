"""What the command line gave as queries, as payloads: a text, a vector, a file, a line of a batch.

Nothing heavy is imported before it is needed.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashret.cli.files import read_text, require_file
from hashret.errors import HashretError, InputError

if TYPE_CHECKING:
    from hashret.collection import Collection

#: How a file of text or with a vector is read. `indexer.cli` puts the readers of the corpus here,
#: so that a file is the same as a query and in the corpus.
READERS: dict[str, Callable[[Path], Any]] = {}

#: What a file is to hold as a query for items of a kind.
_IN_FILE = {
    "text": "a text file",
    "image": "an image file",
    "vector": "an .npy file or a JSON list of numbers",
}


def payload_of(kind: str, text: str | None, file: Path | None) -> Any:
    """What the command line gave as query, as the payload of a collection of `kind`."""
    if file is not None:
        return _of_file(kind, file)
    if text == "-":
        try:
            text = sys.stdin.read()
        except UnicodeDecodeError as error:
            raise InputError(
                f"standard input: expected text in {error.encoding}, got other bytes; convert it, "
                "or pass --file"
            ) from error
    if kind == "text":
        return text
    if kind == "vector":
        return _vector(text or "", "TEXT")
    raise InputError("query: expected an image file, got a text; pass --file PATH")


def _of_file(kind: str, file: Path) -> Any:
    require_file(file, _IN_FILE[kind])
    if kind == "image":
        return file
    if kind == "text":
        return READERS["text"](file)
    if file.suffix.lower() in (".npy", ".npz"):
        return READERS["vector"](file)
    return _vector(read_text(file, _IN_FILE[kind]), str(file))


def _vector(text: str, where: str) -> Any:
    import numpy as np

    try:
        numbers = json.loads(text)
        return np.asarray(numbers, np.float32)
    except (ValueError, TypeError, OverflowError, RecursionError):
        raise InputError(
            f"{where}: expected a JSON list of numbers, got {text[:40]!r}; "
            "write it as [0.1, 0.2, ...] or pass --file vector.npy"
        ) from None


def of_line(snapshot: Collection, path: Path, number: int, line: str) -> tuple[str, Any, str]:
    """One line of a batch file: its id, its payload (checked), and what is wrong with it or ""."""
    query_id = str(number)
    try:
        fields = json.loads(line)
        if not isinstance(fields, dict):
            raise InputError(f"expected a JSON object, got {type(fields).__name__}")
        query_id = str(fields.get("id", number))
        payload: Any
        if "text" in fields and snapshot.kind == "text":
            payload = fields["text"]
        elif "vector" in fields and snapshot.kind == "vector":
            payload = _vector(json.dumps(fields["vector"]), "vector")
        elif isinstance(fields.get("path"), str):
            payload = _of_file(snapshot.kind, path.parent / fields["path"])
        else:
            wanted = {"text": "text or path", "image": "path", "vector": "vector or path"}
            raise InputError(f"expected the key {wanted[snapshot.kind]}, got {', '.join(fields)}")
        snapshot.coder.prepare(payload)
    except (ValueError, RecursionError, HashretError, OSError) as error:
        return query_id, None, f"line {number}: {error}"
    return query_id, payload, ""
