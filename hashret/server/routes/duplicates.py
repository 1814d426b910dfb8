"""Which endpoint shows copies? The groups of a collection, found once for each commit."""

from __future__ import annotations

import asyncio
import json
from collections import OrderedDict
from contextlib import suppress
from itertools import islice
from threading import Thread
from typing import Annotated, Any

from fastapi import APIRouter, Response
from fastapi import Query as Parameters
from pydantic import BaseModel, Field

from hashret.collection import Collection
from hashret.errors import CollectionError
from hashret.insight.duplicates import Duplicates, duplicates
from hashret.server.batching import BusyError
from hashret.server.requests import Name, Radius
from hashret.server.service import Service, StrictRoute, json_response

#: Most groups of one answer, and most items shown of one group.
_MOST_GROUPS, _MOST_ITEMS = 200, 100
_KEPT = 4  # findings that are remembered or in progress, of one commit and radius each
_MOST_COMPARED = 200_000  # items, among which copies are found in minutes
_Key = tuple[str, int, int | None]

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
    """The last findings, and those in progress: whoever asks for the same waits for the same.

    They are found in a thread of their own, one at a time, so that questions are answered
    meanwhile; it ends with the process.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[_Key, asyncio.Task[Duplicates]] = OrderedDict()
        self._one = asyncio.Lock()

    async def of(self, collection: Collection, name: str, radius: int | None) -> Duplicates:
        """The copies in a collection that stands on one commit. Raises `BusyError`."""
        if len(collection) > _MOST_COMPARED:
            raise CollectionError(
                f"{name}: expected at most {_MOST_COMPARED} items to look for copies among while "
                f"serving, got {len(collection)}; use `hashret duplicates`"
            )
        key = name, collection.commit, radius
        task = self._kept.pop(key, None)
        if task is None:
            # what is of an earlier commit would hold its files
            for other in [k for k, t in self._kept.items() if t.done() and k[:2] != key[:2]]:
                if other[0] == name:
                    del self._kept[other]
            self._make_room()
            task = asyncio.create_task(self._find(collection, radius))
        self._kept[key] = task
        try:
            return await asyncio.shield(task)
        except Exception:
            self._kept.pop(key, None)
            raise

    def _make_room(self) -> None:
        for key in [key for key, task in self._kept.items() if task.done()]:
            if len(self._kept) >= _KEPT:
                del self._kept[key]
        if len(self._kept) >= _KEPT:
            raise BusyError("server: too many searches for copies are waiting; ask again later")

    async def _find(self, collection: Collection, radius: int | None) -> Duplicates:
        async with self._one:
            loop = asyncio.get_running_loop()
            found: asyncio.Future[Duplicates] = loop.create_future()

            def tell(of: Duplicates | None, error: Exception | None) -> None:
                if found.cancelled():
                    return
                if of is None:
                    found.set_exception(error or RuntimeError())
                else:
                    found.set_result(of)

            def find() -> None:
                of, error = None, None
                try:
                    of = duplicates(collection, radius=radius)
                except Exception as raised:  # it is raised again where it is awaited
                    error = raised
                with suppress(RuntimeError):  # the server has stopped meanwhile
                    loop.call_soon_threadsafe(tell, of, error)

            Thread(target=find, daemon=True).start()
            return await found


def copies(service: Service) -> APIRouter:
    """The endpoint that shows copies."""
    router, findings = APIRouter(prefix="/v1", route_class=StrictRoute), _Findings()

    @router.get("/duplicates", response_model=DuplicatesModel)
    async def of_collection(
        collection: Annotated[Name | None, Parameters()] = None,
        radius: Annotated[Radius | None, Parameters()] = None,
        limit: Annotated[Limit, Parameters()] = 50,
    ) -> Response:
        """The groups of items that are copies of one another, and which of each to keep."""
        name = service.named(collection)
        standing = service.collections[name].standing()
        found = await findings.of(standing, name, radius)
        return json_response(await service.batcher.call(_told, standing, name, found, limit))

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
