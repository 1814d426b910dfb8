"""A kind's name to its class, imported on first use.

Kinds stand in literal tables, ``{"dense": "hashret.models.apply:DenseEncoder"}``, that import
nothing by themselves. Callers who have a class or an instance of their own pass it instead of
a name; nothing needs to be registered.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from hashret.errors import UnknownKindError


def resolve(table: Mapping[str, str], name: str, what: str) -> Any:
    """Return the object that `table` names "module:attribute" under `name`.

    `what` is the noun for the error, as in "index". Raises `UnknownKindError` with the list
    of known names if `table` has no such name.
    """
    try:
        module, _, attribute = table[name].partition(":")
    except KeyError:
        known = ", ".join(sorted(table))
        raise UnknownKindError(
            f"{what}: expected one of {known}, got {name!r}; "
            "choose one of these or pass an instance"
        ) from None
    return getattr(import_module(module), attribute)
