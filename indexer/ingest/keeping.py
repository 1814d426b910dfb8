"""What a collection does with all of its items: splits them, and keeps features, texts, images,
thumbnails."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hashret.arguments import require_flag, whole
from hashret.errors import InputError
from hashret.kinds import Kind, kind_of
from hashret.store.catalog.catalog import Catalog
from hashret.store.catalog.records import SourceFolder
from hashret.store.segments.segment import Segment


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a writer is told to keep; None: as the collection does, and a new one as is usual.

    The names are those of `Indexer`. Raises TypeError or ValueError for what is none of these.
    """

    store_features: bool | None
    store_text: bool | None
    store_images: bool | None
    store_thumbnails: bool | None
    passages: int | None
    """Words of the passages into which texts are split; 0: they stay whole."""
    folders: Sequence[SourceFolder]
    """Those that are indexed, which are remembered."""

    def __post_init__(self) -> None:
        for name in ("store_features", "store_text", "store_images", "store_thumbnails"):
            if (flag := getattr(self, name)) is not None:
                require_flag(name, flag)
        if self.passages is not None and whole("passages", self.passages) < 0:
            raise ValueError(
                f"passages: expected 0 words or more, got {self.passages}; 200 is a good number"
            )

    def require_fit(self, kind: Kind) -> None:
        """Raise `InputError` for what items of another kind have, of which nothing can be kept."""
        for name, noun, fits in (
            ("store_text", "texts", kind.stores_texts),
            ("store_images", "images", kind.stores_images),
            ("store_thumbnails", "images", kind.stores_images),
            ("passages", "texts", kind.stores_texts),
        ):
            if getattr(self, name) and not fits:
                raise InputError(
                    f"{name}: expected a collection of {noun}, got one of {kind.name} items; "
                    "leave it out"
                )


class Keeping:
    """What a writer keeps of what it adds: what it was told to, else what the collection keeps."""

    def __init__(self, catalog: Catalog, wishes: Wishes):
        """Raises `InputError` for wishes that items of another kind have."""
        self._kind = kind_of(catalog.kind)
        wishes.require_fit(self._kind)
        self.passages = wishes.passages
        self.folders = tuple(wishes.folders)
        self._catalog = catalog
        self._features, self._texts = wishes.store_features, wishes.store_text
        self._images, self._thumbnails = wishes.store_images, wishes.store_thumbnails

    @property
    def features(self) -> bool:
        """Whether the input features of items are kept."""
        if self._features is None:
            before = features_kept(self._catalog)
            self._features = self._kind.stores_features if before is None else before
        return self._features

    @property
    def texts(self) -> bool:
        """Whether texts are kept."""
        if self._texts is None:
            before = texts_kept(self._catalog)
            self._texts = self._kind.stores_texts if before is None else before
        return self._texts

    @property
    def images(self) -> bool:
        """Whether images are kept, of those that have a code too."""
        if self._images is None:
            self._images = self._kind.stores_images and bool(images_kept(self._catalog))
        return self._images

    @property
    def thumbnails(self) -> bool:
        """Whether thumbnails of images are kept."""
        if self._thumbnails is None:
            before = thumbnails_kept(self._catalog)
            self._thumbnails = self._kind.stores_images if before is None else before
        return self._thumbnails


def features_kept(catalog: Catalog) -> bool | None:
    """Whether the last commit has the input features of its items; None without any encoded."""
    segments = _encoded(catalog)
    return all(segment.features is not None for segment in segments) if segments else None


def texts_kept(catalog: Catalog) -> bool | None:
    """Whether the last commit has texts of its items; None without any item."""
    segments = catalog.segments(catalog.last_commit().commit)
    return any(segment.texts is not None for segment in segments) if segments else None


def images_kept(catalog: Catalog) -> bool | None:
    """Whether the last commit has images of the items added last; None without any encoded."""
    items = catalog.items_of(catalog.last_commit())
    encoded = (items.records(one) for one in reversed(items.segments) if one.n_coded)
    return next((records.has_payloads(np.arange(1)) for records in encoded), None)


def thumbnails_kept(catalog: Catalog) -> bool | None:
    """Whether the last commit has thumbnails of the items added last; None without any item."""
    segments = catalog.segments(catalog.last_commit().commit)
    return segments[-1].thumbnails is not None if segments else None


def _encoded(catalog: Catalog) -> list[Segment]:
    return [s for s in catalog.segments(catalog.last_commit().commit) if s.n_coded]
