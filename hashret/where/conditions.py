"""What a condition on the metadata is, and when an item satisfies it.

`holds` here, item by item, and `hashret.where.columns`, on all items at once, give a condition this
meaning:

* A missing field is null. Integers are compared exactly, however large.
* Values are equal only if they are of one type: 1 and 1.0 are; 1 and '1', or 1 and true, are not.
* Numbers are ordered, and strings are by code points; any other comparison with < or > is false.
* A string contains its substrings and a list its members; nothing else contains anything.
* `Not` means exactly the opposite, so an item without the field satisfies ``year != 2020``.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

#: A value that an expression can name.
Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Field:
    """A key of the metadata, or a path of nested keys; no key at all stands for the item's id."""

    keys: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class AnyOf:
    """The field is one of the values."""

    field: Field
    values: tuple[Value, ...]


@dataclass(frozen=True, slots=True)
class Order:
    """The field is before or after the value: `sign` is one of <, <=, > and >=."""

    field: Field
    sign: str
    value: str | int | float


@dataclass(frozen=True, slots=True)
class Contains:
    """The field is a string with this string in it, or a list with this value."""

    field: Field
    value: Value


@dataclass(frozen=True, slots=True)
class StartsWith:
    """The field is a string that begins with this one."""

    field: Field
    start: str


@dataclass(frozen=True, slots=True)
class Not:
    """The inner condition does not hold."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class And:
    """All of the parts hold."""

    parts: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one of the parts holds."""

    parts: tuple[Condition, ...]


#: What one field's value decides alone.
Comparison = AnyOf | Order | Contains | StartsWith
Condition = Comparison | Not | And | Or

#: The comparison for each sign of an `Order`; it works on Python's values and on SQL's columns.
SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def holds(condition: Condition, item_id: str, metadata: Mapping[str, Any]) -> bool:
    """Whether an item of this id and metadata satisfies the condition."""
    match condition:
        case Not(inner):
            return not holds(inner, item_id, metadata)
        case And(parts):
            return all(holds(part, item_id, metadata) for part in parts)
        case Or(parts):
            return any(holds(part, item_id, metadata) for part in parts)
    keys = condition.field.keys
    return accepts(condition)(inner_value(metadata, keys) if keys else item_id)


def accepts(comparison: Comparison) -> Callable[[Any], bool]:
    """The test of a comparison: whether it holds for a value of its field, None if that is missing.

    The values are those of JSON, as Python has them.
    """
    match comparison:
        case AnyOf(_, values):
            wanted = {_alike(value) for value in values}
            return lambda value: _alike(value) in wanted
        case Order(_, sign, bound):
            kind, compared = kind_of(bound), SIGNS[sign]
            return lambda value: kind_of(value) == kind and bool(compared(value, bound))
        case Contains(_, part):
            return lambda value: _contains(value, part)
        case StartsWith(_, start):
            return lambda value: isinstance(value, str) and value.startswith(start)


def inner_value(value: Any, keys: Iterable[str]) -> Any:
    """What the keys lead to within a value, one object within the other; None if nothing."""
    for key in keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return value


def kind_of(value: Any) -> str:
    """The type of a value in comparisons: "null", "boolean", "number", "string" or "other"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "other"


def _alike(value: Any) -> tuple[str, Any]:
    """What two values have in common if they are equal; no condition has one of kind "other"."""
    kind = kind_of(value)
    return kind, (None if kind == "other" else value)


def _contains(value: Any, part: Value) -> bool:
    if isinstance(value, list):
        return _alike(part) in map(_alike, value)
    return isinstance(value, str) and isinstance(part, str) and part in value


def float_beside(number: int | float, *, above: bool) -> float:
    """The nearest float that is not below the number (if `above`), or that is not above it.

    Comparing a float with the result gives the same as comparing it with the number itself, however
    large an integer that is.
    """
    try:
        near = float(number)
    except OverflowError:
        near = math.inf if number > 0 else -math.inf
    if above and near < number:
        return math.nextafter(near, math.inf)
    if not above and near > number:
        return math.nextafter(near, -math.inf)
    return near
