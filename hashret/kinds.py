"""What is a text, an image, a vector? One row each: all that the rest of the code asks of a kind.

What is code of a kind stands in its room, in a literal table under the same name: its featurizer
(`features.FEATURIZERS`), how the command line reads one (`cli.payloads`), what the corpus finds it
in (`indexer.corpus.sources`), its presets (`indexer.training.presets`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hashret.errors import UnknownKindError


@dataclass(frozen=True, slots=True)
class Kind:
    """What the items of a collection are, and what follows from that."""

    name: str
    single_ndim: int
    """An array of at most so many dimensions is one payload, of more dimensions many."""
    unknown: str
    """Why a payload without a known feature is answered by nothing."""
    query_file: str
    """What a file holds that is a query."""
    key: str = ""
    """The key of a table's or a batch's row that holds a payload itself; "": none does."""
    stores_features: bool = False
    """Whether a new collection keeps features, where they are small, for ranking a shortlist."""
    has_looks: bool = False
    """Whether what is kept for that can be how an item looks, instead of its features."""
    decodes_files: bool = False
    """Whether a payload may be a file, by its path or its bytes, which the workers decode."""
    of_numbers: bool = False
    """Whether a payload is a row of numbers, which an iterable of them or a tensor can be too."""
    drops_outliers: bool = False
    """Whether items far from all others are left out of what is learned from."""
    metrics: tuple[str, ...] = ()
    """The metrics among which its user may choose, the default first."""
    tunes: bool = False
    """Whether a criterion without labels is known by which settings of training can be chosen."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of a row that can give a payload: `key`, and `path` of a file that holds it."""
        return (self.key, "path") if self.key else ("path",)


#: Every kind of items by its name.
KINDS: Mapping[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            "text",
            single_ndim=1,
            unknown="the text has no word that the collection's vocabulary knows",
            query_file="a text file",
            key="text",
            stores_features=True,
            tunes=True,
        ),
        Kind(
            "image",
            single_ndim=3,  # height, width, channels
            unknown="the image has no feature that the collection knows",
            query_file="an image file",
            stores_features=True,
            has_looks=True,
            decodes_files=True,
        ),
        Kind(
            "vector",
            single_ndim=1,
            unknown="the vector has no feature that the collection knows",
            query_file="an .npy file or a JSON list of numbers",
            key="vector",
            of_numbers=True,
            drops_outliers=True,
            metrics=("cosine", "euclidean"),
            tunes=True,
        ),
    )
}


def kind_of(name: str) -> Kind:
    """The kind of this name. Raises `UnknownKindError`, which lists the known ones."""
    if name not in KINDS:
        raise UnknownKindError(
            f"kind: expected one of {', '.join(KINDS)}, got {name!r}; choose one of these"
        )
    return KINDS[name]
