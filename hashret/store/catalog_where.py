"""A condition on the metadata as an SQL expression of bound values, never as text.

Every part is true or false, never NULL: the type of a value is asked first (of a missing field
it is null), so that NOT is exactly the contrary. The meaning is that of `hashret.where.holds`.
"""

from __future__ import annotations

import json
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    and_,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from hashret.errors import DamagedError
from hashret.store import catalog_tables as t
from hashret.store.distrust import require_types
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
    holds,
    kind_of,
)

_TYPES = {"number": ("integer", "real"), "string": ("text",)}  # SQLite's names of JSON types


def odd_metadata() -> ColumnElement[bool]:
    """Metadata with a NUL in a text, which SQLite takes for its end."""
    written = t.items.c.metadata
    return func.instr(written, "\\u0000") > 0


def judged(
    connection: Connection,
    condition: Condition,
    visible: ColumnElement[bool],
    odd: ColumnElement[bool],
) -> dict[int, bool]:
    """Whether the condition holds, as Python says, by row: of those `visible` and `odd`."""
    i = t.items.c
    found = {}
    for row, item_id, metadata in connection.execute(
        select(i.row, i.id, i.metadata).where(visible, odd)
    ):
        require_types((row, item_id, metadata), int, str, str)
        found[row] = holds(condition, item_id, json_object(metadata))
    return found


def json_object(text: str) -> dict[str, Any]:
    """The metadata of an item as it is stored. Raises `DamagedError`."""
    try:
        found = json.loads(text)
    except (TypeError, ValueError, RecursionError) as error:
        raise DamagedError(f"catalog: expected JSON, got {error}; index it again") from error
    if not isinstance(found, dict):
        raise DamagedError(f"catalog: expected a JSON object, got {text[:40]!r}; index it again")
    return found


def items_where(condition: Condition) -> ColumnElement[bool]:
    """The condition on a row of the table of items, for SQLite."""
    match condition:
        case Not(inner):
            return not_(items_where(inner))
        case Both(parts, every):
            return (and_ if every else or_)(*map(items_where, parts))
    value = _Json(condition.field)
    match condition:
        case AnyOf(_, values):
            return _any_of(value.type, value.plain, values)
        case Order(_, sign, other):
            return value.is_a(kind_of(other)) & SIGNS[sign](value.plain, _bound(other))
        case StartsWith(_, start):
            return value.is_a("string") & _starts_with(value.plain, start)
        case Contains(_, part):
            return value.contains(part)


class _Json:
    """A field of a row: its type and its value in SQL."""

    def __init__(self, field: Field):
        self._is_id = not field.keys
        # SQLite compares keys as they are written, with the escapes that json.dumps gives them
        self._path = "$" + "".join("." + json.dumps(key) for key in field.keys)
        self.type: ColumnElement[Any] = literal("text")
        self.plain: ColumnElement[Any] = t.items.c.id
        if not self._is_id:
            self.type = func.coalesce(func.json_type(t.items.c.metadata, self._path), "null")
            self.plain = func.json_extract(t.items.c.metadata, self._path)

    def is_a(self, kind: str) -> ColumnElement[bool]:
        return self.type.in_(_TYPES[kind])

    def contains(self, part: Value) -> ColumnElement[bool]:
        found: list[ColumnElement[bool]] = []
        if isinstance(part, str):
            found.append(self.is_a("string") & (func.instr(self.plain, _bound(part)) > 0))
        if not self._is_id:
            members = func.json_each(t.items.c.metadata, self._path).table_valued("type", "atom")
            inside = select(literal(1)).where(_any_of(members.c.type, members.c.atom, (part,)))
            found.append((self.type == "array") & inside.correlate(t.items).exists())
        return or_(false(), *found)


def _any_of(
    kind: ColumnElement[Any], plain: ColumnElement[Any], values: tuple[Value, ...]
) -> ColumnElement[bool]:
    by_kind: dict[str, list[Value]] = {}
    for value in values:
        by_kind.setdefault(kind_of(value), []).append(value)
    found: list[ColumnElement[bool]] = []
    for word in by_kind.pop("null", []) + by_kind.pop("boolean", []):
        found.append(kind.in_([json.dumps(word)]))  # SQLite's names of these types are the words
    for name, alike in by_kind.items():
        same = plain.in_([_bound(value) for value in alike])
        found.append(kind.in_(_TYPES[name]) & same)
    return or_(false(), *found)


def _starts_with(plain: ColumnElement[Any], start: str) -> ColumnElement[bool]:
    if not start:
        return true()
    return func.substr(plain, 1, len(start)) == _bound(start)


def _bound(value: Value) -> ColumnElement[Any]:
    return literal(value)
