"""What a segment keeps of its items beside their codes: the columns of an Arrow IPC file.

The file holds one record batch, not compressed, so that it is mapped and one item is read without
the others (`hashret.store.segments.records`). Other tools read it too (pyarrow, Polars, DuckDB).
Its columns:

* ``id`` and ``preview`` (string), ``digest`` (the first 16 bytes of the content's SHA-256);
* ``metadata``, a struct of one column a key, of the one type (int64, double, bool, string) that
  holds all of its values exactly; else they are texts of JSON, which the field's metadata says;
* ``payload`` (binary), in a file of vectors or images that no model has seen, or of which the
  collection keeps them: what a model to come learns from (`hashret.features.kept`);
* ``other_metadata``, a JSON object of the keys that have no column;
* ``sorted_hash`` and ``hash_row``, not row for row: the hashes of the ids in ascending order, and
  the row of each (`hashret.store.segments.id_index`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Any

import numpy as np
import pyarrow as pa

#: Bytes of a content's digest: 128 bits tell any number of versions of an item apart.
DIGEST = 16
#: Keys of the metadata that have a column, at most; the most frequent ones of the segment do.
MOST_KEYS = 256
#: What the field's metadata says where a column holds texts of JSON.
JSON = {b"hashret": b"json"}
#: The type of a column whose values are all of one type.
TYPES: dict[type, pa.DataType] = {
    int: pa.int64(),
    float: pa.float64(),
    bool: pa.bool_(),
    str: pa.string(),
}
#: The type of each column that every file has.
COLUMNS = {
    "id": pa.string(),
    "digest": pa.binary(DIGEST),
    "preview": pa.string(),
    "sorted_hash": pa.uint64(),
    "hash_row": pa.uint32(),
}
#: The columns that a file has where its items have metadata.
METADATA, OTHERS = "metadata", "other_metadata"
#: The column that a file has where an item has a payload.
PAYLOAD = "payload"


@dataclass(frozen=True, slots=True)
class ItemRecord:
    """An item as a segment keeps it: its id, what it is known by, and what is shown of it."""

    id: str
    digest: bytes
    metadata: Mapping[str, Any]
    preview: str
    text: str | None = None
    """The text itself, where the collection keeps texts (`hashret.store.segments.value_files`)."""
    payload: bytes | None = None
    """What a model to come learns from of a vector or an image, where that is kept."""
    thumbnail: bytes | None = None
    """The thumbnail of an image, where the collection keeps them."""


def hashes(ids: Iterable[str]) -> np.ndarray:
    """The 64-bit hashes of ids, (n,) uint64: the first 8 bytes of their BLAKE2b."""
    digests = (blake2b(one.encode(), digest_size=8).digest() for one in ids)
    return np.frombuffer(b"".join(digests), "<u8")
