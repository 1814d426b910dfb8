"""Prepare payloads, and refuse bad ones one by one: image files in workers, others here.

Texts and vectors are plain data, but an image file, or the bytes of one, is untrusted input for a
decoder written in C. If the system has no workers, images are decoded in this process, with the
same list of formats and the same limit of pixels. An image that is a query is always decoded so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, cast

from hashret import specs
from hashret.arguments import resolve
from hashret.errors import PayloadError
from hashret.features import FEATURIZERS
from hashret.features.base import Featurizer
from hashret.items import Payload
from hashret.kinds import kind_of
from hashret.workers.pool import AVAILABLE, Work, Workers, each
from hashret.workers.refusals import Refused

if TYPE_CHECKING:
    from hashret.features.centred import CentredFeaturizer

#: The task of its workers.
IMAGES = "indexer.ingest.prepare:images"

_BATCH = 64  # images that go to a worker together,
_BATCH_BYTES = 16 << 20  # or fewer where they are given as so many bytes


class Preparer:
    """Prepares payloads of one kind; its workers start with the first image file."""

    def __init__(self, kind: str, n_workers: int | None = None):
        self._featurizer: type[Featurizer] = resolve(FEATURIZERS, kind, "kind")
        self._decodes = kind_of(kind).decodes_files and AVAILABLE
        self._workers = Workers(IMAGES, n=n_workers or default_workers())

    def close(self) -> None:
        """End the workers."""
        self._workers.close()

    def suggest_spec(self, payloads: Sequence[Payload]) -> Any:
        """The spec that fits the payloads, as `Featurizer.suggest_spec`."""
        if not any(map(self._is_file, payloads)):
            return self._featurizer.suggest_spec(payloads)
        from hashret.features.image import ImageFeaturizer

        sample = ImageFeaturizer.sample(payloads)
        forms = self._apply("form", ImageFeaturizer.form, sample)
        return ImageFeaturizer.spec_of([tuple(f) for f in forms if not isinstance(f, Refused)])

    def prepare(self, payloads: Sequence[Payload], spec: Any) -> list[Any]:
        """Each payload prepared, in order, or the `Refused` that says why it cannot be."""
        return self._apply("prepare", self._featurizer.prepare, payloads, spec)

    def keep(self, payloads: Sequence[Payload]) -> list[Any]:
        """Each image or vector as the bytes that are kept for a model to come, or the `Refused`."""
        featurizer = cast("type[CentredFeaturizer[Any]]", self._featurizer)
        return self._apply("keep", featurizer.keep, payloads)

    def _apply(
        self, verb: str, here: Callable[..., Any], payloads: Sequence[Payload], *args: Any
    ) -> list[Any]:
        """What `here` makes of each payload, in a worker where that is an image file."""
        told = [specs.to_json(arg) for arg in args]
        refused: dict[int, Refused] = {}
        batches = self._batches(payloads, refused)
        parts = self._workers.map([[verb, one, *told] for one in batch] for batch in batches)
        decoded = iter([result for part in parts for result in part])  # all: `refused` is full then
        results: list[Any] = []
        for position, payload in enumerate(payloads):
            if not self._is_file(payload):
                results.append(_or_refused(here, payload, *args))
            else:
                results.append(refused.pop(position, None) or next(decoded))
        return results

    def _batches(
        self, payloads: Sequence[Payload], refused: dict[int, Refused]
    ) -> Iterator[list[str | bytes]]:
        """The files among the payloads, as their paths or bytes, by batches for a worker.

        Why one can't be read is put in `refused` at its position.
        """
        if not self._decodes:
            return
        from hashret.features.pictures import source_of

        batch: list[str | bytes] = []
        size = 0
        for position, payload in enumerate(payloads):
            if not self._is_file(payload):
                continue
            source = _or_refused(source_of, payload)
            if isinstance(source, Refused):
                refused[position] = source
                continue
            batch.append(source if isinstance(source, bytes) else str(source))
            size += len(source) if isinstance(source, bytes) else 0
            if len(batch) == _BATCH or size >= _BATCH_BYTES:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch

    def _is_file(self, payload: Any) -> bool:
        if not self._decodes:
            return False
        from hashret.features.pictures import is_encoded

        return is_encoded(payload)


def images() -> Work:
    """The task of the workers: the form of an image, its pixels, or what is kept of it."""
    from hashret.features.image import ImageFeaturizer

    def one(item: list[Any]) -> Any:
        verb, source, *told = item  # a string is a path, bytes are a picture
        return _or_refused(getattr(ImageFeaturizer, verb), source, *map(specs.from_json, told))

    return each(one)


def available_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers() -> int:
    """As many workers as leave a core free for what is done beside them, at least one."""
    return max(1, available_cores() - 1)


def _or_refused(prepare: Callable[..., Any], payload: Payload, *args: Any) -> Any:
    try:
        return prepare(payload, *args)
    except PayloadError as error:
        return Refused(error.error_class, str(error))
