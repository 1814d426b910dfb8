"""Read series of numbers or tokens from .npy and .npz files: each array is one, with its steps.

Only an array of three dimensions holds several, of equal length: then each of its rows is an item,
as of arrays of vectors (`arrays.vectors`).
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from hashret.errors import InputError
from hashret.items import Item
from hashret.specs.features import MOST_NUMBERS
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import files, ids
from indexer.corpus.arrays import vectors
from indexer.corpus.arrays.stored import (
    DAMAGE,
    SUFFIXES,
    StoredArray,
    holds_numbers,
    stored_arrays,
)

_EXPECTED = "expected an array of numbers (steps, width) or (steps,), or of tokens (steps,)"

_Arrays = dict[str, StoredArray]


def read_file(path: Path, before: str = "") -> Iterator[Item | Skipped]:
    """The series in a file that the user names, in its order.

    The id of an .npy is the file's name, that of an array in an .npz its own name. In an .npz with
    arrays of two dimensions, one of one dimension with as many values becomes metadata, `ids` the
    ids. What is no series is a `Skipped`. Raises InputError for a file that is no array file.
    """
    with ExitStack() as closing:
        arrays = stored_arrays(path, closing)
        if any(map(_is_several, arrays.values())):
            yield from vectors.read_file(path, "sequence", before=before)
            return
        is_one = path.suffix.lower() == ".npy"
        yield from _items(arrays, {"array": files.id_of(path.name)} if is_one else {}, {})


def is_array_file(path: Path) -> bool:
    """Whether a file has the suffix of one."""
    return path.suffix.lower() in SUFFIXES


def read_sequence(path: Path) -> np.ndarray:
    """The only series in an .npy or .npz file, as it is stored; raises `Refused` if none is."""
    if not is_array_file(path):
        got = path.suffix or "no suffix"
        raise Refused("other-type", f"expected an array file ({', '.join(SUFFIXES)}), got {got}")
    try:
        with ExitStack() as closing:
            arrays = stored_arrays(path, closing)
            fitting = [array for array in arrays.values() if _is_series(array)]
            if len(fitting) != 1:
                found = ", ".join(f"{name} {a.shape} of {a.dtype}" for name, a in arrays.items())
                raise Refused(
                    "bad-payload", f"{_EXPECTED}, one in a file, got {found[:200] or 'none'}"
                )
            return _read(fitting[0])
    except InputError as error:
        raise Refused("damaged-array", str(error).removeprefix(f"{path}: ")) from error


def series_of(entry: files.Entry, *, follow: bool) -> Iterator[Item | Skipped]:
    """The series in an array file of a folder or an archive; raises `Refused` if it can't be read.

    `follow` says whether its path may be a symbolic link.
    """
    try:
        with ExitStack() as closing:
            arrays = stored_arrays(entry.path, closing, data=entry.data, follow=follow)
            if any(map(_is_several, arrays.values())):
                reason = "expected one series, got an array of several; name it itself"
                raise Refused("other-type", reason)
            of_file = {name: f"{entry.id}/{name}" for name in arrays}
            if entry.path.suffix.lower() == ".npy":
                of_file = {"array": entry.id}
            yield from _items(arrays, of_file, entry.metadata)
    except InputError as error:
        reason = str(error).removeprefix(f"{entry.path}: ")
        raise Refused("damaged-array", reason) from error


def _items(
    arrays: _Arrays, names: dict[str, str], metadata: dict[str, Any]
) -> Iterator[Item | Skipped]:
    """The series among the arrays; `names` are their ids where these are not their own names."""
    series = {name: array for name, array in arrays.items() if len(array.shape) == 2}
    columns: dict[str, list[Any]] = {}
    if series:
        beside = {n: a for n, a in arrays.items() if vectors.is_column(a, len(series))}
        columns = {name: vectors.values_of(array) for name, array in beside.items()}
    given = columns.pop("ids", None)
    place = 0
    for name, array in arrays.items():
        if name in columns or (name == "ids" and given is not None):
            continue
        item_id: Any = names.get(name, name)
        try:
            if series and name not in series:
                raise Refused("bad-payload", f"{_EXPECTED}, got {array.dtype} of {array.shape}")
            row, place = place, place + 1
            item_id = ids.checked(item_id if given is None else given[row])
            fields = {column: values[row] for column, values in columns.items()}
            steps = {"steps": array.shape[0] if array.shape else 0}
            yield Item(item_id, _read(array), {**metadata, **steps, **fields})
        except Refused as refused:
            yield refused.skipped(str(item_id))


def _read(array: StoredArray) -> np.ndarray:
    """The whole array; raises `Refused` if it is no series, too large or damaged."""
    if not _is_series(array):
        raise Refused("bad-payload", f"{_EXPECTED}, got {array.dtype} of shape {array.shape}")
    n = array.shape[0]
    if n * array.row_bytes > 8 * MOST_NUMBERS or math.prod(array.shape) > MOST_NUMBERS:
        raise Refused("too-large", f"expected at most {MOST_NUMBERS:,} numbers, got {array.shape}")
    try:
        blocks = list(array.blocks(max(1, n)))
    except DAMAGE as error:
        raise Refused("damaged-array", f"expected a whole array, got: {error}") from error
    return blocks[0] if blocks else np.empty(array.shape, array.dtype)


def _is_several(array: StoredArray) -> bool:
    return len(array.shape) == 3 and holds_numbers(array)


def _is_series(array: StoredArray) -> bool:
    if len(array.shape) == 1 and array.dtype.kind in "US":
        return True
    return len(array.shape) in (1, 2) and holds_numbers(array)
