"""Why are there no hits? What is said on standard error where none can be shown."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.items import Hits
    from hashret.search.question import Question


def none_because(collection: Collection, where: str | None) -> str:
    """Why no item satisfies the condition `where`, in parentheses; "" if some do, or none knows."""
    from hashret.where.explain import kinds_by_asking, reason

    if where is None or len(collection.positions_where(where)):
        return ""

    def some(other: str) -> bool:
        return len(collection.positions_where(other)) > 0

    why = reason(where, lambda field: kinds_by_asking(field, some))
    return f" ({why})" if why else ""


def why_none(
    collection: Collection, question: Question, note: str, ask: Callable[[Question], Hits]
) -> str:
    """Why the question has no hits; beyond a radius, how near the nearest item is."""
    if note:
        return f"no hits: {note}{none_because(collection, question.where)}"
    if question.radius is not None:
        nearest = ask(replace(question, k=1, radius=None, rerank=0, rerank_by=None))
        for hit in nearest:
            bits = hit.distance
            within = f"within {question.radius} bit{'s' * (question.radius != 1)}"
            return f"no hits {within}; the nearest is at {bits} (try --radius {bits})"
    other = " other" if len(collection.codes) else ""
    return f"no hits: the collection has no{other} item with a code"
