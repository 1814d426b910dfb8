"""Which endpoint shows copies? The groups of a collection, found once for each commit."""

from __future__ import annotations

import json
from collections import OrderedDict
from itertools import islice
from threading import Lock
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Query as Parameters
from pydantic import BaseModel, Field

from hashret.collection import Collection
from hashret.insight.duplicates import Duplicates, duplicates
from hashret.server.requests import Name, Radius
from hashret.server.service import Service, StrictRoute, json_response

#: Most groups of one answer, and most items shown of one group.
_MOST_GROUPS, _MOST_ITEMS = 200, 100
_KEPT = 4  # findings that are remembered, of one commit and radius each

Limit = Annotated[int, Field(ge=1, le=_MOST_GROUPS, description="Number of groups.")]


class DuplicateModel(BaseModel):
    """An item of a group of copies."""

    id: str
    distance: int = Field(description="Bits between its code and that of the kept one; -1: none.")
    similarity: float = Field(description="How like the kept one it is; 1.0: the same.")
    metadata: dict[str, Any]
    preview: str


class GroupModel(BaseModel):
    """Items that are copies of one another."""

    keep: str = Field(description="The id of the one to keep, the first of `items`.")
    items: list[DuplicateModel] = Field(description="At most the first 100.")
    n_items: int


class DuplicatesModel(BaseModel):
    """The groups of copies, those of most items first."""

    collection: str
    commit: int
    radius: int | None = Field(description="Bits within which codes were compared; null: any.")
    groups: list[GroupModel]
    n_groups: int
    more: bool = Field(description="Whether there are more groups than these.")
    note: str | None = Field(None, description="What could not be told.")


class _Findings:
    """The last findings, so that a page that asks again is answered at once."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[str, int, int | None], Duplicates] = OrderedDict()
        self._finding = Lock()

    def of(self, collection: Collection, name: str, radius: int | None) -> Duplicates:
        key = name, collection.commit, radius
        # one at a time: it takes a core and much memory, and another may wait for the same
        with self._finding:
            found = self._kept.pop(key, None)
            if found is None:
                found = duplicates(collection, radius=radius)
                # what is of an earlier commit would hold its files
                for other in [k for k in self._kept if k[0] == name and k[1] != key[1]]:
                    del self._kept[other]
            self._kept[key] = found
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)
            return found


def copies(service: Service) -> APIRouter:
    """The endpoint that shows copies."""
    router, findings = APIRouter(prefix="/v1", route_class=StrictRoute), _Findings()

    def told(name: str, radius: int | None, limit: int) -> bytes:
        collection = service.collections[name].standing()
        return _told(collection, name, findings.of(collection, name, radius), limit)

    @router.get("/duplicates", response_model=DuplicatesModel)
    async def of_collection(
        collection: Annotated[Name | None, Parameters()] = None,
        radius: Annotated[Radius | None, Parameters()] = None,
        limit: Annotated[Limit, Parameters()] = 50,
    ) -> Response:
        """The groups of items that are copies of one another, and which of each to keep."""
        name = service.named(collection)
        return json_response(await service.batcher.call(told, name, radius, limit))

    return router


def _told(collection: Collection, name: str, found: Duplicates, limit: int) -> bytes:
    """The groups as JSON, in ASCII: ids and names may hold what is not UTF-8."""
    groups = [
        {
            "keep": group[0].id,
            "items": [one.to_json() for one in group[:_MOST_ITEMS]],
            "n_items": len(group),
        }
        for group in islice(found, limit)
    ]
    answer: dict[str, Any] = {"collection": name, "commit": collection.commit}
    answer |= {"radius": found.radius, "groups": groups, "n_groups": len(found)}
    answer["more"] = len(found) > limit
    if found.note:
        answer["note"] = found.note
    return json.dumps(answer).encode()
