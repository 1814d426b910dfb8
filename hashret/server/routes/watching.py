"""Which endpoints say how the server is? Its health, its counters, and the files of the page."""

from __future__ import annotations

import json
from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import APIRouter, Request, Response

from hashret.server.page_files import PAGE_FILES, page_file
from hashret.server.responses import Health
from hashret.server.service import Service, json_response


def watching(service: Service) -> APIRouter:
    """What says how the server is, and the page."""
    router = APIRouter()

    @router.get("/healthz", response_model=Health)
    async def healthz() -> Response:
        """Whether the server answers; "stale" while it can't read the last commit."""
        return json_response(json.dumps({"status": "stale" if service.stale else "ok"}).encode())

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
