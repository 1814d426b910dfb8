"""What newer versions of Python have built in: `chunks` is `itertools.batched` of Python 3.12."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TypeVar

T = TypeVar("T")


def chunks(values: Iterable[T], size: int) -> Iterator[list[T]]:
    """Yield the values in lists of length `size`; the last list may be shorter."""
    stream = iter(values)
    while chunk := list(islice(stream, size)):
        yield chunk
