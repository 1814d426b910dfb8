"""What is asked: one payload or many, and how many are answered at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from numbers import Real
from os import PathLike
from typing import Any

import numpy as np

from hashret.codes import Neighbors
from hashret.errors import PayloadError
from hashret.items import Item, Payload
from hashret.plan import Plan

#: Why a payload of each kind is answered by nothing.
UNKNOWN = {
    "text": "the text has no word that the collection's vocabulary knows",
    "image": "the image has no feature that the collection knows",
    "vector": "the vector has no feature that the collection knows",
}

# Queries searched at once: first, at most, and so many that they find about so many rows.
_FIRST_BLOCK, _BLOCK, _FOUND = 256, 4096, 1 << 21


def payloads_of(asked: Any, kind: str) -> tuple[list[Payload], bool]:
    """The payloads in what a caller gave, and whether it was a single one.

    An `Item` stands for its payload. Of vectors, what has one dimension is one vector: an array, a
    tensor, or an iterable of numbers. What has two is many, also if it has but one row: an array,
    or an iterable of vectors. Raises `PayloadError` for what is neither one nor many.
    """
    single = isinstance(asked, str | bytes | bytearray | Item | PathLike)
    if kind == "vector":
        asked = _as_vectors(asked)
    if kind == "image" and not isinstance(asked, np.ndarray):
        # what holds bytes, or gives them, is one picture; so is what can't be many
        single |= isinstance(asked, memoryview) or not isinstance(asked, Iterable)
        single |= hasattr(asked, "read")
    elif isinstance(asked, np.ndarray):
        # an image has two or three dimensions, a vector one
        single = asked.ndim < 4 if kind == "image" else asked.ndim < 2
    if not single and not isinstance(asked, Iterable):
        raise PayloadError(
            f"query: expected a {kind} or an iterable of them, got {type(asked).__name__}; "
            "pass the payload itself"
        )
    items = [asked] if single else list(asked)
    return [item.payload if isinstance(item, Item) else item for item in items], single


def _as_vectors(asked: Any) -> Any:
    """What was asked, as an array where it is a tensor, a table or an iterable of numbers."""
    if isinstance(asked, np.ndarray | str | Item | PathLike):
        return asked
    if hasattr(asked, "detach"):  # a tensor of torch, which may have a gradient or stand elsewhere
        asked = asked.detach().cpu()
    if hasattr(asked, "__array__"):
        return np.asarray(asked)
    if not isinstance(asked, Iterable):
        return asked
    many = [_as_vectors(one) if hasattr(one, "detach") else one for one in asked]
    return np.array(many) if many and all(isinstance(one, Real) for one in many) else many


def in_blocks(
    queries: np.ndarray, find: Callable[[np.ndarray], tuple[Neighbors, Plan]]
) -> Iterator[tuple[np.ndarray, Neighbors, Plan]]:
    """The answers to these queries, some at a time: which these are, found, how.

    Where very many items tie, a block is so small that its answer fits the memory.
    """
    left, size = queries, _FIRST_BLOCK
    while len(left):
        block, left = left[:size], left[size:]
        found, plan = find(block)
        yield block, found, plan
        size = max(1, min(_BLOCK, _FOUND * len(block) // max(1, len(found.rows))))
