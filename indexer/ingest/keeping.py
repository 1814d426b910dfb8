"""What a collection does with all of its items: splits them, and keeps features, texts, images,
thumbnails."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hashret.errors import InputError
from hashret.kinds import kind_of
from hashret.store.catalog.catalog import Catalog
from hashret.store.originals import SourceFolder
from hashret.store.segments.segment import Segment


class Keeping:
    """What a writer keeps of what it adds: what it was told to, else what the collection keeps."""

    def __init__(
        self,
        catalog: Catalog,
        *,
        features: bool | None,
        texts: bool | None,
        images: bool | None,
        thumbnails: bool | None,
        passages: int | None,
        folders: Sequence[SourceFolder] = (),
    ):
        """None: as the collection does, and a new one as is usual for its kind of items.

        `passages` are the words into which texts are split; 0: they stay whole. `folders` are those
        that are indexed, which are remembered. Raises `InputError`
        for passages, texts, images or thumbnails of a collection of other items.
        """
        self._kind = kind = kind_of(catalog.kind)
        for flag, name, noun, fits in (
            (texts, "text", "texts", kind.stores_texts),
            (images, "images", "images", kind.stores_images),
            (thumbnails, "thumbnails", "images", kind.stores_images),
        ):
            if flag and not fits:
                raise InputError(
                    f"store_{name}: expected a collection of {noun}, got one of {kind.name} items; "
                    "leave it out"
                )
        if passages and not kind.stores_texts:
            raise InputError(
                f"passages: expected a collection of texts, got one of {kind.name} items; leave it "
                "out"
            )
        self.passages = passages
        self.folders = tuple(folders)
        self._catalog = catalog
        self._features, self._texts, self._images = features, texts, images
        self._thumbnails = thumbnails

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
