"""What is asked: how many or how near, in which order, among which; and of which payloads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, fields
from numbers import Real
from os import PathLike
from typing import Any, Literal

import numpy as np

from hashret.arguments import whole
from hashret.codes import Codes
from hashret.errors import HashretError, PayloadError
from hashret.items import Item, Payload
from hashret.kinds import kind_of

Order = Literal["distance", "score"]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked: the k nearest, or everything within a radius; checked when it is made.

    Raises `QuestionError`, a ValueError, for what can't be asked and TypeError for numbers that
    aren't whole.
    """

    k: int | None = 10
    """At most so many hits; None, with a radius only: all there are."""
    radius: int | None = None
    """All within so many bits, inclusive; None: the nearest."""
    order: Order = "distance"
    """By distance and then score, or by score (the query's confidences against stored bits)."""
    probes: int | None = None
    """By score, look into at most so many buckets; None: compare all codes."""
    rerank: int | None = None
    """The length of a shortlist that the similarity of features orders; 0: the order of the codes
    alone; None: that, but for copies of an image, which come first."""
    where: str | None = None
    """A condition on the metadata: only items that satisfy it are meant."""
    index: str | Callable[[Codes], Any] | None = None
    """The path to take, or what builds one from the codes; None: that of the collection."""

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
        if self.order == "score":
            self._require_no_distance("a radius" if radius is not None else "")
        elif self.probes is not None:
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
        beside = (
            "{order} and {probes}"
            if self.by_score
            else "a condition"
            if self.where is not None
            else "{radius}"
            if radius is not None
            else ""
        )
        if self.index is not None and beside:
            raise QuestionError(
                f"{{index}}: expected none beside {beside}: that is answered exactly without it; "
                "leave one out"
            )

    @property
    def by_score(self) -> bool:
        """Whether the score comes before the distance."""
        return self.order == "score"

    @property
    def depth(self) -> int | None:
        """Of how many the hits are chosen: the length of the shortlist; None: of all there are."""
        return self.rerank or self.k

    def require_of_stored(self) -> None:
        """Raise `QuestionError` for what a stored code can't be asked: its bits have no doubts."""
        if self.by_score:
            self._require_no_distance("a stored item")

    def _require_no_distance(self, got: str) -> None:
        name = "order" if self.probes is None else "probes"
        if got:
            raise QuestionError(
                f"{{{name}}}: expected a payload and no distance, got {got}; leave one out"
            )


#: What the fields of a question are called by those who call a `Collection`.
_NAMES = {field.name: field.name for field in fields(Question)} | {"order": "asymmetric"}


class QuestionError(HashretError, ValueError):
    """What can't be asked, with the fields of `Question` in braces: "{k}: expected ..."."""

    def __init__(self, text: str):
        super().__init__(text.format_map(_NAMES))
        self._text = text

    def under(self, names: Mapping[str, str]) -> str:
        """The message with the fields called by these names."""
        return self._text.format_map(names)


def payloads_of(asked: Any, kind: str) -> tuple[list[Payload], bool]:
    """The payloads in what a caller gave, and whether it was a single one.

    An `Item` stands for its payload. Of vectors, what has one dimension is one vector: an array, a
    tensor, or an iterable of numbers. What has two is many, also if it has but one row: an array,
    or an iterable of vectors. Raises `PayloadError` for what is neither one nor many.
    """
    about = kind_of(kind)
    single = isinstance(asked, str | bytes | bytearray | Item | PathLike)
    if about.of_numbers:
        asked = _as_vectors(asked)
    if isinstance(asked, np.ndarray):
        single = asked.ndim <= about.single_ndim
    elif about.decodes_files:
        # what holds bytes, or gives them, is one file; so is what can't be many
        single |= isinstance(asked, memoryview) or not isinstance(asked, Iterable)
        single |= hasattr(asked, "read")
    if not single and not isinstance(asked, Iterable):
        raise PayloadError(
            f"query: expected a {kind} or an iterable of them, got {type(asked).__name__}; "
            "pass the payload itself"
        )
    items = [asked] if single else list(asked)
    return [item.payload if isinstance(item, Item) else item for item in items], single


def _as_vectors(asked: Any) -> Any:
    """What was asked, as an array where it is a tensor, a table or an iterable of numbers."""
    if isinstance(asked, np.ndarray | str | Item | PathLike):
        return asked
    if hasattr(asked, "detach"):  # a tensor of torch, which may have a gradient or stand elsewhere
        asked = asked.detach().cpu()
    if hasattr(asked, "__array__"):
        return np.asarray(asked)
    if not isinstance(asked, Iterable):
        return asked
    many = [_as_vectors(one) if hasattr(one, "detach") else one for one in asked]
    return np.array(many) if many and all(isinstance(one, Real) for one in many) else many
