"""What does an answer look like? Models for the OpenAPI description; `answers` writes the JSON."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field


class Problem(BaseModel):
    """Why there is no answer."""

    detail: str


class HitModel(BaseModel):
    """An item near the query."""

    id: str
    distance: int = Field(description="Hamming distance in bits.")
    score: float = Field(description="Orders hits at one distance; higher is better.")
    code: str = Field(description="The stored code in hexadecimal.")
    metadata: dict[str, Any]
    similarity: float | None = Field(None, description="Of features, where they gave the order.")
    words: float | None = Field(None, description="Of words, where they gave the order.")
    preview: str | None = Field(None, description="The beginning of a text, if included.")
    text: str | None = Field(None, description="The whole text, if included and kept.")


class Answer(BaseModel):
    """The hits of one query, best first, and the commit that all of them are of."""

    collection: str
    commit: int
    hits: list[HitModel]
    more: bool | None = Field(None, description="True where the radius holds more than k items.")
    by: str | None = Field(
        None, description="What gave the order, if not codes alone: `words and codes`, ..."
    )
    note: str | None = Field(None, description="Why there are no hits.")
    approximate: dict[str, Any] | None = Field(None, description="How exact the answer is.")
    plan: dict[str, Any] | None = Field(None, description="How the hits were found, if included.")
    code: str | None = Field(None, description="The query's code, if included; empty if none.")


class ItemModel(BaseModel):
    """A stored item."""

    collection: str
    commit: int
    id: str
    code: str
    metadata: dict[str, Any]
    preview: str
    text: str | None


class Statistics(BaseModel):
    """What each collection is."""

    collections: dict[str, dict[str, Any]]


class Health(BaseModel):
    """Whether the server answers, from the last commits ("ok") or from earlier ones ("stale")."""

    status: str
