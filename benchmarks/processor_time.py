"""Processor time of single calls: medians, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median
from time import process_time
from typing import Any

_LEAST = 3  # calls that are timed however long they take


def median_ms(ask: Callable[[Any], Any], given: Iterable[Any], most_seconds: float = 2.0) -> float:
    """The median milliseconds of all threads' processor time that `ask` takes for one of `given`.

    The first call does not count. After so many seconds the rest of `given` is left out.
    """
    taken: list[float] = []
    for one in given:
        began = process_time()
        ask(one)
        taken.append(process_time() - began)
        if sum(taken) > most_seconds and len(taken) >= _LEAST:
            break
    return 1e3 * median(taken[1:])
