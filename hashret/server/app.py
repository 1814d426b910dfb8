"""Which request is answered by what? Groups of endpoints behind one guard; errors as JSON."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException as StarletteHTTPException

from hashret._version import __version__
from hashret.collection import Collection
from hashret.errors import CollectionError, HashretError, UnknownItemError
from hashret.server.batching import TOGETHER, BusyError
from hashret.server.guard import Guard, Limits
from hashret.server.requests import what_is_wrong
from hashret.server.responses import Problem
from hashret.server.routes.decoding import decoding
from hashret.server.routes.duplicates import copies
from hashret.server.routes.explaining import explaining
from hashret.server.routes.map import map_of_items
from hashret.server.routes.pictures import pictures
from hashret.server.routes.questions import questions
from hashret.server.routes.watching import watching
from hashret.server.service import Service

#: The groups of endpoints; each is a function of the service.
_ROUTES = (questions, pictures, explaining, decoding, map_of_items, copies, watching)
_PROBLEMS: dict[int | str, dict[str, Any]] = {
    status: {"model": Problem, "description": what}
    for status, what in {
        400: "The body ended early.",
        401: "The token is missing or another.",
        404: "No such item or collection.",
        409: "The collection, as it is, can't answer this.",
        413: "The body is too large.",
        415: "The body is of another type.",
        421: "The Host header names another server.",
        422: "The question can't be asked like that.",
        503: "Too much to do, too long, or a collection that can't be read.",
    }.items()
}


def create_app(
    collections: Mapping[str, Collection],
    limits: Limits | None = None,
    *,
    n_threads: int = 2,
    together: int = TOGETHER,
    shows_originals: bool = False,
) -> Guard:
    """An ASGI application that answers from open collections, by name, until it is shut down.

    It refreshes them and does not close them. `n_threads` answer at a time; at most `together`
    questions are answered by one call. `shows_originals` says whether the pictures that were
    indexed are shown whole.
    """
    service = Service(collections, n_threads, together, shows_originals=shows_originals)

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        refreshing = asyncio.create_task(service.keep_fresh())
        yield
        refreshing.cancel()
        await asyncio.to_thread(service.close)

    app = FastAPI(
        title="hashret",
        version=__version__,
        description="Nearest items by learned binary codes.",
        lifespan=life,
        docs_url=None,  # these pages load scripts from elsewhere
        redoc_url=None,
        responses=_PROBLEMS,
    )
    for routes in _ROUTES:
        app.include_router(routes(service))
    _answer_errors(app, service)
    return Guard(app, limits or Limits(), service.metrics)


def _answer_errors(app: FastAPI, service: Service) -> None:
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


def _problem(status: int, detail: str, headers: Mapping[str, str] | None = None) -> Response:
    body = json.dumps({"detail": detail}).encode()
    return Response(body, status, headers, media_type="application/json")
