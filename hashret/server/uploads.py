"""What if an uploaded picture kills its decoder? Pictures are decoded in workers with limits.

One thread for each worker hands it one picture at a time. A picture that hangs, bloats or kills it
is refused, and the next one gets a new process (`hashret.workers`).
"""

from __future__ import annotations

import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numpy as np

from hashret import specs
from hashret.collection import Collection
from hashret.errors import InputError, PayloadError
from hashret.features.decoding import IMAGES, Taken, images
from hashret.kinds import kind_of
from hashret.server.batching import BusyError
from hashret.workers.pool import AVAILABLE, Limits, Workers
from hashret.workers.refusals import Refused

#: Of one picture: `pictures.MAX_PIXELS` need 2 GiB, and a large photo a second.
_LIMITS = Limits(memory_bytes=3 << 30, seconds=10.0)
#: Processes that decode: their memory is what pictures may take at a time.
_WORKERS = 2
#: Pictures that wait for one, at most.
_WAITING = 32


class Decoder:
    """Decodes pictures of strangers; used from one event loop."""

    def __init__(self, limits: Limits = _LIMITS, task: str = IMAGES) -> None:
        self._limits = limits
        self._task = task
        self._pool = ThreadPoolExecutor(_WORKERS, "hashret-decode")
        self._own = threading.local()
        self._all: list[Workers] = []
        self._n_waiting = 0

    async def payload(self, collection: Collection, picture: bytes) -> Any:
        """The picture as `Collection.ask` takes it, decoded.

        Raises `PayloadError`, `BusyError`, `InputError` for a collection of other items, and
        CollectionError for one without a model.
        """
        about = kind_of(collection.kind)
        if not about.decodes_files:
            raise InputError(
                f"image: expected a question about {about.name} items, since the collection holds "
                "these, got a picture; ask a collection of images"
            )
        spec = specs.to_json(collection.coder.featurizer.spec)
        prepared = Taken(*await self._done("take", picture, spec, False, False)).prepared
        if isinstance(prepared, np.ndarray):  # of the first rule of reading
            return prepared
        from hashret.features.levels import Means  # only images need Pillow

        return Means(*prepared)

    async def whole(self, picture: bytes) -> bytes:
        """The picture decoded and written again, as a JPEG. Raises `PayloadError`, `BusyError`."""
        written: bytes = await self._done("whole", picture)
        return written

    async def _done(self, *item: Any) -> Any:
        if self._n_waiting >= _WAITING:
            raise BusyError(
                f"server: expected at most {_WAITING} waiting pictures, got more; ask later"
            )
        self._n_waiting += 1
        try:
            loop = asyncio.get_running_loop()
            made = await loop.run_in_executor(self._pool, self._apply, list(item))
        finally:
            self._n_waiting -= 1
        if isinstance(made, Refused):
            raise PayloadError(made.reason, made.error_class)
        return made

    def _apply(self, item: list[Any]) -> Any:
        if not AVAILABLE:  # with the same list of formats and the same limit of pixels
            return images()([item], lambda _: None)[0]
        workers = getattr(self._own, "workers", None)
        if workers is None:
            workers = self._own.workers = Workers(self._task, limits=self._limits)
            self._all.append(workers)
        ((made,),) = workers.map([[item]])
        return made

    def close(self) -> None:
        """End the processes when the pictures in hand are decoded."""
        self._pool.shutdown(cancel_futures=True)
        for workers in self._all:
            workers.close()
