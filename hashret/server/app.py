"""Which request is answered by what? The endpoints under /v1, what watches them, and the page."""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextlib import asynccontextmanager
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, HTTPException, Request, Response
from fastapi import Query as Parameters
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException as StarletteHTTPException

from hashret import __version__
from hashret.collection import Collection
from hashret.errors import CollectionError, HashretError, UnknownItemError
from hashret.server import answers
from hashret.server.answers import Asked, Form, question_of
from hashret.server.batching import TOGETHER, Batcher, BusyError
from hashret.server.guard import Guard, Limits
from hashret.server.metrics import Metrics
from hashret.server.page_files import PAGE_FILES, page_file
from hashret.server.requests import Name, Options, Query, StrictJson, what_is_wrong
from hashret.server.responses import Answer, Health, ItemModel, Problem, Statistics

_log = logging.getLogger("uvicorn.error")
#: Seconds between two looks for a new commit.
_REFRESH_SECONDS = 1.0
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": what}
    for status, what in {
        401: "The token is missing or another.",
        404: "No such item or collection.",
        409: "The collection, as it is, can't answer this.",
        413: "The body is too large.",
        415: "The body is no JSON.",
        421: "The Host header names another server.",
        422: "The question can't be asked like that.",
        503: "Too much to do, too long, or a collection that can't be read.",
    }.items()
}


class _Route(APIRoute):
    """A route whose JSON is read strictly."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handler = super().get_route_handler()

        async def strict(request: Request) -> Response:
            return await handler(StrictJson(request.scope, request.receive))

        return strict


class _Service:
    """The collections that are served, by name, and what answers from them."""

    def __init__(
        self, collections: Mapping[str, Collection], n_threads: int, together: int
    ) -> None:
        self.collections = dict(collections)
        self.metrics = Metrics()
        self.batcher = Batcher(self.collections, n_threads, self.metrics, together)
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

    async def answer(self, options: Options, subject: str, value: Any) -> Response:
        """The answer to a question about one thing."""
        form = Form(self.named(options.collection), subject, question_of(options))
        return _json(await self.batcher.ask(form, Asked(value, frozenset(options.include))))

    async def keep_fresh(self) -> None:
        """Move to new commits for ever, in a thread that answers no questions."""
        while True:
            await asyncio.sleep(_REFRESH_SECONDS)
            for name, collection in self.collections.items():
                try:
                    await asyncio.to_thread(collection.refresh)
                    self.stale.pop(name, None)
                except (HashretError, OSError) as error:
                    self.metrics.refresh_error(name)
                    if self.stale.get(name) != str(error):  # said once, not every second
                        _log.error("%s", error)
                    self.stale[name] = str(error)

    def without_places(self, message: str) -> str:
        """The message with names in place of the folders, which are nobody's business."""
        for name, collection in self.collections.items():
            message = message.replace(str(collection.snapshot.layout.root), name)
        return message


def create_app(
    collections: Mapping[str, Collection],
    limits: Limits | None = None,
    *,
    n_threads: int = 2,
    together: int = TOGETHER,
) -> Guard:
    """An ASGI application that answers from open collections, by name, until it is shut down.

    It refreshes them and does not close them. `n_threads` answer at a time; at most `together`
    questions are answered by one call.
    """
    service = _Service(collections, n_threads, together)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        refreshing = asyncio.create_task(service.keep_fresh())
        yield
        refreshing.cancel()
        await asyncio.to_thread(service.batcher.close)

    app = FastAPI(
        title="hashret",
        version=__version__,
        description="Nearest items by learned binary codes.",
        lifespan=life,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        responses=_PROBLEMS,
    )
    app.include_router(_questions(service))
    app.include_router(_watching(service))
    _answer_errors(app, service)
    return Guard(app, limits or Limits(), service.metrics)


def _questions(service: _Service) -> APIRouter:
    """The endpoints that search and show items."""
    router = APIRouter(prefix="/v1", route_class=_Route)

    @router.post("/query", response_model=Answer)
    async def query(asked: Query) -> Response:
        """The nearest items to a text, a vector, a stored item or a code."""
        return await service.answer(asked, *asked.subject)

    @router.get("/similar/{item_id:path}", response_model=Answer)
    async def similar(item_id: str, options: Annotated[Options, Parameters()]) -> Response:
        """The nearest other items to a stored one; its id may contain slashes."""
        return await service.answer(options, "other than", item_id)

    @router.get("/items/{item_id:path}", response_model=ItemModel)
    async def item(item_id: str, collection: Name | None = None) -> Response:
        """A stored item: its code, metadata and text; its id may contain slashes."""
        name = service.named(collection)
        of = service.collections[name]
        return _json(await service.batcher.call(answers.item, of, name, item_id))

    @router.get("/stats", response_model=Statistics)
    async def stats() -> Response:
        """What each collection is: its items, bits, commit, model and size."""
        return _json(await service.batcher.call(answers.statistics, service.collections))

    return router


def _watching(service: _Service) -> APIRouter:
    """What says how the server is, and the page."""
    router = APIRouter()

    @router.get("/healthz", response_model=Health)
    async def healthz() -> Response:
        """Whether the server answers; "stale" while it can't read the last commit."""
        return _json(json.dumps({"status": "stale" if service.stale else "ok"}).encode())

    @router.get("/metrics", response_class=Response)
    async def metrics() -> Response:
        """Counters for Prometheus."""
        text = service.metrics.text(service.collections)
        return Response(text, media_type="text/plain; version=0.0.4; charset=utf-8")

    for path, (name, media_type) in PAGE_FILES.items():
        router.add_route(path, _serving(page_file(name), media_type), include_in_schema=False)
    return router


def _serving(content: bytes, media_type: str) -> Callable[[Request], Coroutine[Any, Any, Response]]:
    async def serve(_: Request) -> Response:
        return Response(content, media_type=media_type)

    return serve


def _answer_errors(app: FastAPI, service: _Service) -> None:
    """Answer every error as JSON with a `detail` that says what is wrong, and no 500 for input."""

    async def foreseen(_: Request, error: Exception) -> Response:
        return _problem(_status_of(error), service.without_places(str(error)))

    async def invalid(_: Request, error: Exception) -> Response:
        assert isinstance(error, RequestValidationError)  # noqa: S101
        return _problem(422, what_is_wrong(error.errors()))

    async def refused(_: Request, error: Exception) -> Response:
        assert isinstance(error, StarletteHTTPException)  # noqa: S101
        return _problem(error.status_code, str(error.detail), error.headers)

    async def unforeseen(_: Request, error: Exception) -> Response:
        return _problem(500, "server: an error of its own; its log says which")

    app.add_exception_handler(HashretError, foreseen)
    app.add_exception_handler(RequestValidationError, invalid)
    app.add_exception_handler(StarletteHTTPException, refused)
    app.add_exception_handler(Exception, unforeseen)


def _status_of(error: Exception) -> int:
    """The status that says whose error it is."""
    if isinstance(error, UnknownItemError):
        return 404
    if type(error) is CollectionError:  # such as one without a model, or without features
        return 409
    if isinstance(error, CollectionError | BusyError):  # damaged, unreadable, or too much to do
        return 503
    return 422


def _json(body: bytes) -> Response:
    return Response(body, media_type="application/json")


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps({"detail": detail}).encode()
    return Response(body, status, headers, media_type="application/json")
