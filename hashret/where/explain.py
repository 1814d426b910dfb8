"""Why does no item satisfy a condition? Its fields are missing, or hold another type of value."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator

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

#: A value of each kind that has an order. A field is of that kind if it is below this value, or
#: not below it.
_ZERO = {"number": "0", "string": "''"}
#: What to do where a field holds values of this type and the condition needs others.
_FIX = {
    "number": "write the value without quotes",
    "string": "write the value in quotes",
}


def reason(expression: str, kinds_of: Callable[[Field], Collection[str]]) -> str:
    """Why no item satisfies the `expression`, in words; "" if there is no simple reason.

    The reasons are that no item has a field, or that the field holds strings where the condition
    needs numbers, or the other way round. `kinds_of` gives the kinds of the values that items have
    in a field (`hashret.where.conditions.kind_of`). Raises `WhereError`.
    """
    found: dict[str, None] = {}
    for field, wanted in _required(parse(expression)):
        name, held = ".".join(field.keys), set(kinds_of(field)) - {"null"}
        if not held:
            found[f"no item has a field {name!r}"] = None
        elif wanted and wanted <= _FIX.keys() and not wanted & held:
            told = " or ".join(f"{kind}s" for kind in sorted(wanted))
            others = [kind for kind in _FIX if kind in held]
            if others:
                found[f"field {name!r} holds {others[0]}s, not {told}; {_FIX[others[0]]}"] = None
            else:
                found[f"field {name!r} holds no {told}"] = None
    return "; ".join(found)


def kinds_by_asking(field: Field, some: Callable[[str], bool]) -> set[str]:
    """The kinds of the values that items have in a field; "other" stands for all without an order.

    `some` tells whether any item satisfies an expression.
    """
    first, *rest = field.keys
    written = ".".join([f"field({first!r})", *rest])
    held = {
        kind for kind, zero in _ZERO.items() if some(f"{written} < {zero} or {written} >= {zero}")
    }
    return held or ({"other"} if some(f"{written} is not null") else set())


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
