"""Checks of the fields of a spec, for its `__post_init__`."""

from __future__ import annotations

from typing import Any


def require_whole(spec: Any, **least: int) -> None:
    """Raise ValueError if a field is not an integer, or less than its least value."""
    for name, lowest in least.items():
        value = getattr(spec, name)
        if type(value) is not int or value < lowest:
            raise ValueError(
                f"{name}: expected a whole number of {lowest} or more, got {value!r}; "
                "choose another"
            )
