"""What callers give: whole numbers, yes or no, calls, names. Others get a sentence of ours.

A name stands in a table such as ``{"dense": "hashret.models.dense:DenseEncoder"}``, a literal that
imports nothing by itself.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from importlib import import_module
from numbers import Real
from operator import index
from typing import Any

from hashret.errors import UnknownKindError


def whole(name: str, value: Any) -> int:
    """A number that was given under this name.

    Raises TypeError unless it is a whole one; True and False are none.
    """
    try:
        if isinstance(value, bool):
            raise TypeError
        return index(value)
    except TypeError:
        raise TypeError(
            f"{name}: expected a whole number, got {shown(value)}; pass an int"
        ) from None


def require_number(name: str, value: Any) -> None:
    """Raise TypeError unless it is a number, whole or not."""
    if isinstance(value, bool) or not isinstance(value, Real):
        raise TypeError(f"{name}: expected a number, got {shown(value)}; pass an int or a float")


def require_flag(name: str, value: Any) -> None:
    """Raise TypeError unless it is True or False."""
    is_numpys = type(value).__module__ == "numpy" and type(value).__name__.startswith("bool")
    if not isinstance(value, bool) and not is_numpys:
        raise TypeError(f"{name}: expected True or False, got {shown(value)}; pass one of these")


def require_call(name: str, value: Any) -> None:
    """Raise TypeError unless it can be called."""
    if not callable(value):
        raise TypeError(f"{name}: expected a function, got {shown(value)}; pass one, or leave it")


def require_instance(name: str, value: Any, kind: type) -> None:
    """Raise TypeError unless it is of this kind."""
    if not isinstance(value, kind):
        raise TypeError(
            f"{name}: expected {kind.__name__}, got {shown(value)}; pass one, or leave it out"
        )


def unusable_in_path(given: str) -> str:
    """What a path holds that no file system takes, for an error; empty where there is nothing."""
    if "\0" in given:
        return "NUL"
    try:
        os.fsencode(given)
    except UnicodeEncodeError as error:
        return repr(given[error.start])
    return ""


def resolve(table: Mapping[str, str], name: str, what: str) -> Any:
    """The object that `table` names "module:attribute" under `name`, imported on first use.

    `what` is the noun for the error, as in "index". Raises `UnknownKindError` with the list
    of known names if `table` has no such name.
    """
    require_name(table, name, what)
    module, _, attribute = table[name].partition(":")
    return getattr(import_module(module), attribute)


def require_name(table: Mapping[str, str], name: str, what: str) -> None:
    """Raise `UnknownKindError` as `resolve` does, without importing anything."""
    if not isinstance(name, str) or name not in table:
        known = ", ".join(sorted(table))
        raise UnknownKindError(
            f"{what}: expected one of {known}, got {shown(name)}; choose one of these"
        )


def shown(value: Any) -> str:
    """What was given as a message shows it: a name as it is, else with its type."""
    try:
        return (
            f"{value!r:.80}" if isinstance(value, str) else f"{type(value).__name__} {value!r:.80}"
        )
    except Exception:  # a stranger's __repr__
        return type(value).__name__


def require_whole_fields(spec: Any, **least: int) -> None:
    """Raise ValueError if a field of a spec is not an integer, or less than its least value."""
    for name, lowest in least.items():
        value = getattr(spec, name)
        if type(value) is not int or value < lowest:
            raise ValueError(
                f"{name}: expected a whole number of {lowest} or more, got {value!r}; "
                "choose another"
            )
