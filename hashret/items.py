"""What goes in and what comes out: `Item`, `Hit` and `Hits`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload

import numpy as np

#: A text, a vector or decoded image, or the path of an image file.
Payload = str | np.ndarray | Path

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to index: the user's id, the payload and any metadata.

    `payload` is a `str` for text; for an image a `Path` or an array (height, width) or
    (height, width, channels) of uint8; for a vector a 1-D float array. `metadata` has string
    keys and values that JSON can hold.
    """

    id: str
    payload: Payload
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: an item of the collection and how near it is to the query.

    `distance` is the Hamming distance in bits. `score` lies in [0, 1], higher is better: the
    share of bits expected to agree, given how certain the query is of each of its bits; it
    orders hits of equal distance and is not comparable between collections. `code` is the
    stored code in hexadecimal, byte by byte. `preview` is the beginning of a text, "" for
    other payloads.
    """

    id: str
    distance: int
    score: float
    code: str
    metadata: Mapping[str, Any]
    preview: str = ""


@dataclass(frozen=True, slots=True)
class Hits(Sequence[Hit]):
    """The hits of one query, best first: by (distance, -score, id).

    `note` says in words why there are none where that is not plain (a text with no known
    word), else it is "". `complete_radius` is the distance in bits up to which (inclusive)
    no item of the snapshot was missed before the cut at k; -1 if nothing was searched.
    """

    hits: tuple[Hit, ...]
    note: str = ""
    complete_radius: int = -1

    @overload
    def __getitem__(self, index: int) -> Hit: ...
    @overload
    def __getitem__(self, index: slice) -> tuple[Hit, ...]: ...
    def __getitem__(self, index: int | slice) -> Hit | tuple[Hit, ...]:
        return self.hits[index]

    def __len__(self) -> int:
        return len(self.hits)

    def __iter__(self) -> Iterator[Hit]:
        return iter(self.hits)
