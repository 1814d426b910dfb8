"""Processor time of single calls: medians, in milliseconds."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import cycle
from statistics import median
from time import process_time
from typing import Any

_LEAST = 3  # calls that are timed however long they take
# Seconds of the same calls before any is timed: the planner has tried its paths by then.
_WARM_SECONDS = 1.5


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


def warm_up(ask: Callable[[Any], Any], given: Sequence[Any]) -> None:
    """Call `ask` for all of `given`, again and again, for `_WARM_SECONDS` of processor time."""
    began = process_time()
    for one in cycle(given):
        ask(one)
        if process_time() - began > _WARM_SECONDS:
            return
