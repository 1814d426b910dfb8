"""Prepare payloads, and refuse bad ones one by one: image files in workers, others here.

Texts and vectors are plain data, but an image file, or the bytes of one, is untrusted input for a
decoder written in C. If the system has no workers, images are decoded in this process, with the
same list of formats and the same limit of pixels. An image that is a query is always decoded so.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any

import numpy as np

from hashret import specs
from hashret.arguments import resolve, whole
from hashret.features import FEATURIZERS
from hashret.features.base import Featurizer
from hashret.features.decoding import IMAGES, Taken, or_refused, take
from hashret.items import Payload
from hashret.kinds import kind_of
from hashret.workers.pool import AVAILABLE, Workers
from hashret.workers.refusals import Refused

_MOST_WORKERS = 1 << 10  # processes; a machine has no more cores
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
        taken = self.take(payloads, spec)
        return [one if isinstance(one, Refused) else one.prepared for one in taken]

    def take(
        self,
        payloads: Sequence[Payload],
        spec: Any | None,
        *,
        keeps: bool = False,
        shows: bool = False,
    ) -> list[Taken | Refused]:
        """What is made of each payload (`features.decoding.take`), or the `Refused`, in order."""
        here = partial(take, self._featurizer, spec=spec, keeps=keeps, shows=shows)
        told = [None if spec is None else specs.to_json(spec), keeps, shows]
        made = self._apply("take", here, payloads, told)
        return [one if isinstance(one, Refused) else Taken(*one) for one in made]

    def patches(
        self, payloads: Sequence[Payload], spec: Any, side: int, most: int, seed: int
    ) -> list[np.ndarray | Refused]:
        """Patches of each image (`noise.images.patches_of`), or the `Refused`, in order."""
        from hashret.features.noise.images import patches_of  # only images need Pillow

        here = partial(patches_of, spec=spec, side=side, most=most, seed=seed)
        return self._apply("patches", here, payloads, [specs.to_json(spec), side, most, seed])

    def _apply(
        self,
        verb: str,
        here: Callable[[Any], Any],
        payloads: Sequence[Payload],
        told: Sequence[Any] = (),
    ) -> list[Any]:
        """What `here` makes of each payload; of image files the workers' `verb` with what is told.

        The two do the same.
        """
        refused: dict[int, Refused] = {}
        batches = self._batches(payloads, refused)
        parts = self._workers.map([[verb, one, *told] for one in batch] for batch in batches)
        decoded = iter([result for part in parts for result in part])  # all: `refused` is full then
        results: list[Any] = []
        for position, payload in enumerate(payloads):
            if not self._is_file(payload):
                results.append(or_refused(here, payload))
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
            source = or_refused(source_of, payload)
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


def available_cores() -> int:
    """The processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def default_workers() -> int:
    """As many workers as leave a core free for what is done beside them, at least one."""
    return max(1, available_cores() - 1)


def workers_wanted(n: int | None) -> int:
    """The number of workers that was given, or the usual one. Raises TypeError or ValueError."""
    if n is None:
        return default_workers()
    if not 1 <= whole("workers", n) <= _MOST_WORKERS:
        bound = "at least 1" if n < 1 else f"at most {_MOST_WORKERS}"
        raise ValueError(f"workers: expected {bound}, got {n}; leave it out for the default")
    return n
