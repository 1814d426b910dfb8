"""What goes in and what comes out: `Item`, `Hit`, `Hits` and `Approximation`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from numbers import Integral
from operator import index
from pathlib import Path
from types import MappingProxyType
from typing import Any, overload
from uuid import UUID

import numpy as np

from hashret.plan import Plan

#: A text, a vector or decoded image, or the path of an image file.
Payload = str | np.ndarray | Path

#: What is taken for an id, by `id_of`.
Id = str | int | np.integer[Any] | UUID

#: The longest integer that is taken, in bits: Python writes and reads no more than 4,300 digits.
_MAX_INTEGER_BITS = 14_000

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
    other payloads. `similarity` is that of the features where a shortlist was ranked by them: the
    cosine of texts and of vectors compared by it, minus the Euclidean distance of others; else
    None.
    """

    id: str
    distance: int
    score: float
    code: str
    metadata: Mapping[str, Any]
    preview: str = ""
    similarity: float | None = None


@dataclass(frozen=True, slots=True)
class Approximation:
    """What an answer of an approximate index is worth.

    `recall` is the share of the `k` nearest that was found, on average, for `n_queries` stored
    codes that the index did not hold when it was asked: any item at the distance of the k-th is as
    good as another. None where there were too few codes to hold any out, or the index does not
    say. `parameters` are those of the index, by the names of the library that it comes from.
    """

    index: str
    parameters: Mapping[str, int] = field(default_factory=lambda: _NOTHING)
    recall: float | None = None
    k: int = 0
    n_queries: int = 0

    def __str__(self) -> str:
        if self.recall is None:
            return f"approximate ({self.index}): recall not measured"
        measured = f"measured on {self.n_queries} held-out codes"
        return f"approximate ({self.index}): recall@{self.k} {self.recall:.3f}, {measured}"


@dataclass(frozen=True, slots=True)
class Hits(Sequence[Hit]):
    """The hits of one query, best first: by (distance, -score, id), of an asymmetric query by
    (-score, distance, id); by similarity before those where they were ranked again.

    `note` says in words why there are none where that is not plain (a text with no known
    word), else it is "". `complete_radius` is the distance in bits up to which (inclusive)
    no item of the snapshot was missed before the cut at k; -1 if nothing was searched by
    distance, or only approximately: then `approximation` says how, else it is None. Of an answer
    by `probes` 0 says that these are the first by score, -1 that more may be. `plan` says how
    the hits were found, and by how much work; None where nothing was searched.
    """

    hits: tuple[Hit, ...]
    note: str = ""
    complete_radius: int = -1
    approximation: Approximation | None = None
    plan: Plan | None = field(default=None, compare=False, repr=False)

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


def id_of(given: Any) -> str:
    """The id that was given: a `str` as it is, an integer in decimal digits, a UUID by `str`.

    Integers of NumPy are integers, True and False are none. Raises TypeError for anything else and
    ValueError for an integer of more than 4,214 digits.
    """
    if type(given) is str:
        return given
    if isinstance(given, str):
        return str.__str__(given)  # the text itself, also of an Enum that has one
    if isinstance(given, UUID):
        return str(given)
    if not isinstance(given, bool) and isinstance(given, Integral):
        number = index(given)
        if number.bit_length() <= _MAX_INTEGER_BITS:
            return str(number)
        raise ValueError("id: expected an integer of at most 4,214 digits, got a longer one")
    remedy = "decode it" if isinstance(given, bytes | bytearray) else "pass str(...) of it"
    raise TypeError(
        f"id: expected a string, an integer or a UUID, got {type(given).__name__} "
        f"{_shortened(given)}; {remedy}"
    )


def ids_of(given: Any) -> tuple[list[str], bool]:
    """The ids in what a caller gave, and whether it was a single one, as `id_of` takes it.

    A `str` is one id, never its letters. Raises TypeError for what is neither an id nor an iterable
    of ids, and what `id_of` raises.
    """
    if isinstance(given, str | bytes | bytearray) or not isinstance(given, Iterable):
        return [id_of(given)], True
    return [id_of(one) for one in given], False


def _shortened(given: Any) -> str:
    """What was given as a message shows it, on which nothing can depend."""
    try:
        return f"{given!r:.80}"
    except Exception:  # a stranger's __repr__
        return "that cannot be shown"


def is_unicode(text: str) -> bool:
    """Whether a string is Unicode text: one with half of a surrogate pair is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_storable(text: str) -> bool:
    """Whether a string can stand in a catalog: Unicode text without NUL."""
    return "\0" not in text and is_unicode(text)
