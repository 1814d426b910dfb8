"""Which endpoints search and show items? Those that ask a collection and nothing else."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Response
from fastapi import Query as Parameters

from hashret.server import answers
from hashret.server.requests import Name, Options, Query
from hashret.server.responses import Answer, ItemModel, Statistics
from hashret.server.service import Service, StrictRoute, json_response


def questions(service: Service) -> APIRouter:
    """The endpoints that search and show items."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute)

    @router.post("/query", response_model=Answer)
    async def query(asked: Query) -> Response:
        """The nearest items to a text, a vector, a sequence, a stored item or a code."""
        return await service.answer(asked, *asked.subject, codes_only=asked.codes_only)

    @router.get("/similar/{item_id:path}", response_model=Answer)
    async def similar(item_id: str, options: Annotated[Options, Parameters()]) -> Response:
        """The nearest other items to a stored one; its id may contain slashes."""
        return await service.answer(options, "other than", item_id)

    @router.get("/items/{item_id:path}", response_model=ItemModel)
    async def item(item_id: str, collection: Name | None = None) -> Response:
        """A stored item: its code, metadata and text; its id may contain slashes."""
        name = service.named(collection)
        of = service.collections[name]
        return json_response(await service.batcher.call(answers.item, of, name, item_id))

    @router.get("/stats", response_model=Statistics)
    async def stats() -> Response:
        """What each collection is: its items, bits, commit, model and size."""
        shown = service.shows_originals
        return json_response(
            await service.batcher.call(answers.statistics, service.collections, shown)
        )

    return router
