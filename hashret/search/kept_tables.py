"""Large hash tables, kept in the user's cache folder for the next process."""

from __future__ import annotations

from contextlib import suppress
from hashlib import sha256

from hashret.codes import Codes
from hashret.errors import DamagedError
from hashret.indexes.table.index import TableIndex
from hashret.outside.machine_cache import read_arrays, write_arrays

#: Number of codes from which on a table is kept; a smaller one is built in a tenth of a second.
MANY = 1 << 20
_LAYOUT = 1  # version of the layout, part of the name: tables of other versions are ignored


def table_of(codes: Codes) -> TableIndex:
    """The table of these codes; with `MANY` or more it is kept under a digest of the codes.

    What is kept is read only if each of its bytes is as it was written (`read_arrays`), so damage
    costs time but never a wrong answer. If the cache folder can't be read or written, the table is
    built.
    """
    if len(codes) < MANY:
        return TableIndex(codes)
    name = f"table-{_LAYOUT}-{codes.n_bits}-{sha256(codes.packed.data).hexdigest()}"
    if kept := read_arrays(name):
        with suppress(DamagedError):
            return TableIndex.from_tensors(codes, kept)
    built = TableIndex(codes)
    write_arrays(name, built.tensors())
    return built
