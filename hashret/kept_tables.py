"""The hash table of many codes: mapped from the user's cache folder, or built and kept there."""

from __future__ import annotations

from hashlib import sha256

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.indexes.table import TableIndex
from hashret.store.kept_arrays import forget_arrays, read_arrays, write_arrays

#: Of fewer codes than this the table is built, in a fifth of a second, and not kept.
MANY = 1 << 20
_LAYOUT = 1  # part of the name: tables of another layout are not looked at


def table_of(codes: Codes) -> TableIndex:
    """The table of these codes; of `MANY` it is kept for the next process, by what they are.

    What was kept is compared with the codes, row by row: damage costs time, never answers. Where
    the cache folder can't be read or written the table is built.
    """
    if len(codes) < MANY:
        return TableIndex(codes)
    digest = sha256(codes.packed.data).hexdigest()[:32]
    name = f"table-{_LAYOUT}-{codes.n_bits}-{digest}"
    if kept := read_arrays(name):
        try:
            return TableIndex.from_tensors(codes, kept)
        except DamagedError:
            forget_arrays(name)
    built = TableIndex(codes)
    write_arrays(name, built.tensors())
    return built
