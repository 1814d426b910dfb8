"""Which endpoints explain? Why an item is near to a query, and what each bit means."""

from __future__ import annotations

import asyncio
import json
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response
from fastapi import Query as Parameter
from pydantic import BaseModel, Field

from hashret.collection import Collection
from hashret.errors import InputError
from hashret.insight.explain import explain
from hashret.insight.meaning.bits import Bits, bits
from hashret.server.answers import codes_of, payloads_of
from hashret.server.requests import Name, Pair
from hashret.server.routes.pictures import PICTURE
from hashret.server.service import Service, StrictRoute, json_response
from hashret.store.catalog.records import CommitRecord

BitNumber = Annotated[
    int | None, Parameter(ge=0, le=1 << 16, description="Only this bit, counted from 0.")
]


class SideModel(BaseModel):
    """The query or the item: its code, and what is lost without each of its parts."""

    id: str | None = Field(None, description="Of the item.")
    code: str = Field(description="The code in hexadecimal.")
    parts: list[dict[str, Any]] = Field(
        description="A part (`word`, `number`, or `x`, `y`, `width` and `height` as shares of the "
        "picture), the `bits` that change without it, by its `effect`: how many fewer agree. "
        "`pull`: how much of all certainty draws the two together because of it."
    )
    n_parts: int = Field(description="How many parts there are; only the greatest are left out.")
    note: str | None = Field(None, description="Why there are no parts.")


class ExplanationModel(BaseModel):
    """Which bits of two codes agree, and which parts of both sides carry them."""

    collection: str
    commit: int
    n_bits: int
    distance: int
    usual: int = Field(description="Bits in which the query agrees with an item at random.")
    query: SideModel
    item: SideModel
    parts: str | None = Field(
        description='What the parts are: "words", "places", "numbers" or "steps".'
    )
    agree: list[int]
    differ: list[int]


class BitsModel(BaseModel):
    """What the bits of a collection's codes mean."""

    collection: str
    commit: int
    n_bits: int
    n_items: int
    n_left_out: int = Field(description="Items whose parts were left out, a sample.")
    n_sure: int = Field(description="Items among which the surest were sought, a sample.")
    bits: list[dict[str, Any]] = Field(
        description="Of each: `bit`, `ones` (share of items), `alone` (share of what it tells that "
        "no other bit tells, at most), `most_alike`, `for_one` and `for_zero` (parts that turn it, "
        "by `weight`), `surest_one` and `surest_zero` (items)."
    )
    note: str | None = Field(None, description="Why something is not known.")


def explaining(service: Service) -> APIRouter:
    """The endpoints that explain."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute)
    kept = _Kept(service)

    @router.post("/explain", response_model=ExplanationModel)
    async def explain_one(asked: Pair) -> Response:
        """Why a stored item is as near as it is to something asked, another item or a code."""
        name = service.named(asked.collection)
        of = service.collections[name]
        return json_response(await service.batcher.call(_explained, of, name, asked))

    @router.post("/explain/image", response_model=ExplanationModel, openapi_extra=PICTURE)
    async def explain_picture(
        request: Request, item: str, collection: Name | None = None
    ) -> Response:
        """Why a stored image is as near as it is to a picture: the body is its file."""
        name = service.named(collection)
        of = service.collections[name]
        payload = await service.decoder.payload(of, await request.body())
        asked = partial(_explained_by, of.standing(), name, item, payload=payload)
        return json_response(await service.batcher.call(asked))

    @router.get("/bits", response_model=BitsModel)
    async def bits_of(collection: Name | None = None, bit: BitNumber = None) -> Response:
        """What each bit means; the first time for a commit it takes some seconds."""
        name = service.named(collection)
        standing = service.collections[name].standing()
        if bit is not None and bit >= standing.n_bits:
            raise InputError(f"bit: expected 0 to {standing.n_bits - 1}, got {bit}; choose another")
        found = await kept.of(name, standing)
        return json_response(_json(name, standing, found.to_json(bit)))

    return router


def _explained(collection: Collection, name: str, asked: Pair) -> bytes:
    standing = collection.standing()
    subject, value = asked.subject
    query: dict[str, Any]
    if subject == "id":
        query = {"query_id": value}
    elif subject == "code":
        query = {"code": codes_of(standing, [value])}
    else:
        query = {"payload": payloads_of(standing, subject, [value])[0]}
    return _explained_by(standing, name, asked.item, **query)


def _explained_by(standing: Collection, name: str, item_id: str, **query: Any) -> bytes:
    return _json(name, standing, explain(standing, item_id=item_id, **query).to_json())


class _Kept:
    """What the bits mean, of the last commit that was asked of each collection.

    It is worked out once, however many ask meanwhile: they wait without a thread.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._found: dict[str, tuple[CommitRecord, asyncio.Future[Bits]]] = {}

    async def of(self, name: str, collection: Collection) -> Bits:
        """Raises what `bits` does."""
        commit = collection.snapshot.committed
        kept = self._found.get(name)
        if kept is None or kept[0] != commit:
            kept = commit, asyncio.ensure_future(self._service.batcher.call(bits, collection))
            self._found[name] = kept
        try:
            return await asyncio.shield(kept[1])  # whoever waits too long does not end it
        except Exception:  # whatever it is, the next one may ask again
            self._found.pop(name, None)
            raise


def _json(name: str, collection: Collection, told: dict[str, Any]) -> bytes:
    """The answer in ASCII: words and ids may hold what is not UTF-8."""
    return json.dumps({"collection": name, "commit": collection.commit, **told}).encode()
