"""What do all endpoints share? The collections by name, the threads that answer, strict JSON."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from typing import Any

from fastapi import HTTPException, Request, Response
from fastapi.routing import APIRoute

from hashret import kernels
from hashret.collection import Collection
from hashret.errors import HashretError
from hashret.search.question import Question
from hashret.server.answers import Asked, Form, question_of
from hashret.server.batching import Batcher
from hashret.server.metrics import Metrics
from hashret.server.requests import Options, StrictJson
from hashret.server.uploads import Decoder

_log = logging.getLogger("uvicorn.error")
#: Seconds between two looks for a new commit.
_REFRESH_SECONDS = 1.0


class StrictRoute(APIRoute):
    """A route whose JSON is read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        """The handler that FastAPI makes, given a request that reads JSON strictly."""
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictJson(request.scope, request.receive))

        return strict


class Service:
    """The collections that are served, by name, and what answers from them."""

    def __init__(
        self,
        collections: Mapping[str, Collection],
        n_threads: int,
        together: int,
        *,
        shows_originals: bool,
    ) -> None:
        self.collections = dict(collections)
        self.metrics = Metrics()
        self.batcher = Batcher(self.collections, n_threads, self.metrics, together)
        self.decoder = Decoder()
        self.shows_originals = shows_originals
        self.stale: dict[str, str] = {}  # collections whose last refresh failed, and how

    def named(self, name: str | None) -> str:
        """The name of the collection that is meant; a 404 or 422 if none is."""
        known = ", ".join(self.collections)
        if name is None:
            if len(self.collections) > 1:
                raise HTTPException(422, f"collection: expected one of {known}, got none")
            return next(iter(self.collections))
        if name not in self.collections:
            raise HTTPException(404, f"collection: expected one of {known}, got {name!r:.80}")
        return name

    async def answer(
        self, options: Options, subject: str, value: Any, *, codes_only: bool = False
    ) -> Response:
        """The answer to a question about one thing."""
        name, question = self.named(options.collection), question_of(options)
        form = Form(name, subject, question, codes_only)
        return json_response(await self.batcher.ask(form, Asked(value, frozenset(options.include))))

    async def keep_fresh(self) -> None:
        """Move to new commits for ever, in a thread that answers no questions."""
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            for name, collection in self.collections.items():
                try:
                    await asyncio.to_thread(_refresh, collection)
                    self.stale.pop(name, None)
                except (HashretError, OSError) as error:
                    self.metrics.refresh_error(name)
                    if self.stale.get(name) != str(error):  # said once, not every second
                        _log.error("%s", error)
                    self.stale[name] = str(error)

    def close(self) -> None:
        """Wait for the threads and end the workers; what none has begun is not begun."""
        self.batcher.close()
        self.decoder.close()

    def without_places(self, message: str) -> str:
        """The message with names in place of the folders, which are nobody's business."""
        for name, collection in self.collections.items():
            message = message.replace(str(collection.snapshot.layout.root), name)
        return message


def make_ready(collection: Collection) -> None:
    """Load what first questions would wait for: model, kernels, and words that are read unasked."""
    if collection.snapshot.model is None:
        return
    if kernels.are_cached():  # loading takes half a second, in which Python answers nobody
        kernels.enable()
    collection.coder  # noqa: B018 - read on first use
    if collection.keeps_texts and collection.suited(Question()).is_open:
        collection.read_words()


def _refresh(collection: Collection) -> None:
    if collection.refresh():
        make_ready(collection)


def json_response(body: bytes) -> Response:
    """JSON that is written already, as a response."""
    return Response(body, media_type="application/json")
