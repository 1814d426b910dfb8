"""A condition on the metadata in PostgreSQL's SQL, with the meaning of `hashret.where.holds`.

The metadata is read as `json`, not `jsonb`: it keeps numbers as they are written, so that 64-bit
integers and floats are told apart and compared exactly, as Python and SQLite do. Whatever could
raise stands within a CASE, since SQL promises no order for AND. What `json` cannot read (NUL and
halves of surrogate pairs, as JSON may escape them) `odd_metadata` finds; Python judges those rows.
"""

from __future__ import annotations

import math
from decimal import Decimal
from typing import Any

from sqlalchemy import (
    ARRAY,
    ColumnElement,
    Double,
    Numeric,
    Text,
    and_,
    any_,
    case,
    cast,
    column,
    false,
    func,
    literal,
    not_,
    or_,
    select,
)
from sqlalchemy.dialects.postgresql import JSON

from hashret.store import catalog_tables as t
from hashret.where import (
    SIGNS,
    AnyOf,
    Both,
    Condition,
    Contains,
    Field,
    Not,
    Order,
    StartsWith,
    Value,
    kind_of,
)

_INT64 = "^-?[0-9]{1,19}$"
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


def matching(condition: Condition) -> ColumnElement[bool]:
    """The condition on a row of the table of items whose metadata is not odd."""
    match condition:
        case Not(inner):
            return not_(matching(inner))
        case Both(parts, every):
            return (and_ if every else or_)(*map(matching, parts))
    value = _of(condition.field)
    match condition:
        case AnyOf(_, values):
            return value.any_of(values)
        case Order(_, sign, other) if isinstance(other, str):
            return value.is_a("string") & SIGNS[sign](value.text, other)
        case Order(_, sign, int() | float() as other):
            return value.number(sign, other)
        case StartsWith(_, start):
            return value.is_a("string") & func.starts_with(value.text, start)
        case Contains(_, part):
            return value.contains(part)
    raise AssertionError(condition)  # mypy: a union has no other member


class _Json:
    """A JSON value in SQL; of a missing one (SQL's NULL) the kind is null."""

    def __init__(self, json: ColumnElement[Any] | None, text: ColumnElement[Any] | None = None):
        self._json = json
        self._kind: ColumnElement[Any] = literal("string" if json is None else "null")
        if json is not None:
            self._kind = func.coalesce(func.json_typeof(json), "null")
            text = json.op("#>>", return_type=Text())(cast(literal("{}"), ARRAY(Text)))
        # compared byte by byte, which in UTF-8 is by code points
        self.text = func.coalesce(text, "").collate("C")

    def is_a(self, kind: str) -> ColumnElement[bool]:
        return self._kind == kind

    def any_of(self, values: tuple[Value, ...]) -> ColumnElement[bool]:
        by_kind: dict[str, list[Any]] = {}
        for value in values:
            by_kind.setdefault(kind_of(value), []).append(value)
        found: list[ColumnElement[bool]] = [false()]
        if "null" in by_kind:
            found.append(self.is_a("null"))
        for word in by_kind.get("boolean", []):
            found.append(self.is_a("boolean") & (self.text == ("true" if word else "false")))
        if texts := by_kind.get("string"):
            found.append(self.is_a("string") & (self.text == any_(literal(texts, ARRAY(Text)))))
        if numbers := by_kind.get("number"):
            found.append(self._is_one_of(numbers))
        return or_(*found)

    def _is_one_of(self, numbers: list[int | float]) -> ColumnElement[bool]:
        whole = [Decimal(int(n)) for n in numbers if n == int(n)]
        floats = [float(n) for n in numbers if float(n) == n]
        integer = self._integer()
        return case(
            (integer.is_not(None), integer == any_(literal(whole, ARRAY(Numeric)))),
            (self.is_a("number"), self._float() == any_(literal(floats, ARRAY(Double)))),
            else_=false(),
        )

    def number(self, sign: str, bound: int | float) -> ColumnElement[bool]:
        """A number before or after the bound, exactly, whichever of them is an integer."""
        up = sign in ("<", ">=")  # v < 2.5 and v >= 2.5 are for integers v < 3 and v >= 3
        whole = Decimal(math.ceil(bound) if up else math.floor(bound))
        near = float(bound)
        if up and near < bound:
            near = math.nextafter(near, math.inf)
        elif not up and near > bound:
            near = math.nextafter(near, -math.inf)
        integer = self._integer()
        return case(
            (integer.is_not(None), SIGNS[sign](integer, literal(whole, Numeric))),
            (self.is_a("number"), SIGNS[sign](self._float(), literal(near, Double))),
            else_=false(),
        )

    def _integer(self) -> ColumnElement[Any]:
        """The value if it is written as an integer of 64 bits, else NULL."""
        written = case(
            (self.is_a("number"), case((self.text.regexp_match(_INT64), cast(self.text, Numeric))))
        )
        low, high = literal(Decimal(-(2**63)), Numeric), literal(Decimal(2**63 - 1), Numeric)
        return case((written.between(low, high), written))

    def _float(self) -> ColumnElement[Any]:
        """The number as a float, infinite if it is beyond the largest."""
        exact = cast(self.text, Numeric)
        infinite = {sign: cast(literal(f"{sign}Infinity"), Double) for sign in ("", "-")}
        return case(
            (exact >= literal(_LARGEST, Numeric), infinite[""]),
            (exact <= literal(-_LARGEST, Numeric), infinite["-"]),
            else_=cast(self.text, Double),
        )

    def contains(self, part: Value) -> ColumnElement[bool]:
        found: list[ColumnElement[bool]] = [false()]
        if isinstance(part, str):
            found.append(self.is_a("string") & (func.strpos(self.text, part) > 0))
        if self._json is not None:
            array = case((self.is_a("array"), self._json), else_=cast(literal("[]"), JSON))
            members = func.json_array_elements(array).table_valued(column("value", JSON))
            inside = select(literal(1)).where(_Json(members.c.value).any_of((part,)))
            found.append(inside.correlate(t.items).exists())
        return or_(*found)


def _of(field: Field) -> _Json:
    if not field.keys:
        return _Json(None, t.items.c.id)
    if any("\0" in key for key in field.keys):
        return _Json(cast(literal("null"), JSON))  # only odd metadata can have such a key
    value: ColumnElement[Any] = cast(t.items.c.metadata, JSON(none_as_null=True))
    for key in field.keys:
        # of an array, "->" with a text is NULL as of any value that has no keys
        value = value.op("->", return_type=JSON())(literal(key, Text))
    return _Json(value)
