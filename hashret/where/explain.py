"""Why does no item satisfy this condition? What is so of the fields that it names."""

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

#: Values that `kind_of` calls so are in order: a field is one of them if it stands on either side.
_ZERO = {"number": "0", "string": "''"}


def reason(expression: str, some: Callable[[str], bool]) -> str:
    """What keeps items from satisfying the `expression`, in words; "" if nothing simple does.

    That no item has a field, or none a number (or a string) in it, where one is asked for. `some`
    says whether an item satisfies another expression; it is asked once or twice for each field.
    Raises `WhereError`.
    """
    found: dict[str, None] = {}
    for field, kinds in _asked(parse(expression)):
        name, written = ".".join(field.keys), _written(field)
        if not some(f"{written} is not null"):
            found[f"no item has a field {name!r}"] = None
        elif (
            kinds
            and kinds <= _ZERO.keys()
            and not any(some(_is_a(written, kind)) for kind in kinds)
        ):
            found[f"no item has a {' or a '.join(sorted(kinds))} in its field {name!r}"] = None
    return ", ".join(found)


def _asked(condition: Condition) -> Iterator[tuple[Field, set[str]]]:
    """The fields of the metadata that have to be there, and the kinds of value that would do."""
    match condition:
        case And(parts) | Or(parts):
            for part in parts:
                yield from _asked(part)
        case Not():  # holds of items without the field
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
    """The field as an expression has it."""
    first, *rest = field.keys
    return ".".join([f"field({first!r})", *rest])
