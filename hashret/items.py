"""What a collection takes and returns: `Item`, `StoredItem`, `Hit`, `Hits`, `Approximation`."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, time
from numbers import Integral
from operator import index
from os import PathLike
from pathlib import PurePath
from types import MappingProxyType
from typing import IO, Any, Literal, Protocol, overload
from uuid import UUID

import numpy as np

from hashret.errors import PayloadError
from hashret.plan import Plan


class Decoded(Protocol):
    """A Pillow image: the part of its interface that is used here."""

    mode: str

    def tobytes(self) -> bytes:
        """The pixel values, as bytes."""
        ...


#: A text; a vector, decoded image or series of numbers; an image file: its path, its bytes or an
#: open file object; or the steps of a sequence.
Payload = (
    str
    | PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | IO[bytes]
    | np.ndarray
    | Decoded
    | Sequence[str]
    | Sequence[float]
    | Sequence[Sequence[float]]
)

#: What decided the order of hits.
OrderedBy = Literal["codes", "words", "features", "words and codes", "codes and features"]

#: The types that are accepted as an id; `id_of` turns each into a string.
Id = str | int | np.integer[Any] | UUID

#: Levels that metadata may nest, the outermost object counted: more than anybody needs, and far
#: fewer than would overflow the stack when it is written.
MAX_DEPTH = 100
#: Bits of the longest integer accepted: Python writes and reads at most 4,300 digits.
_MAX_INTEGER_BITS = 14_000

_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Item:
    """One thing to index: the user's id, the payload and any metadata.

    `payload` is a `str` for text; for a vector a 1-D float array; for an image the path of a file
    (`str` or `PathLike`, and nothing else is one), the file's content (bytes, or a file object open
    for reading them), a Pillow image, or an array (height, width) or (height, width, channels); for
    a sequence an array (steps, numbers) or (steps,), or a list of steps: tokens, numbers, or lists
    of numbers; or a string of tokens (`SequenceSpec.unit`). `metadata` has string keys and values
    that JSON can hold. Some other ids and values are accepted and converted: see `id_of` and
    `metadata_of`.
    """

    id: str
    payload: Payload
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NOTHING)


def late(name: str) -> Callable[[type], Any]:
    """A decorator for a dataclass with slots whose field `name` may be read late.

    Where the field is given a function without arguments, this is called when the field is first
    read, and its result is the value from then on. Whatever looks at the field reads it: `replace`,
    `asdict`, `copy` and `pickle` too.
    """

    def decorated(dataclass: type) -> type:
        setattr(dataclass, name, _Late(getattr(dataclass, name)))
        return dataclass

    return decorated


class _Late:
    """What stands in the place of the field's slot. Two threads may both read it, to no harm."""

    def __init__(self, slot: Any):
        self._slot = slot

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        value = self._slot.__get__(owner)
        if callable(value):
            value = value()
            self._slot.__set__(owner, value)
        return value

    def __set__(self, owner: Any, value: Any) -> None:
        self._slot.__set__(owner, value)


@late("text")
@dataclass(frozen=True, slots=True)
class Hit:
    """One answer: an item of the collection and how near it is to the query.

    `distance` is the Hamming distance in bits. `score` lies in [0, 1], higher is better: the share
    of bits expected to agree, given how certain the query is of each of its bits; it orders hits of
    equal distance and is not comparable between collections. `code` is the stored code in
    hexadecimal, byte by byte. `preview` is the beginning of a text or a sequence, "" for other
    payloads. `similarity` is None unless features decided the order; then it is the cosine of the
    features for texts and for vectors with that metric, for sequences of tokens how much they have
    in common (0 to 1), minus their Euclidean distance for all others. `words` is None unless the
    words of texts decided it; then it is their BM25 score (`hashret.words.bm25`), 0 for a text with
    none of the words. `fused` is None unless codes and words or features decided it together; then
    the hits are in its order: of words and codes the mean of both, each from 0 to 1, the least and
    the most among the candidates (`rank.fused`); of codes and features the sum of both,
    each in its standard deviations. An item, or a query, that has no code is found by words alone:
    then the distance is -1, and the score 0.

    `text` is the whole text of the commit that was asked, None where the collection keeps none. It
    is read when it is first asked for, and when the hit is copied or pickled, which takes it along;
    hits are compared without it. A hit keeps the files of its commit from being deleted until its
    collection is closed; then a text can be read until a compaction deletes it, which is a
    CollectionError.
    """

    id: str
    distance: int
    score: float
    code: str
    metadata: Mapping[str, Any]
    preview: str = ""
    similarity: float | None = None
    text: str | None = field(default=None, compare=False, repr=False)
    words: float | None = None
    fused: float | None = None


@late("text")
@dataclass(frozen=True, slots=True)
class StoredItem:
    """An item as the collection keeps it.

    `code` is hexadecimal, byte by byte, "" for an item without a code; `preview` is the beginning
    of a text or a sequence, and `text` the whole, None where the collection keeps no texts. A text
    is read late, as that of a `Hit` is, but it counts when items are compared.
    """

    id: str
    metadata: dict[str, Any]
    code: str
    preview: str
    text: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class Approximation:
    """The index that gave an approximate answer, and its measured recall.

    `recall` is the mean recall@k for `n_queries` stored codes that were left out of the index when
    it was measured; items at the distance of the k-th count as equally good. It is None if there
    are too few codes to leave any out, or if the index measures none. `parameters` are those of the
    index, under the names that its library gives them.
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
    """The hits of one query, best first.

    They are ordered by (distance, -score, id); for an asymmetric query by (-score, distance, id);
    after `rerank` by words or by similarity first; for a hybrid query by the fused score of codes
    and words. `by` says which (`OrderedBy`). `note` says why there are no hits if that is not
    obvious (a text without a known word), else it is "".
    `complete_radius` is a distance in bits: before the list was cut at k, no item within it
    (inclusive) was missed; with `rerank`, before its shortlist was chosen. It is -1 if the search
    was not by distance alone, or was approximate: then `approximation` says how, else that is None.
    For a query with `probes`, 0 means that these are certainly the best by score and -1 that they
    may not be.
    `plan` says how the hits were found and with how much work; None if nothing was searched.
    """

    hits: tuple[Hit, ...]
    note: str = ""
    complete_radius: int = -1
    approximation: Approximation | None = None
    plan: Plan | None = field(default=None, compare=False, repr=False)
    by: OrderedBy = "codes"

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
    """An id as a string: a `str` unchanged, an integer in decimal digits, a UUID by `str`.

    NumPy's integers are accepted; True and False are not. Raises TypeError for anything else, and
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
    """The given id or ids as a list of strings, and whether it was a single id.

    A `str` is one id, not an iterable of letters. Raises TypeError for anything that is neither an
    id nor an iterable of ids, and the errors of `id_of`.
    """
    if isinstance(given, str | bytes | bytearray) or not isinstance(given, Iterable):
        return [id_of(given)], True
    return [id_of(one) for one in given], False


def metadata_of(given: Any) -> dict[str, Any]:
    """The metadata as JSON can hold it, and as `json.loads` would return it.

    `given` is a mapping, or None for no metadata. Keys are strings, or integers, which become
    decimal digits. Strings, booleans, integers, finite floats and None stay as they are, also those
    of NumPy. Dates, times and NumPy's `datetime64` become strings in ISO 8601, UUIDs and paths
    strings by `str`; mappings become objects, and lists, tuples and arrays become lists. Raises
    `PayloadError` ("bad-metadata"), which names the key, for anything else (bytes, sets, NaN, ...)
    and for more than `MAX_DEPTH` levels.
    """
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        raise _not_json((), "a mapping of names and values", given)
    return _object(given, ())


def _object(given: Mapping[Any, Any], above: tuple[Any, ...]) -> dict[str, Any]:
    if len(above) >= MAX_DEPTH:
        raise _not_json(above[:1], f"values nested at most {MAX_DEPTH} deep")
    found: dict[str, Any] = {}
    for key, value in given.items():
        name = key if type(key) is str else _name(key, above)
        if name in found:
            raise _not_json(above, f"each key once, and got the key {name!r} twice")
        found[name] = value if _is_plain(value) else _json_value(value, (*above, key))
    return found


def _name(key: Any, above: tuple[Any, ...]) -> str:
    try:
        if not isinstance(key, UUID):
            return id_of(key)
    except (TypeError, ValueError):
        pass
    raise _not_json(above, "strings or integers as keys", key)


def _is_plain(value: Any) -> bool:
    """Whether a value stays as it is; asked first, because nearly all values do."""
    kind = type(value)
    if kind is int:
        return -(2**63) <= value < 2**63
    return kind is str or kind is bool or value is None or (kind is float and math.isfinite(value))


def _json_value(value: Any, keys: tuple[Any, ...]) -> Any:
    """The value as JSON can hold it; `keys` lead to it, for an error."""
    if _is_plain(value):
        return value
    if isinstance(value, str):
        return str.__str__(value)
    if isinstance(value, np.bool_):
        return bool(value)
    if isinstance(value, Integral):
        if index(value).bit_length() > _MAX_INTEGER_BITS:
            raise _not_json(keys, "integers of at most 4,214 digits, and got a longer one")
        return index(value)
    if isinstance(value, float | np.floating):
        if not math.isfinite(value):
            raise _not_json(keys, "finite numbers", value)
        return float(value)
    if isinstance(value, date | time | np.datetime64):
        if value != value:  # NaT ("not a time") of NumPy or pandas
            raise _not_json(keys, "a time", value)
        return str(value) if isinstance(value, np.datetime64) else value.isoformat()
    if isinstance(value, UUID | PurePath):
        return str(value)
    if isinstance(value, Mapping):
        return _object(value, keys)
    if isinstance(value, np.ndarray):
        value = value.tolist()
        if not isinstance(value, list):
            return _json_value(value, keys)
    if isinstance(value, list | tuple):
        if len(keys) >= MAX_DEPTH:
            raise _not_json(keys[:1], f"values nested at most {MAX_DEPTH} deep")
        return [_json_value(one, (*keys, place)) for place, one in enumerate(value)]
    raise _not_json(keys, "what JSON can hold", value)


def _not_json(keys: tuple[Any, ...], expected: str, *got: Any) -> PayloadError:
    """The error for what JSON can't hold at these keys."""
    where = "metadata" + "".join(f"[{_shortened(key)}]" for key in keys)
    told = f", got {type(got[0]).__name__} {_shortened(got[0])}" if got else ""
    return PayloadError(
        f"{where}: expected {expected}{told}; convert it or leave it out", "bad-metadata"
    )


def _shortened(given: Any) -> str:
    """The value as an error message shows it, shortened."""
    try:
        part = given[:80] if isinstance(given, str | bytes | bytearray) else given
        return f"{part!r:.80}"
    except Exception:  # a stranger's __repr__
        return "that cannot be shown"
