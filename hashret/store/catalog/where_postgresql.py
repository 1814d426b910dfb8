"""A condition on the metadata in PostgreSQL's SQL; see `hashret.store.catalog.where`.

The metadata is read as `json`, not `jsonb`: it keeps numbers as they are written, so that
integers and floats are told apart and compared exactly, as Python does. Whatever could
raise stands within a CASE, since SQL promises no order for AND. What `json` cannot read (NUL and
halves of surrogate pairs, as JSON may escape them) `odd_metadata` finds; Python judges those rows.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, Self

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Double,
    Numeric,
    Text,
    any_,
    case,
    cast,
    column,
    false,
    func,
    literal,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSON

from hashret.store.catalog import tables as t
from hashret.store.catalog.where import by_kind
from hashret.where.conditions import SIGNS, Field, Value, float_beside

_INTEGER = "^-?[0-9]+$"
_HALVES = (
    r"\\ud[89ab][0-9a-f]{2}(?!\\ud[c-f])",  # a first half without a second
    r"(?<!\\ud[89ab][0-9a-f]{2})\\ud[c-f]",
    r"\\\\ud",  # an escaped backslash before it: who reads on from here may be wrong
)
_LARGEST = Decimal(2**1024 - 2**970)  # from here on a float is infinite


def odd_metadata() -> ColumnElement[bool]:
    """Metadata that `json` may refuse to read; also some that it would read."""
    written = t.items.c.metadata
    odd = [func.strpos(written, "\\u0000") > 0]
    odd += [written.regexp_match(half) for half in _HALVES]
    # most metadata has no escape at all, which is found at once
    return case((func.strpos(written, "\\u") > 0, or_(*odd)), else_=false())


class JsonValue:
    """A field of a row whose metadata is not odd, or a member of a list in it.

    What each method is for `hashret.store.catalog.where.SqlValue` says.
    """

    def __init__(self, json: ColumnElement[Any] | None, text: ColumnElement[Any] | None = None):
        """Of JSON (of a missing value, SQL's NULL, the kind is null), or a `text` that is none."""
        self._json = json
        self._kind: ColumnElement[Any] = literal("string" if json is None else "null")
        if json is not None:
            self._kind = func.coalesce(func.json_typeof(json), "null")
            text = json.op("#>>", return_type=Text())(cast(literal("{}"), ARRAY(Text)))
        # compared byte by byte, which in UTF-8 is by code points
        self._text = func.coalesce(text, "").collate("C")

    @classmethod
    def of(cls, field: Field) -> Self:
        """The value of a field in the table of items."""
        if not field.keys:
            return cls(None, t.items.c.id)
        if any("\0" in key for key in field.keys):
            return cls(cast(literal("null"), JSON))  # only odd metadata can have such a key
        value: ColumnElement[Any] = cast(t.items.c.metadata, JSON(none_as_null=True))
        for key in field.keys:
            # of an array, "->" with a text is NULL as of any value that has no keys
            value = value.op("->", return_type=JSON())(literal(key, Text))
        return cls(value)

    def _is_a(self, kind: str) -> ColumnElement[bool]:
        return self._kind == kind

    def any_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        """It is one of the values."""
        alike = by_kind(values)
        found: list[ColumnElement[bool]] = [false()]
        if "null" in alike:
            found.append(self._is_a("null"))
        for word in alike.get("boolean", []):
            found.append(self._is_a("boolean") & (self._text == ("true" if word else "false")))
        if texts := alike.get("string"):
            found.append(self._is_a("string") & (self._text == any_(literal(texts, ARRAY(Text)))))
        if numbers := alike.get("number"):
            found.append(self._is_one_of(numbers))
        return or_(*found)

    def contains(self, part: Value) -> ColumnElement[bool]:
        """It is a string with this string in it, or a list with this value."""
        found: list[ColumnElement[bool]] = [false()]
        if isinstance(part, str):
            found.append(self._is_a("string") & (func.strpos(self._text, part) > 0))
        if self._json is not None:
            array = case((self._is_a("array"), self._json), else_=cast(literal("[]"), JSON))
            members = func.json_array_elements(array).table_valued(column("value", JSON))
            inside = select(literal(1)).where(JsonValue(members.c.value).any_of((part,)))
            found.append(inside.correlate(t.items).exists())
        return or_(*found)

    def order(self, sign: str, bound: str | int | float) -> ColumnElement[bool]:
        """It is of the bound's kind, and before or after it."""
        if isinstance(bound, str):
            compared: ColumnElement[bool] = SIGNS[sign](self._text, bound)
            return self._is_a("string") & compared
        return self._number(sign, bound)

    def starts_with(self, start: str) -> ColumnElement[bool]:
        """It is a string that begins so."""
        return self._is_a("string") & func.starts_with(self._text, start)

    def _is_one_of(self, numbers: Sequence[Any]) -> ColumnElement[bool]:
        whole = [Decimal(int(n)) for n in numbers if n == int(n)]
        near = [float_beside(n, above=True) for n in numbers]
        floats = [f for f, n in zip(near, numbers, strict=True) if f == n]
        integer = self._integer()
        return case(
            (integer.is_not(None), integer == any_(literal(whole, ARRAY(Numeric)))),
            (self._is_a("number"), self._float() == any_(literal(floats, ARRAY(Double)))),
            else_=false(),
        )

    def _number(self, sign: str, bound: int | float) -> ColumnElement[bool]:
        """A number before or after the bound, exactly, whichever of them is an integer."""
        up = sign in ("<", ">=")  # v < 2.5 and v >= 2.5 are for integers v < 3 and v >= 3
        whole = Decimal(math.ceil(bound) if up else math.floor(bound))
        near = float_beside(bound, above=up)
        integer = self._integer()
        return case(
            (integer.is_not(None), SIGNS[sign](integer, literal(whole, Numeric))),
            (self._is_a("number"), SIGNS[sign](self._float(), literal(near, Double))),
            else_=false(),
        )

    def _integer(self) -> ColumnElement[Any]:
        """The value if it is written as an integer, else NULL."""
        exact = case((self._text.regexp_match(_INTEGER), cast(self._text, Numeric)))
        return case((self._is_a("number"), exact))

    def _float(self) -> ColumnElement[Any]:
        """The number as a float, infinite if it is beyond the largest."""
        exact = cast(self._text, Numeric)
        infinite = {sign: cast(literal(f"{sign}Infinity"), Double) for sign in ("", "-")}
        return case(
            (exact >= literal(_LARGEST, Numeric), infinite[""]),
            (exact <= literal(-_LARGEST, Numeric), infinite["-"]),
            else_=cast(self._text, Double),
        )
