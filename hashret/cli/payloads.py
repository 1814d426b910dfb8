"""Make payloads of what the command line gives as a query: a text, numbers, a file, a batch line.

Heavy packages are imported only when they are needed.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from hashret.cli.files import read_text, require_file
from hashret.errors import HashretError, InputError
from hashret.kinds import KINDS, kind_of

if TYPE_CHECKING:
    from hashret.collection import Collection

#: The function that reads a query file, by kind. `indexer.cli` enters the readers of the corpus, so
#: that a file has the same code as a query and as an item.
READERS: dict[str, Callable[[Path], Any]] = {}


def payload_of(kind: str, text: str | None, file: Path | None) -> Any:
    """The payload for a collection of `kind` that a query's text or file stands for.

    The text "-" is read from standard input. Raises `InputError` if it is not of that kind, also
    for the name of a file where no text can be meant.
    """
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
    elif text and not kind_of(kind).stores_texts and is_name_of_file(text):
        raise InputError(
            f"query: expected {kind_of(kind).query_file}, got the name of a file as a text; use "
            f"--file {text}"
        )
    return _GIVEN[kind].typed(text or "")


def is_name_of_file(text: str) -> bool:
    """Whether a file has this name; nothing of it is read."""
    try:
        return os.path.isfile(text)  # noqa: PTH113 - a Path raises for what no name can be
    except ValueError:
        return False


def _of_file(kind: str, file: Path) -> Any:
    require_file(file, kind_of(kind).query_file)
    return _GIVEN[kind].file(file)


def _no_typed_image(text: str) -> Any:
    raise InputError("query: expected an image file, got a text; pass --file PATH")


def _vector_file(file: Path) -> Any:
    if file.suffix.lower() in (".npy", ".npz"):
        return READERS["vector"](file)
    return _vector(read_text(file, KINDS["vector"].query_file), str(file))


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


def _sequence_file(file: Path) -> Any:
    if file.suffix.lower() in (".npy", ".npz", ".csv", ".tsv"):
        return READERS["sequence"](file)
    return _sequence(read_text(file, KINDS["sequence"].query_file), str(file))


def _sequence(text: str, where: str) -> Any:
    """The steps of a JSON list, or else a line of tokens, as the collection cuts it."""
    if not text.lstrip().startswith("["):
        if "\n" in text.strip():
            raise InputError(
                f"{where}: expected one sequence, a line of tokens or a JSON list, got "
                f"{text.strip().count(chr(10)) + 1:,} lines; ask for many by --batch"
            )
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise InputError(
            f"{where}: expected a JSON list of steps, got {text[:40]!r}; write it as "
            '["a", "b"], [1, 2] or [[0.1, 0.2], [0.3, 0.4]]'
        ) from None


class _Given(NamedTuple):
    """The three ways of giving a payload of one kind: typed, as a file, or in a line of a batch."""

    typed: Callable[[str], Any]
    file: Callable[[Path], Any]
    value: Callable[[Any], Any] = lambda value: value


_GIVEN = {
    "text": _Given(typed=lambda text: text, file=lambda file: READERS["text"](file)),
    "image": _Given(typed=_no_typed_image, file=lambda file: file),
    "vector": _Given(
        typed=lambda text: _vector(text, "TEXT"),
        file=_vector_file,
        value=lambda numbers: _vector(json.dumps(numbers), "vector"),
    ),
    "sequence": _Given(typed=lambda text: _sequence(text, "TEXT"), file=_sequence_file),
}


def of_line(snapshot: Collection, path: Path, number: int, line: str) -> tuple[str, Any, str]:
    """A line of a batch file as (id, checked payload, error), with "" for no error."""
    query_id = str(number)
    try:
        fields = json.loads(line)
        if not isinstance(fields, dict):
            raise InputError(f"expected a JSON object, got {type(fields).__name__}")
        query_id = str(fields.get("id", number))
        kind = kind_of(snapshot.kind)
        payload: Any
        if kind.key and kind.key in fields:
            payload = _GIVEN[kind.name].value(fields[kind.key])
        elif isinstance(fields.get("path"), str):
            payload = _of_file(kind.name, path.parent / fields["path"])
        else:
            keys = " or ".join(kind.keys)
            raise InputError(f"expected the key {keys}, got {', '.join(fields)}")
        snapshot.coder.prepare(payload)
    except (ValueError, RecursionError, HashretError, OSError) as error:
        return query_id, None, f"line {number}: {error}"
    return query_id, payload, ""
