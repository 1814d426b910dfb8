"""What is a text, an image, a vector, a sequence? One row for each kind of items.

Code that belongs to a kind is in its own room, in a table with the same keys: featurizers in
`features.FEATURIZERS`, the reading of queries in `cli.payloads`, the forms of sources in
`indexer.corpus.sources`, presets in `indexer.training.presets`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hashret.errors import UnknownKindError


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of items, such as text, and the properties that the rest of the code asks for."""

    name: str
    single_ndim: int
    """An array of at most so many dimensions is one payload; with more it is several."""
    unknown: str
    """The reason given when a query has no known feature and therefore no hits."""
    query_file: str
    """What a query file must be, as error messages say it."""
    kept_by: str
    """The option by which a collection keeps what another model can be learned from."""
    key: str = ""
    """The key of a JSON or CSV row that holds the payload itself; "" if rows only name files."""
    stores_features: bool = False
    """Whether a new collection stores features, which rank a shortlist, unless told otherwise."""
    stores_texts: bool = False
    """Whether a payload is a text, which a new collection stores unless told otherwise."""
    stores_images: bool = False
    """Whether a payload is an image, which a collection stores, as a model sees it, where told."""
    has_looks: bool = False
    """Whether a shortlist can be ranked by how items look instead of by their features."""
    decodes_files: bool = False
    """Whether a payload may be a file (a path or bytes), which worker processes decode."""
    of_numbers: bool = False
    """Whether a payload is a row of numbers: an array, a tensor or an iterable of numbers."""
    of_steps: bool = False
    """Whether a payload is a list or an array of steps, tokens or rows of numbers, in order."""
    denoises: bool = False
    """Whether its models learn to take noise out of a payload."""
    drops_outliers: bool = False
    """Whether items far from all others are left out of the training."""
    metrics: tuple[str, ...] = ()
    """The metrics that --metric offers, the default first."""
    tunes: bool = False
    """Whether `hashret tune` can compare settings without labels."""

    @property
    def keys(self) -> tuple[str, ...]:
        """The keys of a row that can give a payload: `key` for itself, `path` for its file."""
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
            kept_by="--store-text",
            key="text",
            stores_features=True,
            stores_texts=True,
            tunes=True,
        ),
        Kind(
            "image",
            single_ndim=3,  # height, width, channels
            unknown="the image has no feature that the collection knows",
            query_file="an image file",
            kept_by="--store-images",
            stores_features=True,
            stores_images=True,
            has_looks=True,
            decodes_files=True,
            denoises=True,
        ),
        Kind(
            "vector",
            single_ndim=1,
            unknown="the vector has no feature that the collection knows",
            query_file="an .npy file or a JSON list of numbers",
            kept_by="--store-features",
            key="vector",
            of_numbers=True,
            denoises=True,
            drops_outliers=True,
            metrics=("cosine", "euclidean"),
            tunes=True,
        ),
        Kind(
            "sequence",
            single_ndim=2,  # steps, numbers of a step
            unknown="the sequence has no token that the collection's vocabulary knows",
            query_file="an .npy or .csv file, a JSON list of steps or a line of tokens",
            kept_by="--store-features",
            key="sequence",
            stores_features=True,
            of_steps=True,
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
