"""A question to a collection, and what it is asked about.

How many hits or how near, in which order, among which items; about payloads, which are encoded, or
codes as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from numbers import Real
from os import PathLike
from typing import Any, Literal, Self, get_args

import numpy as np

from hashret.arguments import require_instance, shown, whole
from hashret.coder import Coder, Encoding
from hashret.codes import Codes, require_same_bits
from hashret.errors import HashretError, PayloadError
from hashret.items import Item, Payload
from hashret.kinds import kind_of
from hashret.snapshot import Snapshot
from hashret.sparse import Features, take_rows

Order = Literal["distance", "score", "hybrid", "auto"]
RerankBy = Literal["words", "features", "both"]
#: How many nearest codes and how many best texts a hybrid question fuses, or k of each if that is
#: more. On Cranfield, 50 lose .004 of nDCG@10, and 200 gain nothing.
FUSED = 100
#: The same where hits are to be of different groups. Asked for a sentence of documents of 20 posts
#: each, the right document is first in .92 of the cases; with 100 in .91, with 1,000, which take
#: longer, in .93.
GROUPED = 300
#: A text of at most so many words is a question in words; a longer one asks for more like it. Of
#: 200 posts of 20 Newsgroups (P@10 of 400 questions, the beginnings of posts), words and codes are
#: better than codes alone up to 8 words (.125, .122), worse at 32 (.174, .201); of all 18,331 they
#: are better up to 100 (.739, .701), and on Cranfield, whose questions have 5 to 45 words.
IN_WORDS = 32
#: A collection of at most so many texts has its codes and features ordered together. Of 50 to 200
#: posts the sum is better than either, of 500 the codes alone are (docs/adr/0028).
FEW = 300


@dataclass(frozen=True, slots=True)
class Question:
    """A request for the k nearest items, or for all within a radius; checked when it is made.

    Raises `QuestionError`, a ValueError, for fields that don't go together or are out of range, and
    TypeError for numbers that aren't whole.
    """

    k: int | None = 10
    """The largest number of hits; None, allowed only with a radius, means no limit."""
    radius: int | None = None
    """Only items within so many bits, inclusive; None means the nearest at any distance."""
    order: Order = "distance"
    """"distance": by distance, then score. "score": by the query's confidences in stored bits.
    "hybrid": the nearest codes and the texts with the query's words, by their fused score.
    "auto": "hybrid" for a question in words (`IN_WORDS`) where texts are kept, else "distance". For
    more like a text among at most `FEW` with features it is codes and features together."""
    probes: int | None = None
    """With the order "score", open at most so many buckets; None means compare all codes."""
    rerank: int | None = None
    """The number of items that words or features put in order: the best by score of three times as
    many nearest codes. 0: codes alone decide; None: codes decide, but copies of an image come
    first."""
    where: str | None = None
    """A condition on the metadata: only items that satisfy it are searched."""
    index: str | Callable[[Codes], Any] | None = None
    """The name of an index, or a function that builds one; None: that of the collection."""
    group: str | None = None
    """A metadata field: of the items with one value of it only the best is a hit."""
    rerank_by: RerankBy | None = None
    """What orders the shortlist of `rerank`: "words" (BM25 over the stored texts), the similarity
    of "features", or "both", the sum of this and the score, each in its standard deviations over
    the shortlist. None: words for a question in words (`IN_WORDS`) where texts are kept, else
    features."""

    def __post_init__(self) -> None:
        k, radius, rerank = self.k, self.radius, self.rerank
        if k is None and radius is None:
            raise QuestionError("{k}: expected a number, got none; give one, or {radius}")
        if k is not None and whole("k", k) < 1:
            raise QuestionError(f"{{k}}: expected at least 1, got {k}; ask for one hit or more")
        if radius is not None and whole("radius", radius) < 0:
            raise QuestionError(
                f"{{radius}}: expected 0 bits or more, got {radius}; it includes its bound"
            )
        if self.order != "distance":
            self._require_no_distance("a radius" if radius is not None else "")
        if self.order in ("hybrid", "auto") and rerank is not None:
            raise QuestionError(
                f"{{hybrid}}: expected no {{rerank}} beside it, got {rerank}; leave one out"
            )
        if self.order != "score" and self.probes is not None:
            raise QuestionError("{probes}: expected {order}, got none; probes go by score")
        if self.probes is not None and whole("probes", self.probes) < 1:
            raise QuestionError(
                f"{{probes}}: expected at least 1, got {self.probes}; the first is the bucket"
            )
        if rerank is not None and whole("rerank", rerank) and rerank < (k or 1):
            raise QuestionError(
                f"{{rerank}}: expected at least {{k}}, {k}, got {rerank}; rank as many as are to "
                "be shown"
            )
        if rerank and radius is not None:
            raise QuestionError(
                f"{{rerank}}: expected none beside {{radius}}, got {rerank}; it orders the nearest"
            )
        if self.rerank_by is not None:
            require_instance("rerank_by", self.rerank_by, str)
            if self.rerank_by not in get_args(RerankBy):
                got = shown(self.rerank_by).replace("{", "{{").replace("}", "}}")
                raise QuestionError(
                    f"{{rerank_by}}: expected 'words', 'features' or 'both', got {got}; choose one"
                )
        if self.rerank_by is not None and not rerank:
            number = "none" if rerank is None else rerank
            raise QuestionError(
                f"{{rerank_by}}: expected {{rerank}} beside it, got {number}; say how many to rank"
            )
        beside = (
            "{order} and {probes}"
            if self.by_score
            else "a condition"
            if self.where is not None
            else "{radius}"
            if radius is not None
            else ""
        )
        if self.group is not None:
            require_instance("group", self.group, str)
        if self.index is not None and beside:
            raise QuestionError(
                f"{{index}}: expected none beside {beside}: that is answered exactly without it; "
                "leave one out"
            )

    @property
    def by_score(self) -> bool:
        """Whether hits are ordered by score first, and not by distance."""
        return self.order == "score"

    @property
    def is_hybrid(self) -> bool:
        """Whether hits are ordered by words and codes."""
        return self.order == "hybrid"

    @property
    def is_open(self) -> bool:
        """Whether it depends on what is asked about in which order the hits are to be."""
        return self.order == "auto" or bool(self.rerank and self.rerank_by is None)

    @property
    def asks_no_order(self) -> bool:
        """Whether it leaves open what orders the hits, so that the order may be what suits it."""
        asked = self.order, self.radius, self.rerank, self.index
        return asked == ("distance", None, None, None)

    def decided(self, *, by_words: bool, few: int = 0) -> Question:
        """The same question, but not open any more.

        `few` is the number of the items where they have features and are at most `FEW`, else 0.
        """
        if self.order == "auto" and few and not by_words:
            rerank = max(few, self.k or 0)
            return replace(self, order="distance", rerank=rerank, rerank_by="both")
        order: Order = "hybrid" if by_words else "distance"
        rerank_by: RerankBy = "words" if by_words else "features"
        return replace(
            self,
            order=order if self.order == "auto" else self.order,
            rerank_by=rerank_by if self.rerank else None,
        )

    @property
    def depth(self) -> int | None:
        """The number of items from which the hits are chosen; None means no limit."""
        if self.is_hybrid:
            return max(FUSED if self.group is None else GROUPED, self.k or 0)
        return self.rerank or self.k

    def require_of_stored(self) -> None:
        """Raise `QuestionError` for an order that a stored item has not.

        Its code has no confidences, and more like it are found by codes.
        """
        if self.order not in ("distance", "auto"):
            self._require_no_distance("a stored item")

    def require_of_codes(self) -> None:
        """Raise `QuestionError` for a question that codes without a payload can't answer."""
        if self.order != "distance":
            self._require_no_distance("codes")
        if self.rerank:
            raise QuestionError(
                "{rerank}: expected a payload, whose features are compared, got codes; leave one "
                "out"
            )

    def _require_no_distance(self, got: str) -> None:
        name = "order" if self.probes is None else "probes"
        name = "hybrid" if self.order in ("hybrid", "auto") else name
        if got:
            raise QuestionError(
                f"{{{name}}}: expected a payload and no distance, got {got}; leave one out"
            )


#: The name of each field of a question in the calls of `Collection`.
_NAMES = {field.name: field.name for field in fields(Question)}
_NAMES |= {"order": "asymmetric", "hybrid": "hybrid"}


class QuestionError(HashretError, ValueError):
    """A question that is refused; fields of `Question` are in braces: "{k}: expected ..."."""

    def __init__(self, text: str):
        super().__init__(text.format_map(_NAMES))
        self._text = text

    def under(self, names: Mapping[str, str]) -> str:
        """The message with `names` in place of the fields."""
        return self._text.format_map(names)


@dataclass(frozen=True, slots=True)
class Asked:
    """n queries: their codes, and which of these mean something."""

    codes: Codes
    known: np.ndarray
    """The queries whose code means something, increasing; the others have no known feature."""
    single: bool
    """Whether one payload was asked about, and not a list of them."""
    _encoding: Encoding | None
    payloads: Sequence[Payload] = ()
    """What was asked; nothing for codes."""

    @classmethod
    def of(cls, given: Any, question: Question, snapshot: Snapshot) -> Self:
        """The payload, the payloads or the codes that were given.

        Raises `PayloadError`, `QuestionError` for a question that codes can't answer, and
        ValueError for codes of another length.
        """
        if isinstance(given, Codes):
            question.require_of_codes()
            require_same_bits(snapshot.codes, given)
            return cls(given, np.arange(len(given)), False, None)
        payloads, single = payloads_of(given, snapshot.kind)
        if not payloads:
            return cls(Codes.empty(snapshot.n_bits), np.arange(0), single, None)
        encoding = snapshot.coder.encode(payloads)
        return cls(encoding.codes, np.flatnonzero(encoding.known), single, encoding, payloads)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def all_confidences(self) -> np.ndarray | None:
        """The confidences of every query; None for codes, whose bits are certain."""
        return None if self._encoding is None else self._encoding.confidences

    def confidences(self, queries: np.ndarray) -> np.ndarray:
        """How far these queries lean to 1 in each of their bits, (m, n_bits) float32."""
        if self._encoding is None:
            return certain(self.codes[queries])
        return self._encoding.confidences[queries]

    def kept(self, queries: np.ndarray, coder: Coder) -> Features | None:
        """What a collection would keep of these queries to rank by; None for codes."""
        if self._encoding is None:
            return None
        return coder.kept(take_rows(self._encoding.features, queries))


def certain(codes: Codes) -> np.ndarray:
    """The confidences of bits that are known, 0 or 1: (n, n_bits) float32."""
    return codes.bits.astype(np.float32)


def payloads_of(given: Any, kind: str) -> tuple[list[Payload], bool]:
    """The given payload or payloads as a list, and whether it was a single one.

    An `Item` stands for its payload. One dimension is one vector: an array, a tensor, or an
    iterable of numbers. Two dimensions are several vectors, even with a single row: an array, or an
    iterable of vectors. A list of tokens, of numbers or of lists of numbers is one sequence, and so
    is an array of one or two dimensions. Raises `PayloadError` for anything else.
    """
    about = kind_of(kind)
    single = isinstance(given, str | bytes | bytearray | Item | PathLike)
    if about.of_numbers:
        given = _as_vectors(given)
    elif about.of_steps:
        single |= _is_sequence(given, about.single_ndim)
    if isinstance(given, np.ndarray):
        single = given.ndim <= about.single_ndim
    elif about.decodes_files:
        # bytes, and an object that gives them, are one file; so is whatever can't be iterated over
        single |= isinstance(given, memoryview) or not isinstance(given, Iterable)
        single |= hasattr(given, "read")
    if not single and not isinstance(given, Iterable):
        raise PayloadError(
            f"query: expected a {kind} or an iterable of them, got {type(given).__name__}; "
            "pass the payload itself"
        )
    items = [given] if single else list(given)
    return [item.payload if isinstance(item, Item) else item for item in items], single


def _is_sequence(given: Any, single_ndim: int) -> bool:
    """Whether the argument is one sequence as a list or a tensor, and not a list of sequences."""
    if hasattr(given, "__array__") and hasattr(given, "ndim"):
        return bool(given.ndim <= single_ndim)
    if not isinstance(given, list | tuple) or not given:
        return False
    return all(
        isinstance(one, str | Real)
        or (isinstance(one, list | tuple) and all(isinstance(each, Real) for each in one))
        for one in given
    )


def _as_vectors(given: Any) -> Any:
    """The argument as an array, if it is a tensor, a table or an iterable of numbers."""
    if isinstance(given, np.ndarray | str | Item | PathLike):
        return given
    if hasattr(given, "detach"):  # a tensor of torch, which may have a gradient or be on a GPU
        given = given.detach().cpu()
    if hasattr(given, "__array__"):
        return np.asarray(given)
    if not isinstance(given, Iterable):
        return given
    many = [_as_vectors(one) if hasattr(one, "detach") else one for one in given]
    return np.array(many) if many and all(isinstance(one, Real) for one in many) else many
