"""The ids of an array's rows: read from a file of ids, or the row numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from itertools import islice
from pathlib import Path
from typing import Any

from hashret.errors import InputError
from hashret.items import id_of
from hashret.unicode_text import is_unicode
from hashret.workers.refusals import Refused
from indexer.corpus.arrays.stored import StoredArray, stored_arrays
from indexer.corpus.lines import is_escaped, opened
from indexer.corpus.tables.compressed import DAMAGED

#: The longest id that may be given, in characters.
MAX_LENGTH = 4096


def checked(given: Any) -> str:
    """The id that a given value stands for, by `id_of`.

    Raises `Refused` ("bad-id") if the value is no id, or one that no catalog can store.
    """
    try:
        item_id = id_of(given)
    except (TypeError, ValueError) as error:
        raise Refused("bad-id", str(error)) from error
    if not item_id:
        raise Refused("bad-id", "id: expected at least one character, got none")
    if len(item_id) > MAX_LENGTH or "\0" in item_id:
        raise Refused(
            "bad-id", f"id: expected at most {MAX_LENGTH} characters and no NUL among them"
        )
    if not is_unicode(item_id):
        raise Refused("bad-id", f"id: expected Unicode text, got {item_id!r:.80}")
    return item_id


def beside(path: Path) -> Path | None:
    """The file of ids beside an array, ``<stem>.ids.txt`` or ``<stem>.ids``; None without one."""
    return next(filter(Path.exists, names_beside(path)), None)


def names_beside(path: Path) -> list[Path]:
    """The paths at which a file of ids is looked for; the first that exists is used."""
    return [path.with_name(path.stem + suffix) for suffix in (".ids.txt", ".ids")]


def from_array(array: StoredArray, n_rows: int) -> Iterator[Any]:
    """The values of a 1-D array of ids, strings or integers; bytes are decoded as UTF-8."""
    for block in array.blocks(n_rows):
        for value in block.tolist():
            yield value.decode("utf-8", "surrogateescape") if isinstance(value, bytes) else value


def from_file(path: Path, n_items: int, closing: ExitStack) -> Iterable[Any]:
    """The `n_items` ids in a file: a text in UTF-8, one id a line, or an .npy array.

    Blank lines at the end are ignored. The lines of a text are counted before the first id is
    returned. Raises InputError if the file is neither, or has another number of ids.
    """
    if path.suffix.lower() == ".npy":
        array = stored_arrays(path, closing)["array"]
        require_ids(array, n_items, path)
        return from_array(array, array.rows_per_block)
    n_lines = n_ids = 0
    for n_lines, line in enumerate(_lines(path), 1):
        n_ids = n_lines if line and not line.isspace() else n_ids
    if not n_ids <= n_items <= n_lines:
        raise InputError(
            f"{path}: expected {n_items} ids, one a line, got {n_ids}; give each row of the array "
            "one id"
        )
    return islice(_lines(path), n_items)


def require_ids(array: StoredArray, n_items: int, path: Path) -> None:
    """Raise InputError unless `array` has the shape (n_items,) and holds strings or integers."""
    if array.shape != (n_items,) or array.dtype.kind not in "USiu":
        raise InputError(
            f"{path}: expected {n_items} ids as strings or integers, got an array of {array.dtype} "
            f"with the shape {array.shape}; give each row of the array one id"
        )


def _lines(path: Path) -> Iterator[str]:
    try:
        with opened(path, "\n") as lines:
            while line := lines.read(MAX_LENGTH + 2):
                for _ in lines.discard():
                    pass
                if is_escaped(line):
                    raise InputError(f"{path}: line {lines.number}: expected UTF-8; convert it")
                yield line.removesuffix("\n").removesuffix("\r")
    except Refused as refused:
        raise InputError(f"{path}: {refused.reason}") from refused
    except (ValueError, *DAMAGED) as error:
        raise InputError(f"{path}: expected ids, one a line, got: {error}; check it") from error
