"""Read arrays in .npy and .npz files: one item for each row, a vector, an image or a sequence."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from hashret.errors import InputError
from hashret.items import Item
from hashret.workers.refusals import Refused, Skipped
from indexer.corpus import ids
from indexer.corpus.arrays.stored import (
    DAMAGE,
    SUFFIXES,
    StoredArray,
    holds_numbers,
    stored_arrays,
)
from indexer.corpus.documents import Found

_Arrays = dict[str, StoredArray]


def read_files(
    paths: Sequence[Path], kind: str, ids_files: Sequence[Path]
) -> Iterator[Iterator[Found]]:
    """For each file its items; `ids_files` has one file of ids for all of them, or one for each.

    Raises InputError if a file of ids does not have one id for every row.
    """
    if len(ids_files) == len(paths):
        for path, ids_file in zip(paths, ids_files, strict=True):
            yield read_file(path, kind, ids_file)
        return
    with ExitStack() as closing:
        sizes = [_n_rows(path, kind) for path in paths]
        given = iter(ids.from_file(ids_files[0], sum(sizes), closing))
        for path, size in zip(paths, sizes, strict=True):
            of_this = islice(given, size)
            yield read_file(path, kind, given=of_this)
            deque(of_this, maxlen=0)  # drops the ids of rows that are missing in a damaged file


def _n_rows(path: Path, kind: str) -> int:
    with ExitStack() as closing:
        arrays = stored_arrays(path, closing)
        return arrays[_chosen(arrays, kind, path)].shape[0]


def read_file(
    path: Path,
    kind: str,
    ids_file: Path | None = None,
    *,
    given: Iterator[Any] | None = None,
    before: str = "",
) -> Iterator[Item | Skipped]:
    """Every row of the array in a file as an item of `kind`, in order.

    An .npz may have several arrays. Then the items are in the one called `embeddings` or `vectors`
    (for images `images`, for sequences `sequences` or `series`), or else in the only one of a
    suitable shape and type. Vectors of floats become float32.

    The ids are `given`, or come from `ids_file`, from an array `ids` in the .npz, or from
    ``<stem>.ids.txt`` or ``<stem>.ids`` beside the file. Without any of these an id is `before` and
    the row's number, from 0. Further 1-D arrays of the same length become metadata; numbers that
    JSON can't hold become null.

    Raises InputError if it is not clear which array has the items, or if the number of ids differs.
    If a file is damaged, the rows that are missing are one last `Skipped`.
    """
    with ExitStack() as closing:
        arrays = stored_arrays(path, closing)
        name = _chosen(arrays, kind, path)
        main = arrays.pop(name)
        n_items = main.shape[0]
        stored_ids = arrays.pop("ids", None) if ids_file is None and given is None else None
        columns = {name: array for name, array in arrays.items() if is_column(array, n_items)}
        n_rows = min(a.rows_per_block for a in [main, *columns.values()])
        if given is None:
            given = _ids(path, n_items, ids_file, stored_ids, before, closing)
        metadata = _metadata(columns, n_rows)
        row = 0
        try:
            for payloads in main.blocks(n_rows):
                block = zip(
                    _ROWS[kind].payloads(payloads),
                    islice(given, len(payloads)),
                    islice(metadata, len(payloads)),
                    strict=True,
                )
                for payload, given_id, fields in block:
                    yield _item(f"{before}{row}", payload, given_id, fields)
                    row += 1
        except DAMAGE as error:
            reason = f"rows {row} to {n_items - 1} can't be read: {error}"
            yield Skipped(f"{before}{row}", reason, "damaged-array")


def kind_of(path: Path) -> str:
    """The kind of the items in an array file; raises InputError if it is not clear.

    Several arrays of one width are sequences if none of them must be the vectors, and so is an
    array of three dimensions that are no pixels.
    """
    with ExitStack() as closing:
        arrays = stored_arrays(path, closing)
        tables = [array for array in arrays.values() if _is_vectors(array)]
        if tables:
            are_alike = len(tables) > 1 and len({array.shape[1] for array in tables}) == 1
            return "sequence" if are_alike and not _is_clear(arrays, path) else "vector"
        several = [one for one in arrays.values() if _are_sequences(one) and not _is_images(one)]
        if len(several) == 1:
            return "sequence"
        _chosen(arrays, "image", path)
        return "image"


def _is_clear(arrays: _Arrays, path: Path) -> bool:
    """Whether it is clear which of the arrays has the vectors."""
    try:
        _chosen(arrays, "vector", path)
    except InputError:
        return False
    return True


def are_numbered(path: Path) -> bool:
    """Whether a source is a file of arrays whose rows have only their numbers as ids."""
    if path.suffix.lower() not in SUFFIXES or ids.beside(path) is not None:
        return False
    with ExitStack() as closing:
        return "ids" not in stored_arrays(path, closing)


def _item(row: str, payload: np.ndarray | Refused, given: Any, fields: Any) -> Item | Skipped:
    try:
        item_id = ids.checked(given)
    except Refused as refused:
        return refused.skipped(row)
    if isinstance(payload, Refused):
        return payload.skipped(item_id)
    return Item(item_id, payload, fields)


def _chosen(arrays: _Arrays, kind: str, path: Path) -> str:
    """The name of the array with the items; raises InputError if it is not clear which one."""
    rows = _ROWS[kind]
    fitting = [name for name, array in arrays.items() if rows.fits(array)]
    for name in rows.names:
        if name in fitting:
            return name
    floats = [name for name in fitting if arrays[name].dtype.kind == "f"]
    for only in (fitting, floats):
        if len(only) == 1:
            return only[0]
    found = ", ".join(f"{name} {a.shape} of {a.dtype}" for name, a in arrays.items())
    raise InputError(
        f"{path}: expected one array {rows.shape}, got {found or 'no array'}; "
        f"name the array with the items {rows.names[0]!r}"
    )


def _is_vectors(array: StoredArray) -> bool:
    return len(array.shape) == 2 and array.shape[1] > 0 and holds_numbers(array)


def _is_images(array: StoredArray) -> bool:
    is_grey = len(array.shape) == 3
    is_colour = len(array.shape) == 4 and array.shape[3] in (1, 3, 4)
    is_pixels = array.dtype.kind == "u" and array.dtype.itemsize <= 2
    return (is_grey or is_colour) and is_pixels and 0 not in array.shape[1:]


def _are_sequences(array: StoredArray) -> bool:
    return len(array.shape) == 3 and 0 not in array.shape[1:] and holds_numbers(array)


def is_column(array: StoredArray, n_items: int) -> bool:
    """Whether an array has a value of metadata for each of so many items."""
    return array.shape == (n_items,) and array.dtype.kind in "biufUSmM"


def _ids(
    path: Path,
    n_items: int,
    ids_file: Path | None,
    stored: StoredArray | None,
    before: str,
    closing: ExitStack,
) -> Iterator[Any]:
    if stored is not None:
        ids.require_ids(stored, n_items, path)
        return ids.from_array(stored, stored.rows_per_block)
    found = ids_file or ids.beside(path)
    if found:
        return iter(ids.from_file(found, n_items, closing))
    return (f"{before}{row}" for row in range(n_items))


def _finite(block: np.ndarray) -> Iterable[np.ndarray | Refused]:
    """The rows of a block of vectors in float32, with refusals of those that are not finite."""
    if block.dtype.kind in "iu":  # integers stay as they are, because they may be packed bits
        return block
    with np.errstate(over="ignore"):  # numbers too large for float32 become infinite: refused below
        rows = block.astype(np.float32)
    refused = Refused("not-finite", "expected finite numbers (in float32), got NaN or infinity")
    finite = np.atleast_1d(np.isfinite(rows).all(axis=1))
    return (row if ok else refused for row, ok in zip(rows, finite, strict=True))


class _Rows(NamedTuple):
    """What arrays with items of one kind look like."""

    names: tuple[str, ...]
    """The names of such an array in an .npz, in the order of preference."""
    fits: Callable[[StoredArray], bool]
    """Whether an array has a suitable shape and type."""
    shape: str
    """The expected shape and type, for messages."""
    payloads: Callable[[np.ndarray], Iterable[np.ndarray | Refused]]
    """From a block of rows to the payloads of the items."""


_ROWS = {
    "image": _Rows(("images",), _is_images, "(n, height, width[, 3]) of uint8", iter),
    "sequence": _Rows(
        ("sequences", "series"), _are_sequences, "(n, steps, width) of numbers", iter
    ),
    "vector": _Rows(("embeddings", "vectors"), _is_vectors, "(n, width) of numbers", _finite),
}


def values_of(array: StoredArray) -> list[Any]:
    """The values of a 1-D array, as JSON can hold them."""
    return [value for block in array.blocks(array.rows_per_block) for value in _plain(block)]


def _metadata(columns: _Arrays, n_rows: int) -> Iterator[dict[str, Any]]:
    """The metadata of each row; endless empty ones if there are no columns."""
    values = [chain.from_iterable(map(_plain, a.blocks(n_rows))) for a in columns.values()]
    if not values:
        while True:
            yield {}
    for row in zip(*values, strict=True):
        yield dict(zip(columns, row, strict=True))


def _plain(block: np.ndarray) -> list[Any]:
    """The values of a 1-D block as Python values that JSON can hold."""
    kind = block.dtype.kind
    if kind == "f":
        return [v if math.isfinite(v) else None for v in block.astype(np.float64).tolist()]
    if kind == "S":
        return [value.decode("utf-8", "replace") for value in block.tolist()]
    if kind == "U":
        return [v.encode("utf-8", "replace").decode("utf-8") for v in block.tolist()]
    return block.astype(str).tolist() if kind in "mM" else block.tolist()
