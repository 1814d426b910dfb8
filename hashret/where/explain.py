"""Why does no item satisfy a condition? Its fields are missing, or hold another type of value."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from hashret.where.conditions import (
    And,
    AnyOf,
    Condition,
    Contains,
    Field,
    Not,
    Or,
    Order,
    StartsWith,
    kind_of,
)
from hashret.where.grammar import parse

#: A value of each type that has an order. A field is of that type if it is below this value, or
#: not below it.
_ZERO = {"number": "0", "string": "''"}
#: What to do where a field holds values of this type and the condition needs others.
_FIX = {
    "number": "write the value without quotes",
    "string": "write the value in quotes",
}


def reason(expression: str, some: Callable[[str], bool]) -> str:
    """Why no item satisfies the `expression`, in words; "" if there is no simple reason.

    The reasons are that no item has a field, or that the field holds strings where the condition
    needs numbers, or the other way round. `some` tells whether any item satisfies another
    expression; it is called at most three times for each field. Raises `WhereError`.
    """
    found: dict[str, None] = {}
    for field, kinds in _required(parse(expression)):
        name, written = ".".join(field.keys), _written(field)
        if not some(f"{written} is not null"):
            found[f"no item has a field {name!r}"] = None
        elif (
            kinds
            and kinds <= _ZERO.keys()
            and not any(some(_is_a(written, kind)) for kind in kinds)
        ):
            wanted = " or ".join(f"{kind}s" for kind in sorted(kinds))
            others = [kind for kind in _ZERO if kind not in kinds and some(_is_a(written, kind))]
            if others:
                found[f"field {name!r} holds {others[0]}s, not {wanted}; {_FIX[others[0]]}"] = None
            else:
                found[f"field {name!r} holds no {wanted}"] = None
    return "; ".join(found)


def _required(condition: Condition) -> Iterator[tuple[Field, set[str]]]:
    """The metadata fields that an item must have, each with the types of value that can match."""
    match condition:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _required(part)
        case Not():  # items without the field satisfy it
            return
        case AnyOf(field, values) if field.keys and None not in values:
            yield field, {kind_of(value) for value in values}
        case Order(field, _, value) if field.keys:
            yield field, {kind_of(value)}
        case Contains(field, _) | StartsWith(field, _) if field.keys:
            yield field, {"other"}


def _is_a(written: str, kind: str) -> str:
    return f"{written} < {_ZERO[kind]} or {written} >= {_ZERO[kind]}"


def _written(field: Field) -> str:
    """The field as it is written in an expression."""
    first, *rest = field.keys
    return ".".join([f"field({first!r})", *rest])
