"""A condition on the metadata as an SQL expression of bound values, never as text.

The walk over a condition is here, once; what a value is in SQLite and in PostgreSQL is in
`where_sqlite` and `where_postgresql`. The meaning is `hashret.where.conditions.holds`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Protocol

from sqlalchemy import ColumnElement, Connection, and_, not_, or_, select

from hashret.store.catalog import tables as t
from hashret.store.untrusted import require_object, require_types
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
    Value,
    holds,
    kind_of,
)


class SqlValue(Protocol):
    """A field of an item in one database's SQL.

    Every answer is true or false, never NULL (a missing field is null, which is a kind of its own),
    so that NOT is exactly the contrary.
    """

    def any_of(self, values: Sequence[Value]) -> ColumnElement[bool]:
        """It is one of the values, of which there may be none."""
        ...

    def order(self, sign: str, bound: str | int | float) -> ColumnElement[bool]:
        """It is of the bound's kind, and before or after it: `sign` is one of <, <=, > and >=."""
        ...

    def starts_with(self, start: str) -> ColumnElement[bool]:
        """It is a string that begins so."""
        ...

    def contains(self, part: Value) -> ColumnElement[bool]:
        """It is a string with this string in it, or a list with this value."""
        ...


def in_sql(condition: Condition, of: Callable[[Field], SqlValue]) -> ColumnElement[bool]:
    """The condition on a row of the table of items, where `of` gives each field's value."""
    match condition:
        case Not(inner):
            return not_(in_sql(inner, of))
        case And(parts):
            return and_(*(in_sql(part, of) for part in parts))
        case Or(parts):
            return or_(*(in_sql(part, of) for part in parts))
        case AnyOf(field, values):
            return of(field).any_of(values)
        case Order(field, sign, bound):
            return of(field).order(sign, bound)
        case StartsWith(field, start):
            return of(field).starts_with(start)
        case Contains(field, part):
            return of(field).contains(part)


def by_kind(values: Sequence[Value]) -> dict[str, list[Value]]:
    """The values of each kind (`hashret.where.conditions.kind_of`), in order."""
    found: dict[str, list[Value]] = {}
    for value in values:
        found.setdefault(kind_of(value), []).append(value)
    return found


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
        found[row] = holds(condition, item_id, require_object(metadata))
    return found
