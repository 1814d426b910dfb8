"""Which endpoints take and give pictures? Uploads as questions, thumbnails, originals."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Request, Response
from fastapi import Query as Parameters

from hashret.collection import Collection
from hashret.errors import CollectionError
from hashret.server.requests import Name, Options
from hashret.server.responses import Answer
from hashret.server.service import Service, StrictRoute

#: How OpenAPI describes a body that is a picture.
PICTURE: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {"image/*": {"schema": {"type": "string", "format": "binary"}}},
    }
}


def _gives(media_type: str) -> dict[int | str, dict[str, Any]]:
    """How OpenAPI describes an answer that is a picture."""
    binary = {"schema": {"type": "string", "format": "binary"}}
    return {200: {"description": "The picture.", "content": {media_type: binary}}}


def pictures(service: Service) -> APIRouter:
    """The endpoints that take and give pictures."""
    router = APIRouter(prefix="/v1", route_class=StrictRoute)

    @router.post("/query/image", response_model=Answer, openapi_extra=PICTURE)
    async def query(request: Request, options: Annotated[Options, Parameters()]) -> Response:
        """The nearest items to a picture: the body is its file."""
        name = service.named(options.collection)
        picture = await request.body()
        payload = await service.decoder.payload(service.collections[name], picture)
        return await service.answer(options, "picture", payload)

    @router.get(
        "/thumbnail/{item_id:path}", response_class=Response, responses=_gives("image/webp")
    )
    async def thumbnail(item_id: str, collection: Name | None = None) -> Response:
        """The thumbnail of an image, a WebP file; its id may contain slashes."""
        of = service.collections[service.named(collection)]
        found = await service.batcher.call(of.thumbnail, item_id)
        if found is None:
            raise HTTPException(404, _no_thumbnail(of))
        return Response(found, media_type="image/webp")

    @router.get("/original/{item_id:path}", response_class=Response, responses=_gives("image/jpeg"))
    async def original(item_id: str, collection: Name | None = None) -> Response:
        """The whole picture that was indexed, written anew, where it is still there."""
        of = service.collections[service.named(collection)]
        if not service.shows_originals:
            raise HTTPException(404, "original: expected a server that shows them; see --originals")
        try:
            picture = await service.batcher.call(of.standing().snapshot.original, item_id)
        except CollectionError as error:
            if type(error) is not CollectionError:  # unknown, or damaged
                raise
            raise HTTPException(404, service.without_places(str(error))) from error
        whole = await service.decoder.whole(picture)
        return Response(whole, media_type="image/jpeg")

    return router


def _no_thumbnail(of: Collection) -> str:
    if of.keeps_thumbnails:
        return "thumbnail: expected one of the item, got none; index its source with --retrain"
    return (
        "thumbnail: expected a collection that keeps them, got one without; index images anew "
        "with --retrain --thumbnails"
    )
