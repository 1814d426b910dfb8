"""Which rows satisfy a condition? Their metadata stands in columns of Arrow, one for each key.

The meaning is `hashret.where.conditions.holds`, row by row. Columns of numbers, booleans and
strings are compared as a whole. Of a column of JSON each different text is read once, and Python
compares what it says.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from hashret.errors import DamagedError
from hashret.unicode_text import is_unicode
from hashret.where.conditions import (
    SIGNS,
    And,
    AnyOf,
    Comparison,
    Condition,
    Contains,
    Field,
    Not,
    Or,
    Order,
    StartsWith,
    accepts,
    float_beside,
    inner_value,
    kind_of,
)

#: Kinds of values by the numbers that `kinds` gives them.
KINDS = ("null", "boolean", "number", "string", "other")

#: Rows that are judged at once: what is made of them stays in the processor's cache, and the
#: values read from their JSON take a few megabytes.
_AT_ONCE = 1 << 16
#: The next part of an `And` is asked of the rows that are left if they are fewer than one in
#: these; taking them out of a column costs as much as comparing some more.
_FEW = 8
_COMPARE = {"<": pc.less, "<=": pc.less_equal, ">": pc.greater, ">=": pc.greater_equal}
_KIND_OF_TYPE = {
    pa.bool_(): "boolean",
    pa.int64(): "number",
    pa.float64(): "number",
    pa.string(): "string",
}


class Columns(Protocol):
    """The ids and the metadata of `n_rows` items.

    A key's column has the one type that holds its values exactly (int64, float64, bool or string),
    or else it holds them as JSON, in strings. Null means that the item lacks the key.
    """

    @property
    def n_rows(self) -> int:
        """The number of items."""
        ...

    @property
    def ids(self) -> pa.Array:
        """Their ids, strings."""
        ...

    @property
    def other(self) -> pa.Array | None:
        """For each item a JSON object of its keys that have no column, or null.

        None if no item has such keys.
        """
        ...

    def field(self, key: str) -> pa.Array | None:
        """The column of a key; None if it has none."""
        ...

    def is_json(self, key: str) -> bool:
        """Whether the column of a key holds JSON."""
        ...


def satisfied(condition: Condition, columns: Columns) -> np.ndarray:
    """Whether each item satisfies the condition, (n_rows,) bool. Raises `DamagedError`."""
    found = np.empty(columns.n_rows, bool)
    for rows in _ranges(columns.n_rows):
        found[rows] = _Rows(columns, rows).satisfied(condition)
    return found


def kinds(field: Field, columns: Columns) -> np.ndarray:
    """The kind of the value that each item has in a field: its place in `KINDS`, (n_rows,) uint8.

    Raises `DamagedError`.
    """
    found = np.empty(columns.n_rows, np.uint8)
    for rows in _ranges(columns.n_rows):
        found[rows] = _Rows(columns, rows).kinds(field)
    return found


def _ranges(n_rows: int) -> Iterator[slice]:
    for start in range(0, n_rows, _AT_ONCE):
        yield slice(start, min(start + _AT_ONCE, n_rows))


class _Rows:
    """Some rows of columns: a range of them, or those of increasing numbers."""

    def __init__(self, columns: Columns, rows: slice | np.ndarray):
        self._columns = columns
        self._rows = rows
        self.n_rows = rows.stop - rows.start if isinstance(rows, slice) else len(rows)
        self._read: dict[str | None, tuple[np.ndarray, list[Any]]] = {}

    # they are columns themselves

    @property
    def ids(self) -> pa.Array:
        return self._of(self._columns.ids)

    @property
    def other(self) -> pa.Array | None:
        column = self._columns.other
        return None if column is None else self._of(column)

    def field(self, key: str) -> pa.Array | None:
        column = self._columns.field(key)
        return None if column is None else self._of(column)

    def is_json(self, key: str) -> bool:
        return self._columns.is_json(key)

    def _of(self, column: pa.Array) -> pa.Array:
        if isinstance(self._rows, slice):
            return column.slice(self._rows.start, self.n_rows)
        return column.take(pa.array(self._rows))

    # what is asked about them, each answer (n_rows,)

    def satisfied(self, condition: Condition) -> np.ndarray:
        match condition:
            case Not(inner):
                return ~self.satisfied(inner)
            case And(parts):
                return self._all(parts)
            case Or(parts):
                return ~self._all(tuple(map(Not, parts)))
        return self._judged(
            condition.field, accepts(condition), lambda column: _compared(condition, column)
        )

    def kinds(self, field: Field) -> np.ndarray:
        return self._judged(
            field,
            lambda value: KINDS.index(kind_of(value)),
            lambda column: np.full(len(column), KINDS.index(_kind_of_column(column))),
        )

    def _all(self, parts: tuple[Condition, ...]) -> np.ndarray:
        found = np.ones(self.n_rows, bool)
        for part in parts:
            left = np.flatnonzero(found)
            if not len(left):
                break
            if len(left) * _FEW < self.n_rows:
                found[left] = _Rows(self, left).satisfied(part)
            else:
                found &= self.satisfied(part)
        return found

    def _judged(
        self,
        field: Field,
        of_value: Callable[[Any], bool | int],
        of_column: Callable[[pa.Array], np.ndarray],
    ) -> np.ndarray:
        """What `of_value` says of each row's value of a field.

        `of_column` says the same of all values of a column that is not JSON, and anything of nulls.
        """
        if not field.keys:
            return of_column(self.ids)
        key, *inner = field.keys
        column = self.field(key) if is_unicode(key) else None
        if column is None and self.other is not None:
            rows, objects = self._values_of(None, self.other)
            return np.array([of_value(inner_value(one, field.keys)) for one in objects])[rows]
        if column is not None and self.is_json(key):
            rows, values = self._values_of(key, column)
            return np.array([of_value(inner_value(value, inner)) for value in values])[rows]
        if column is None or inner:
            return np.full(self.n_rows, of_value(None))
        found = of_column(column)
        if column.null_count:
            found[column.is_null().to_numpy(zero_copy_only=False)] = of_value(None)
        return found

    def _values_of(self, key: str | None, column: pa.Array) -> tuple[np.ndarray, list[Any]]:
        """The place of each row's value in a list of the different values of a column of JSON.

        Null is None there. `key` is the column's, None for that of the keys without a column.
        """
        if key not in self._read:
            encoded = column.dictionary_encode("encode")
            values = _read_json(encoded.dictionary)
            others = sum(not isinstance(value, dict) for value in values)
            if key is None and others > encoded.dictionary.null_count:
                raise _damaged("JSON objects", "other JSON")
            self._read[key] = encoded.indices.to_numpy(), values
        return self._read[key]


def _read_json(texts: pa.Array) -> list[Any]:
    try:
        return [None if text is None else json.loads(text) for text in texts.to_pylist()]
    except (TypeError, ValueError, RecursionError) as error:
        raise _damaged("JSON", f"{error}") from error


def _compared(comparison: Comparison, column: pa.Array) -> np.ndarray:
    """Whether a comparison holds for each value of a column that is no JSON; anything for nulls."""
    kind = _kind_of_column(column)
    if kind == "string":  # the bytes of UTF-8 have the order of code points, halves of pairs too
        column = column.view(pa.binary())
    found = None
    match comparison:
        case AnyOf(_, values):
            found = _is_one_of(column, [value for value in values if kind_of(value) == kind])
        case Order(_, sign, bound) if kind_of(bound) == kind:
            held = _beside(bound, column.type, above=sign in ("<", ">="))
            if not _fits(held, column.type):
                return np.full(len(column), SIGNS[sign](0, held))
            found = _COMPARE[sign](column, pa.scalar(held, column.type))
        case Contains(_, str(part)) if kind == "string":
            found = pc.match_substring(column, _bytes(part))
        case StartsWith(_, start) if kind == "string":
            found = pc.starts_with(column, _bytes(start))
    if found is None:
        return np.zeros(len(column), bool)
    return found.fill_null(False).to_numpy(zero_copy_only=False)


def _is_one_of(column: pa.Array, values: list[Any]) -> pa.Array:
    """Whether each value of a column is one of these values of the column's kind."""
    near = [_beside(value, column.type, above=True) for value in values]
    held = [
        one
        for one, value in zip(near, values, strict=True)
        if isinstance(value, str) or (one == value and _fits(one, column.type))
    ]
    if len(held) == 1:
        return pc.equal(column, pa.scalar(held[0], column.type))
    if column.type == pa.float64() and 0.0 in held:
        held += [0.0, -0.0]  # `is_in`, and nothing else, tells them apart
    return pc.is_in(column, value_set=pa.array(held, column.type))


def _beside(value: Any, held: pa.DataType, *, above: bool) -> Any:
    """The nearest value of a column's type that is not below the value, or not above it.

    It compares with the column's values as the value does. An integer may be out of range.
    """
    if held == pa.binary():
        return _bytes(value)
    if held == pa.float64():
        return float_beside(value, above=above)
    if isinstance(value, float):
        return math.ceil(value) if above else math.floor(value)
    return value


def _fits(value: Any, held: pa.DataType) -> bool:
    return held != pa.int64() or -(2**63) <= value < 2**63


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _kind_of_column(column: pa.Array) -> str:
    if column.type not in _KIND_OF_TYPE:
        raise _damaged("numbers, booleans, strings or JSON", f"{column.type}")
    return _KIND_OF_TYPE[column.type]


def _damaged(expected: str, got: str) -> DamagedError:
    return DamagedError(
        f"metadata: expected {expected}, got {got:.80}; "
        "restore the collection from a copy or index it again"
    )
