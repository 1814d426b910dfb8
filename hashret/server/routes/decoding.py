"""Which endpoint decodes? What codes say, whether an item has them or not."""

from __future__ import annotations

import json
from typing import Annotated, Any, Self

from fastapi import APIRouter, Response
from pydantic import BaseModel, ConfigDict, Field, model_validator

from hashret.codes import Codes
from hashret.collection import Collection
from hashret.server.answers import codes_of
from hashret.server.requests import CodeHex, Name
from hashret.server.service import Service, StrictRoute, json_response
from hashret.snapshot.decoding import form_of
from hashret.told import told_json

#: Most codes of one request: of pictures each is some kilobytes of JSON.
_MOST_CODES = 100


class Undecoded(BaseModel):
    """Codes, or stored items that have them; one of the two."""

    model_config = ConfigDict(extra="forbid", strict=True)

    collection: Name | None = None
    codes: Annotated[list[CodeHex], Field(min_length=1, max_length=_MOST_CODES)] | None = None
    ids: (
        Annotated[
            list[str],
            Field(min_length=1, max_length=_MOST_CODES, description="The ids of stored items."),
        ]
        | None
    ) = None

    @model_validator(mode="after")
    def _one_of_both(self) -> Self:
        if (self.codes is None) == (self.ids is None):
            got = "none" if self.codes is None else "both"
            raise ValueError(f"expected exactly one of codes, ids, got {got}")
        return self


class Decoded(BaseModel):
    """What codes say."""

    collection: str
    commit: int
    decoded: list[dict[str, Any]] = Field(
        description="Of each `code`, and the `id` if that was given, one of: `words` of which it "
        "says more than is usual (`word`, `share`, `usual`); `pixels` (rows of columns of "
        "channels, 0 to 255); `vector`; `series`."
    )


def decoding(service: Service) -> APIRouter:
    """The endpoint that decodes."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute)

    @router.post("/decode", response_model=Decoded)
    async def decode(asked: Undecoded) -> Response:
        """What codes stand for, as `hashret decode --json` says it."""
        name = service.named(asked.collection)
        return json_response(
            await service.batcher.call(_decoded, service.collections[name], name, asked)
        )

    return router


def _decoded(collection: Collection, name: str, asked: Undecoded) -> bytes:
    standing = collection.standing()
    if asked.ids is not None:
        codes = Codes.concatenate([standing.snapshot.code_of(one) for one in asked.ids])
        facts: list[dict[str, Any]] = [{"id": one} for one in asked.ids]
    else:
        codes = codes_of(standing, asked.codes or [])
        facts = [{}] * len(codes)
    form, said = form_of(standing.snapshot), standing.decode(codes)
    decoded = [
        {"code": codes.hex(i)} | facts[i] | told_json(form, one) for i, one in enumerate(said)
    ]
    told = {"collection": name, "commit": standing.commit, "decoded": decoded}
    return json.dumps(told).encode()  # in ASCII: ids and words may hold what is not UTF-8
