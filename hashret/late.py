"""A field of a dataclass that may be given as a function, called when the field is first read."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def late(name: str) -> Callable[[type], Any]:
    """A decorator for a dataclass with slots whose field `name` may be read late.

    Where the field is given a function without arguments, its result is the field's value from
    then on. Whatever looks at the field reads it: `replace`, `asdict`, `copy` and `pickle` too.
    """

    def decorated(dataclass: type) -> type:
        setattr(dataclass, name, _Late(getattr(dataclass, name)))
        return dataclass

    return decorated


class _Late:
    """What stands in the place of the field's slot. Two threads may both read it, to no harm."""

    def __init__(self, slot: Any):
        self._slot = slot

    def __get__(self, owner: Any, kind: type | None = None) -> Any:
        if owner is None:
            return self
        value = self._slot.__get__(owner)
        if callable(value):
            value = value()
            self._slot.__set__(owner, value)
        return value

    def __set__(self, owner: Any, value: Any) -> None:
        self._slot.__set__(owner, value)
