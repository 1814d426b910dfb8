"""The settings of featurizers: how the payloads of each kind of items become numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar

from hashret.arguments import require_whole_fields
from hashret.errors import FormatVersionError

#: The most steps of a sequence that can count: 16 levels of a tree of pairs.
MOST_STEPS = 1 << 16
#: The most numbers in them, 64 MiB as float32: as the longest row of an array file.
MOST_NUMBERS = 16 << 20
#: The most words of a text that are taken in order: a text is encoded in a second then.
MOST_IN_ORDER = 4096


@dataclass(frozen=True, slots=True)
class TextSpec:
    """Text as a bag of words: sublinear tf-idf over the corpus's own vocabulary, unit length."""

    kind: ClassVar[str] = "text"
    #: The values of fields that older models do not record.
    ABSENT: ClassVar[Mapping[str, Any]] = {"rule": 1, "fold_accents": False, "in_order": 0}
    vocabulary_size: int = 10_000
    """The largest number of terms; those in the most documents are chosen."""
    min_documents: int = 1
    """Terms in fewer documents than this are left out."""
    max_share: float = 0.5
    """Terms in a larger share of the documents are left out, because they distinguish nothing; of
    fewer than 100 documents, terms in more than this share of 100."""
    rule: int = 2
    """How a text is cut into words: 2 by `features.texts.tokens`; 1 as in models before it."""
    fold_accents: bool = True
    """Whether accents are removed (`features.texts.folding`), so that é is e; never by rule 1."""
    in_order: int = 0
    """How many words of a text, the first that the vocabulary has, are features in their order,
    besides all of them as a bag; 0: none. The presets of texts in word order set it."""

    def __post_init__(self) -> None:
        require_whole_fields(self, vocabulary_size=1, min_documents=0, rule=1, in_order=0)
        if self.in_order > MOST_IN_ORDER:
            raise ValueError(
                f"in_order: expected at most {MOST_IN_ORDER}, got {self.in_order}; take fewer"
            )
        if self.rule > 2:
            raise FormatVersionError(
                f"rule: expected 1 or 2, got {self.rule}; "
                "open the model with the hashret that wrote it"
            )
        if not 0.0 < self.max_share <= 1.0:
            raise ValueError(
                f"max_share: expected above 0 and at most 1, got {self.max_share!r}; "
                "1 leaves no term out"
            )


@dataclass(frozen=True, slots=True)
class ImageSpec:
    """Images as pixels at a chosen size, centred."""

    kind: ClassVar[str] = "image"
    #: The values of fields that older models do not record.
    ABSENT: ClassVar[Mapping[str, Any]] = {"reading": 1}
    height: int = 32
    width: int = 32
    channels: int = 3
    """3 for RGB, 1 for grey."""
    reading: int = 2
    """How pixels become levels: 2 by `features.levels`, 1 by `features.former_levels`."""
    ranges: tuple[float, ...] = ()
    """Six numbers, for black and white in images of 16 bits, of other integers and of floats
    (`features.levels`); (): learned from the corpus."""
    copy_distance: float = 0.0
    """The largest distance between the `features.looks` of copies of one image; learned."""

    def __post_init__(self) -> None:
        require_whole_fields(self, height=1, width=1, reading=1)
        if self.reading > 2:
            raise ValueError(f"reading: expected 1 or 2, got {self.reading}; leave it out")
        pairs = list(zip(self.ranges[::2], self.ranges[1::2], strict=False))
        if len(self.ranges) not in (0, 6) or any(low > high for low, high in pairs):
            raise ValueError(
                "ranges: expected numbers for black and white of three kinds of images, got "
                f"{self.ranges!r}; leave it out, and they are learned from the corpus"
            )
        if self.channels not in (1, 3):
            raise ValueError(
                f"channels: expected 3 for RGB or 1 for grey, got {self.channels!r}; "
                "choose one of these"
            )


@dataclass(frozen=True, slots=True)
class VectorSpec:
    """Float vectors, centred and scaled, by cosine first made unit length; or packed bits.

    Each of the packed bits is a feature, -1 or 1.
    """

    kind: ClassVar[str] = "vector"
    n_features: int = 0
    """The width of vectors, in bits if packed; 0: learned, the most frequent of the first 1,000."""
    metric: str = "cosine"
    """How vectors are compared: by "cosine", which ignores their length, or "euclidean"."""
    packed: bool = False
    """Whether a vector is packed bits, 8 in each byte: uint8, or int8, which is uint8 - 128."""

    def __post_init__(self) -> None:
        require_whole_fields(self, n_features=0)
        if type(self.packed) is not bool:
            raise ValueError(f"packed: expected True or False, got {self.packed!r}; choose one")
        if self.packed and self.n_features % 8:
            raise ValueError(
                f"n_features: expected a multiple of 8 for packed bits, got {self.n_features}; "
                "leave it out"
            )
        if self.packed and self.metric != "cosine":
            raise ValueError(
                f"metric: expected none with packed bits, got {self.metric!r}; leave it out: bits "
                "are compared by Hamming distance, which gives the same order as their cosine"
            )
        if self.metric not in ("cosine", "euclidean"):
            raise ValueError(
                f"metric: expected cosine or euclidean, got {self.metric!r}; choose one of these"
            )

    @property
    def is_partial(self) -> bool:
        """Whether the width is left to the items."""
        return not self.n_features

    def completed(self, suggested: VectorSpec) -> VectorSpec:
        """The spec with the width of the suggested one; its numbers may be bytes of packed bits."""
        each = 8 if self.packed and not suggested.packed else 1
        return replace(self, n_features=each * suggested.n_features)


#: What a step of a sequence can be.
UNITS = ("numbers", "tokens", "characters")


@dataclass(frozen=True, slots=True)
class SequenceSpec:
    """Steps in their order: rows of numbers, each column scaled, or tokens of a vocabulary."""

    kind: ClassVar[str] = "sequence"
    unit: str = ""
    """What a step is: "numbers", a row of them; "tokens", of a list, or of a string that is cut at
    white space; "characters" of a string. "": learned, what most of the first 1,000 items are."""
    width: int = 0
    """How many numbers a step has; 0 for tokens, and else: learned, the most frequent width."""
    longest: int = 512
    """The number of steps that count; of longer sequences the first so many."""
    vocabulary_size: int = 10_000
    """The largest number of tokens that are known; the most frequent are chosen."""

    def __post_init__(self) -> None:
        require_whole_fields(self, width=0, longest=1, vocabulary_size=1)
        if self.unit not in ("", *UNITS):
            raise ValueError(
                f"unit: expected one of {', '.join(UNITS)}, got {self.unit!r}; leave it out, and "
                "the items say it"
            )
        if self.width and self.unit != "numbers":
            raise ValueError(
                f"width: expected none where steps are no numbers, got {self.width}; leave it out"
            )
        if self.longest > MOST_STEPS or self.n_features > MOST_NUMBERS:
            raise ValueError(
                f"longest: expected at most {MOST_STEPS:,} steps and {MOST_NUMBERS:,} numbers in "
                f"them, got {self.longest:,} of {self.width or 1}; choose fewer"
            )

    @property
    def n_features(self) -> int:
        """The width of the features: a column for each number of each step that counts."""
        return self.longest * (self.width or 1)

    @property
    def is_partial(self) -> bool:
        """Whether the unit or the width is left to the items."""
        return not self.unit or (self.unit == "numbers" and not self.width)

    def completed(self, suggested: SequenceSpec) -> SequenceSpec:
        """The spec with the unit and the width of the suggested one where it has none."""
        unit = self.unit or suggested.unit
        if unit != "numbers":
            return replace(self, unit=unit)
        # numbers in a string are steps of one number
        return replace(self, unit=unit, width=self.width or suggested.width or 1)
