"""What is made of a payload that has to be decoded: one pass, here or in a worker.

An image file from a stranger is decoded in a worker (`hashret.workers`), by the task `images`;
arrays, texts and vectors are data already.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hashret import specs
from hashret.errors import PayloadError
from hashret.items import Payload
from hashret.workers.pool import Work, each
from hashret.workers.refusals import Refused

#: The task of workers that decode images. An item is [verb, path or bytes, ...what the verb takes].
IMAGES = "hashret.features.decoding:images"


class Taken(NamedTuple):
    """What was made of one payload; None what was not wanted."""

    prepared: Any = None
    """What is encoded (`Featurizer.prepare`)."""
    kept: bytes | None = None
    """What a model to come learns from (`CentredFeaturizer.keep`)."""
    thumbnail: bytes | None = None
    """What a person sees of an image (`features.thumbnails`)."""


def take(featurizer: Any, payload: Payload, spec: Any | None, *, keeps: bool, shows: bool) -> Taken:
    """What is encoded by `spec`, if any, and with `keeps` and `shows` what is kept and shown.

    `featurizer` is a class of `FEATURIZERS`; only images have thumbnails. Raises `PayloadError`.
    """
    seen: Any = payload
    thumbnail = None
    if shows:
        from hashret.features.levels import pixels_of  # only images need Pillow
        from hashret.features.thumbnails import thumbnail as thumbnail_of

        seen = pixels_of(payload)
        thumbnail = thumbnail_of(seen)
    prepared = None
    if spec is not None:
        # the first rule of reading decodes in a way of its own
        is_first = getattr(spec, "reading", None) == 1
        prepared = featurizer.prepare(payload if is_first else seen, spec)
    return Taken(prepared, featurizer.keep(seen) if keeps else None, thumbnail)


def or_refused(make: Callable[..., Any], payload: Payload, *args: Any, **how: Any) -> Any:
    """What `make` makes of a payload, or the `Refused` that says why it can't be used."""
    try:
        return make(payload, *args, **how)
    except PayloadError as error:
        return Refused(error.error_class, str(error))


def images() -> Work:
    """The task of the workers: an image's form, what is made of it, the whole, or patches."""
    from hashret.features.image import ImageFeaturizer
    from hashret.features.noise.images import patches_of
    from hashret.features.thumbnails import whole

    def taken(source: Any, spec: Any, keeps: bool, shows: bool) -> Taken:
        read = None if spec is None else specs.from_json(spec)
        return take(ImageFeaturizer, source, read, keeps=keeps, shows=shows)

    def patches(source: Any, spec: Any, side: int, most: int, seed: int) -> Any:
        return patches_of(source, specs.from_json(spec), side, most, seed)

    verbs: dict[str, Callable[..., Any]] = {
        "form": ImageFeaturizer.form,
        "take": taken,
        "whole": whole,
        "patches": patches,
    }

    def one(item: list[Any]) -> Any:
        verb, source, *told = item  # a string is a path, bytes are a picture
        return or_refused(verbs[verb], source, *told)

    return each(one)
