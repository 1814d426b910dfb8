"""Look up a class by its name in a table, and import it on first use.

The tables are literals such as ``{"dense": "hashret.models.dense:DenseEncoder"}``, so that they
import nothing by themselves.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import Any

from hashret.arguments import shown
from hashret.errors import UnknownKindError


def resolve(table: Mapping[str, str], name: str, what: str) -> Any:
    """Return the object that `table` names "module:attribute" under `name`.

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
