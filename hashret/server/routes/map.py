"""Which endpoint gives the map? One that lays it out once for a commit, in a thread of its own."""

from __future__ import annotations

import json
import threading
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, HTTPException, Response
from fastapi import Query as Parameters
from pydantic import BaseModel, Field

from hashret.collection import Collection
from hashret.errors import MissingExtraError
from hashret.insight.code_map import CodeMap, lay_out, values_of
from hashret.server.requests import Name
from hashret.server.service import Service, StrictRoute, json_response

FieldName = Annotated[str, Parameters(description="Metadata field whose values are given.")]


class MapModel(BaseModel):
    """The places of the items, of a sample of 50,000 if there are more."""

    collection: str
    commit: int
    n_items: int = Field(description="All items of the commit.")
    shown: int = Field(description="How many of them are on the map.")
    ids: list[str]
    x: list[float] = Field(description="From 0 to 1.")
    y: list[float] = Field(description="From 0 to 1, upwards.")
    field: str | None
    values: list[str | int | float | bool | None] | None = Field(
        description="Of the field, item by item; lists and objects as JSON."
    )


class ComputingModel(BaseModel):
    """The map is not there yet; ask again in a second or more."""

    collection: str
    commit: int
    status: str
    done: float = Field(description="The share of the work that is done, 0 to 1.")


def map_of_items(service: Service) -> APIRouter:
    """The endpoint that gives the map."""
    maps = _Maps()

    @asynccontextmanager
    async def life(_: Any) -> AsyncIterator[None]:
        yield
        maps.stop()

    router = APIRouter(prefix="/v1", route_class=StrictRoute, lifespan=life)

    @router.get("/map", response_model=MapModel, responses={202: {"model": ComputingModel}})
    async def map_(collection: Name | None = None, field: FieldName | None = None) -> Response:
        """Where in a square each item lies, so that items of near codes lie together.

        The map is made when it is first asked for, and again for each commit that it is asked of.
        """
        name = service.named(collection)
        of = service.collections[name]
        try:
            status, body = await service.batcher.call(_answer, maps, of, name, field)
        except MissingExtraError as error:
            raise HTTPException(409, str(error)) from None
        response = json_response(body)
        response.status_code = status
        return response

    return router


def _answer(maps: _Maps, collection: Collection, name: str, field: str | None) -> tuple[int, bytes]:
    """The status and the JSON of an answer, of one commit. Raises what laying out did."""
    standing = collection.standing()
    about: dict[str, Any] = {"collection": name, "commit": standing.commit}
    if field is not None:  # a wrong name is said at once
        values_of(standing, field, np.empty(0, np.int64))
    work = maps.of(name, standing)
    if work.error is not None:
        raise work.error
    if work.code_map is None:
        told = dict(about, status="computing", done=round(work.done, 3))
        return 202, json.dumps(told).encode()
    about["field"] = field
    shown = work.code_map.positions
    about["values"] = None if field is None else values_of(standing, field, shown)
    return 200, json.dumps(about)[:-1].encode() + work.told


class _StoppedError(Exception):
    """Nobody needs the map any more."""


class _Work:
    """The map of one commit, once it is there, and the thread that lays it out until then."""

    def __init__(self, collection: Collection):
        self.snapshot = weakref.ref(collection.snapshot)  # which must not outlive its use
        self.done = 0.0
        self.code_map: CodeMap | None = None
        self.told = b""  # what is told of it whatever the field, as the rest of a JSON object
        self.error: Exception | None = None
        self._stopped = threading.Event()
        self._thread = threading.Thread(
            target=self._run, args=(collection,), name="hashret-map", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Let the thread end soon, if it has not."""
        self._stopped.set()

    def join(self) -> None:
        """Wait until the thread has ended."""
        self._thread.join()

    def _run(self, collection: Collection) -> None:
        try:
            code_map = lay_out(collection, on_done=self._on_done)
            x, y = code_map.places.round(5).T.tolist()
            told = {
                "n_items": len(collection),
                "shown": len(code_map),
                "ids": collection.ids(code_map.positions),
                "x": x,
                "y": y,
            }
            self.told = b", " + json.dumps(told)[1:].encode()
            self.code_map = code_map
        except _StoppedError:
            pass
        except Exception as error:  # whoever asks is told, also of one of ours
            self.error = error

    def _on_done(self, done: float) -> None:
        self.done = done
        if self._stopped.is_set():
            raise _StoppedError


class _Maps:
    """The last map of each collection by name: one at most is kept, and one laid out."""

    def __init__(self) -> None:
        self._works: dict[str, _Work] = {}
        self._starting = threading.Lock()

    def of(self, name: str, standing: Collection) -> _Work:
        """The map of a collection at its commit; begun where it is not there."""
        with self._starting:
            work = self._works.get(name)
            if work is None or work.snapshot() is not standing.snapshot:
                if work is not None:
                    work.stop()
                work = self._works[name] = _Work(standing)
            return work

    def stop(self) -> None:
        """End all work, and wait until it has ended."""
        with self._starting:
            for work in self._works.values():
                work.stop()
            for work in self._works.values():
                work.join()
