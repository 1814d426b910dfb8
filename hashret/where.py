"""Which items are meant: a condition on their metadata, read from an expression.

The grammar is Python's, read by Python's own parser (`ast`) and then only what is listed here::

    year >= 2020 and folder in ('a', 'b')        not (draft or author.name is null)
    title.contains('hash')                       2000 <= year < 2010
    'urgent' in tags                             id.startswith('2024/') and field('my key') != 3

Nothing is ever evaluated. What a condition means, whatever reads it (`holds` says it in Python):

* A name is a key of the metadata, `a.b` a key within the object `a`, ``field('a b')`` any key;
  ``id`` is the item's id. A missing field is null.
* Values are numbers, strings, true, false and null; integers beyond 64 bits are floats.
* ``==`` and ``in`` hold between values of one type only: 1 == 1.0, but 1 is not '1' and not true.
* ``<  <=  >  >=`` hold between two numbers, or two strings by code points; else they are false.
* ``contains`` (or ``value in field``): a string has the string in it, a list has the value.
* ``!=``, ``not in``, ``is not`` and ``not`` are exactly the contrary, so an item without the field
  satisfies ``year != 2020``. A bare field holds if it is true.
"""

from __future__ import annotations

import ast
import math
import operator
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hashret.errors import WhereError

MAX_LENGTH = 100_000  # characters
MAX_NODES = 200  # SQLite joins at most 1000 expressions deep
MAX_VALUES = 10_000  # of one list; SQLite binds at most 32766

#: A value that an expression can name.
Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Field:
    """A key of the metadata, or keys within one another; without any the item's id."""

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
    """The field is a string that begins so."""

    field: Field
    start: str


@dataclass(frozen=True, slots=True)
class Not:
    """The contrary."""

    inner: Condition


@dataclass(frozen=True, slots=True)
class Both:
    """All of the parts hold (`every`), or at least one of them."""

    parts: tuple[Condition, ...]
    every: bool


Condition = AnyOf | Order | Contains | StartsWith | Not | Both

SIGNS: dict[str, Callable[[Any, Any], Any]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_SIGN_OF: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}


def parse(expression: str) -> Condition:
    """The condition that an expression says. Raises `WhereError`, naming the column (from 1)."""
    return _Reader(expression).condition()


def holds(condition: Condition, item_id: str, metadata: Mapping[str, Any]) -> bool:
    """Whether an item of this id and metadata satisfies the condition."""
    match condition:
        case Not(inner):
            return not holds(inner, item_id, metadata)
        case Both(parts, every):
            return (all if every else any)(holds(part, item_id, metadata) for part in parts)
    value = _value(condition.field, item_id, metadata)
    match condition:
        case AnyOf(_, values):
            return any(_same(value, other) for other in values)
        case Order(_, sign, other):
            return kind_of(value) == kind_of(other) and bool(SIGNS[sign](value, other))
        case Contains(_, part):
            if isinstance(value, list):
                return any(_same(_narrowed(member), part) for member in value)
            return isinstance(value, str) and isinstance(part, str) and part in value
        case StartsWith(_, start):
            return isinstance(value, str) and value.startswith(start)


def kind_of(value: Any) -> str:
    """What a value is to a comparison: "null", "boolean", "number", "string" or "other"."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float):
        return "number"
    return "string" if isinstance(value, str) else "other"


def _same(value: Any, other: Value) -> bool:
    kind = kind_of(value)
    return kind == kind_of(other) and kind != "other" and bool(value == other)


def _value(field: Field, item_id: str, metadata: Mapping[str, Any]) -> Any:
    if not field.keys:
        return item_id
    value: Any = metadata
    for key in field.keys:
        value = value.get(key) if isinstance(value, Mapping) else None
    return _narrowed(value)


def _narrowed(value: Any) -> Any:
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        try:
            return float(value)
        except OverflowError:
            return math.inf if value > 0 else -math.inf
    return value


class _Reader:
    """Reads one expression; knows where in it each node stands."""

    def __init__(self, expression: str):
        self._text = " ".join(expression.splitlines()).rstrip()
        self._start = len(self._text) - len(self._text.lstrip())
        self._n_nodes = 0

    def condition(self) -> Condition:
        source = self._text[self._start :]
        if not source or len(source) > MAX_LENGTH:
            raise self._refused(
                1,
                f"a condition of 1 to {MAX_LENGTH} characters",
                f"{len(source)}",
                "write one as year >= 2020",
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about escapes in strings
                tree = ast.parse(source, mode="eval")
            return self._condition(tree.body)
        except SyntaxError as error:
            at = error.offset or len(source) + 1  # 0: at the end
            single = source[at - 1 :].startswith("=") or "==" in error.msg
            raise self._refused(
                self._start + at,
                "a condition",
                error.msg,
                "write == for equal" if single else "write one as year >= 2020 and lang == 'en'",
            ) from None
        except (ValueError, RecursionError, MemoryError) as error:
            raise self._refused(
                1, "a condition", str(error) or "one nested too deeply", "write less"
            ) from None

    def _condition(self, node: ast.expr) -> Condition:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise self._refused(
                node, f"at most {MAX_NODES} comparisons", "more", "write a list: field in (...)"
            )
        match node:
            case ast.BoolOp(op, values):
                return Both(tuple(map(self._condition, values)), isinstance(op, ast.And))
            case ast.UnaryOp(ast.Not(), operand):
                return Not(self._condition(operand))
            case ast.Compare(left, operators, rights):
                sides = [left, *rights]
                parts = [
                    self._comparison(node, *side)
                    for side in zip(sides, operators, sides[1:], strict=False)
                ]
                return parts[0] if len(parts) == 1 else Both(tuple(parts), True)
            case ast.Call(ast.Attribute(owner, name), [argument], []) if name in (
                "contains",
                "startswith",
            ):
                return self._method(owner, name, argument)
        if self._is_field(node):
            return AnyOf(self._field(node), (True,))
        raise self._refused(
            node,
            "a comparison of a field and a value",
            self._source(node),
            "write one as year >= 2020, tags.contains('a') or title.startswith('a')",
        )

    def _comparison(
        self, node: ast.expr, left: ast.expr, sign: ast.cmpop, right: ast.expr
    ) -> Condition:
        self._n_nodes += 1
        turned = not self._is_field(left)
        if turned == (not self._is_field(right)):
            raise self._refused(
                node,
                "a field on one side and a value on the other",
                self._source(node),
                "strings stand in quotes, as lang == 'en'",
            )
        field, other = (right, left) if turned else (left, right)
        about = self._field(field)
        match sign:
            case ast.Eq() | ast.NotEq():
                found: Condition = AnyOf(about, (self._value(other),))
            case ast.Is() | ast.IsNot():
                if turned or self._value(other) is not None:
                    raise self._refused(other, "null after `is`", self._source(other), "write ==")
                found = AnyOf(about, (None,))
            case ast.In() | ast.NotIn():
                found = (
                    Contains(about, self._value(other))
                    if turned
                    else AnyOf(about, tuple(self._values(other)))
                )
            case _:
                value = self._value(other)
                if value is None or isinstance(value, bool):
                    raise self._refused(
                        other, "a number or a string", self._source(other), "write =="
                    )
                name = _SIGN_OF[type(sign)]
                return Order(about, _TURNED[name] if turned else name, value)
        return Not(found) if isinstance(sign, ast.NotEq | ast.IsNot | ast.NotIn) else found

    def _method(self, owner: ast.expr, name: str, argument: ast.expr) -> Condition:
        field, value = self._field(owner), self._value(argument)
        if name == "contains":
            return Contains(field, value)
        if not isinstance(value, str):
            raise self._refused(argument, "a string", self._source(argument), "write it in quotes")
        return StartsWith(field, value)

    def _is_field(self, node: ast.expr) -> bool:
        match node:
            case ast.Name(name):
                return name not in _WORDS
            case ast.Attribute(owner, _):
                return self._is_field(owner)
            case ast.Call(ast.Name("field"), _, _):
                return True
        return False

    def _field(self, node: ast.expr) -> Field:
        match node:
            case ast.Name("id"):
                return Field()
            case ast.Name(name) if name not in _WORDS:
                return Field((name,))
            case ast.Attribute(ast.Name("id"), name):
                return Field(("id", name))
            case ast.Attribute(owner, name):
                return Field((*self._field(owner).keys, name))
            case ast.Call(ast.Name("field"), [ast.Constant(str(key))], []):
                if '"' in key or not _is_text(key):
                    raise self._refused(
                        node, 'a key without " and lone surrogates', key, "rename it"
                    )
                return Field((key,))
        raise self._refused(
            node, "a field", self._source(node), "write its name or field('its name')"
        )

    def _values(self, node: ast.expr) -> Iterator[Value]:
        if not isinstance(node, ast.Tuple | ast.List):
            one = self._source(node)
            raise self._refused(node, "a list of values", one, f"write ({one},) for a list of one")
        if len(node.elts) > MAX_VALUES:
            raise self._refused(
                node, f"at most {MAX_VALUES} values", f"{len(node.elts)}", "split it"
            )
        yield from map(self._value, node.elts)

    def _value(self, node: ast.expr) -> Value:
        value: Any = ...
        match node:
            case ast.Constant(constant):
                value = constant
            case ast.Name(name) if name in _WORDS:
                value = _WORDS[name]
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)) if not isinstance(
                number, bool
            ):
                value = -number
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            value = float(value) if abs(value) < 2**1023 else math.inf
        fits = isinstance(value, str | int | float | None)
        if isinstance(value, str):
            fits = _is_text(value) and "\0" not in value
        elif isinstance(value, float):
            fits = math.isfinite(value)
        if not fits:
            raise self._refused(
                node,
                "a number, a string, true, false or null",
                self._source(node),
                "strings stand in quotes, as lang == 'en'",
            )
        found: Value = value
        return found

    def _source(self, node: ast.expr) -> str:
        found = ast.get_source_segment(self._text[self._start :], node) or "something else"
        return found if len(found) <= 60 else found[:59] + "…"

    def _refused(self, where: ast.expr | int, expected: str, got: str, remedy: str) -> WhereError:
        if isinstance(where, int):
            column = where
        else:
            before = self._text[self._start :].encode(errors="replace")[: where.col_offset]
            column = self._start + len(before.decode(errors="replace")) + 1
        return WhereError(f"where: column {column}: expected {expected}, got {got}; {remedy}")


def _is_text(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
