"""A stream in lists of bounded length (Python 3.12 has `itertools.batched`)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """The values in lists of `size`, the last one of what is left."""
    stream = iter(values)
    while chunk := list(islice(stream, size)):
        yield chunk
