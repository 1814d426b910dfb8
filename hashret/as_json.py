"""What is a hit, a stored item, an approximation as JSON? One form for the command and the server.

The keys are stable.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hashret.items import Approximation, Hit, StoredItem


def hit_json(hit: Hit, *, with_text: bool = False) -> dict[str, Any]:
    """A hit as JSON, under stable keys: id, distance (bits), score, code (hexadecimal), metadata.

    Hits that were ordered by their features also have the key similarity, by their words the key
    words, by words and codes words and fused, and `with_text` the key text, null where the
    collection keeps none.
    """
    fields = {
        "id": hit.id,
        "distance": hit.distance,
        "score": round(hit.score, 6),
        "code": hit.code,
        "metadata": dict(hit.metadata),
    }
    if hit.similarity is not None:
        fields["similarity"] = round(hit.similarity, 6)
    if hit.words is not None:
        fields["words"] = round(hit.words, 6)
    if hit.fused is not None:
        fields["fused"] = round(hit.fused, 6)
    if with_text:
        fields["text"] = hit.text
    return fields


def stored_json(item: StoredItem) -> dict[str, Any]:
    """A stored item as JSON, under stable keys, without its text."""
    return {
        "id": item.id,
        "code": item.code,
        "metadata": dict(item.metadata),
        "preview": item.preview,
    }


def approximation_json(approximation: Approximation) -> dict[str, Any]:
    """How an approximate answer was found and its measured recall, as JSON under stable keys."""
    return {
        "index": approximation.index,
        **approximation.parameters,
        "recall": approximation.recall,
        "k": approximation.k,
        "n_queries": approximation.n_queries,
    }
