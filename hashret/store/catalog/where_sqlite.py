"""A condition on the metadata in SQLite's SQL; see `hashret.store.catalog.where`.

SQLite ends a text at a NUL and makes floats of integers beyond 64 bits; `odd_metadata` finds what
may have either, and Python judges those rows.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from sqlalchemy import ColumnElement, false, func, literal, or_, select, true

from hashret.store.catalog import tables as t
from hashret.store.catalog.where import by_kind
from hashret.where.conditions import SIGNS, Field, Value, float_beside, kind_of

_INT64_DIGITS = 19  # of 2^63, the first integer that SQLite does not hold
_TYPES = {"number": ("integer", "real"), "string": ("text",)}  # SQLite's names of JSON types


def odd_metadata() -> ColumnElement[bool]:
    """Metadata with a NUL in a text, or with so many digits that SQLite may round the integer."""
    written = t.items.c.metadata
    digits = "*" + "[0-9]" * _INT64_DIGITS + "*"
    return (func.instr(written, "\\u0000") > 0) | written.op("GLOB")(digits)


class JsonValue:
    """A field of a row; what each method is for `hashret.store.catalog.where.SqlValue` says."""

    def __init__(self, field: Field):
        self._is_id = not field.keys
        # SQLite compares keys as they are written, with the escapes that json.dumps gives them
        self._path = "$" + "".join("." + json.dumps(key) for key in field.keys)
        self._type: ColumnElement[Any] = literal("text")
        self._plain: ColumnElement[Any] = t.items.c.id
        if not self._is_id:
            # of a missing field the type is SQL's NULL
            self._type = func.coalesce(func.json_type(t.items.c.metadata, self._path), "null")
            self._plain = func.json_extract(t.items.c.metadata, self._path)

    def _is_a(self, kind: str) -> ColumnElement[bool]:
        return self._type.in_(_TYPES[kind])

    def any_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        """It is one of the values."""
        return _any_of(self._type, self._plain, values)

    def order(self, sign: str, bound: str | int | float) -> ColumnElement[bool]:
        """It is of the bound's kind, and before or after it."""
        if not isinstance(bound, str) and not _is_held(bound):
            # what is compared here is a float, or an integer that lies on the same side of both
            bound = float_beside(bound, above=sign in ("<", ">="))
        compared: ColumnElement[bool] = SIGNS[sign](self._plain, literal(bound))
        return self._is_a(kind_of(bound)) & compared

    def starts_with(self, start: str) -> ColumnElement[bool]:
        """It is a string that begins so."""
        begins = func.substr(self._plain, 1, len(start)) == literal(start) if start else true()
        return self._is_a("string") & begins

    def contains(self, part: Value) -> ColumnElement[bool]:
        """It is a string with this string in it, or a list with this value."""
        found: list[ColumnElement[bool]] = []
        if isinstance(part, str):
            found.append(self._is_a("string") & (func.instr(self._plain, literal(part)) > 0))
        if not self._is_id:
            members = func.json_each(t.items.c.metadata, self._path).table_valued("type", "atom")
            inside = select(literal(1)).where(_any_of(members.c.type, members.c.atom, (part,)))
            found.append((self._type == "array") & inside.correlate(t.items).exists())
        return or_(false(), *found)


def _any_of(
    json_type: ColumnElement[Any], plain: ColumnElement[Any], values: Sequence[Value]
) -> ColumnElement[bool]:
    alike = by_kind(values)
    found: list[ColumnElement[bool]] = []
    for word in alike.pop("null", []) + alike.pop("boolean", []):
        found.append(json_type.in_([json.dumps(word)]))  # SQLite's types of these are the words
    for kind, others in alike.items():
        # an integer beyond 64 bits is the value of a row judged here only where a float is
        held = [v if _is_held(v) else float_beside(v, above=True) for v in others]  # type: ignore[arg-type]
        same = plain.in_([literal(h) for h, v in zip(held, others, strict=True) if h == v])
        found.append(json_type.in_(_TYPES[kind]) & same)
    return or_(false(), *found)


def _is_held(value: Value) -> bool:
    """Whether SQLite holds the value as it is: all but integers beyond 64 bits."""
    return not isinstance(value, int) or -(2**63) <= value < 2**63
