"""Parse an expression into a condition on the metadata.

The grammar is a part of Python's, read by Python's own parser (`ast`). Only this is accepted::

    year >= 2020 and folder in ('a', 'b')        not (draft or author.name is null)
    title.contains('hash')                       2000 <= year < 2010
    'urgent' in tags                             id.startswith('2024/') and field('my key') != 3

Nothing is ever evaluated. What the words mean (`conditions` has the meaning in Python):

* A name is a key of the metadata, `a.b` a key within the object `a`, ``field('a b')`` any key;
  ``id`` is the item's id. A missing field is null.
* Values are numbers, strings, true, false and null. Integers are exact, of up to 4,300 digits.
* ``==`` and ``in`` hold between values of one type only: 1 == 1.0, but 1 is not '1' and not true.
* ``<  <=  >  >=`` hold between two numbers, or two strings by code points; else they are false.
* ``contains`` (or ``value in field``): a string has the string in it, a list has the value.
* ``!=``, ``not in``, ``is not`` and ``not`` mean exactly the opposite, so an item without the field
  satisfies ``year != 2020``. A bare field holds if it is true.
"""

from __future__ import annotations

import ast
import math
from collections.abc import Iterator
from typing import Any

from hashret.unicode_text import is_storable, is_unicode
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
)
from hashret.where.expression import Expression

MAX_NODES = 200  # comparisons; SQLite nests expressions at most 1,000 deep
MAX_VALUES = 10_000  # values in all lists together; SQLite binds at most 32,766
MAX_PART = 1_000  # characters of a substring to look for: SQLite compares them at every place

_SIGN_OF: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}


def parse(expression: str) -> Condition:
    """The condition that an expression stands for; it may have several lines, and comments.

    Raises `WhereError`, which names the column (counted from 1 over all characters, also those of
    earlier lines), and TypeError for anything but a string.
    """
    if not isinstance(expression, str):
        raise TypeError(
            f"where: expected a string, got {type(expression).__name__}; "
            "write one as 'year >= 2020'"
        )
    text = Expression(expression)
    with text.refusing():
        return _Reader(text).condition(text.tree())


class _Reader:
    """Makes a condition of what Python's parser made of one expression."""

    def __init__(self, text: Expression):
        self._text, self._refused, self._source = text, text.refused, text.source
        self._n_nodes = 0
        self._n_values = 0

    def _count(self, node: ast.expr) -> None:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise self._refused(
                node, f"at most {MAX_NODES} comparisons", "more", "write a list: field in (...)"
            )

    def condition(self, node: ast.expr) -> Condition:
        """The condition of a node. Raises `WhereError`."""
        self._count(node)
        match node:
            case ast.BoolOp(ast.And(), values):
                return And(tuple(map(self.condition, values)))
            case ast.BoolOp(ast.Or(), values):
                return Or(tuple(map(self.condition, values)))
            case ast.UnaryOp(ast.Not(), operand):
                return Not(self.condition(operand))
            case ast.Compare(left, operators, rights):
                return self._comparisons(node, [left, *rights], operators)
            case ast.Call(ast.Attribute(owner, "contains"), [argument], []):
                return Contains(self._field(owner), self._part(argument))
            case ast.Call(ast.Attribute(owner, "startswith"), [argument], []):
                return self._starts_with(owner, argument)
        if self._is_field(node):
            return AnyOf(self._field(node), (True,))
        self._text.refuse_subtraction(node)
        raise self._refused(
            node,
            "a comparison of a field and a value",
            self._source(node),
            "write one as year >= 2020, tags.contains('a') or title.startswith('a')",
        )

    def _comparisons(
        self, node: ast.expr, sides: list[ast.expr], signs: list[ast.cmpop]
    ) -> Condition:
        """One comparison, or several in a row: ``2000 <= year < 2010``."""
        parts = [
            self._comparison(node, *side) for side in zip(sides, signs, sides[1:], strict=False)
        ]
        return parts[0] if len(parts) == 1 else And(tuple(parts))

    def _comparison(
        self, node: ast.expr, left: ast.expr, sign: ast.cmpop, right: ast.expr
    ) -> Condition:
        self._count(node)
        turned = not self._is_field(left)
        if turned == (not self._is_field(right)):
            self._text.refuse_subtraction(node)
            raise self._refused(
                node,
                "a field on one side and a value on the other",
                self._source(node),
                "strings stand in quotes, as lang == 'en'",
            )
        field, other = (right, left) if turned else (left, right)
        about = self._field(field)
        match sign:
            case ast.Eq():
                return AnyOf(about, (self._value(other),))
            case ast.NotEq():
                return Not(AnyOf(about, (self._value(other),)))
            case ast.Is():
                return self._is_null(about, other, turned)
            case ast.IsNot():
                return Not(self._is_null(about, other, turned))
            case ast.In():
                return self._membership(about, other, turned)
            case ast.NotIn():
                return Not(self._membership(about, other, turned))
        return self._order(about, _SIGN_OF[type(sign)], other, turned)

    def _is_null(self, field: Field, other: ast.expr, turned: bool) -> Condition:
        if turned or self._value(other) is not None:
            raise self._refused(other, "null after `is`", self._source(other), "write ==")
        return AnyOf(field, (None,))

    def _membership(self, field: Field, other: ast.expr, turned: bool) -> Condition:
        if turned:
            return Contains(field, self._part(other))
        return AnyOf(field, tuple(self._values(other)))

    def _order(self, field: Field, sign: str, other: ast.expr, turned: bool) -> Condition:
        bound = self._value(other)
        if bound is None or isinstance(bound, bool):
            raise self._refused(other, "a number or a string", self._source(other), "write ==")
        return Order(field, _TURNED[sign] if turned else sign, bound)

    def _part(self, node: ast.expr) -> Value:
        """The value to look for within a field."""
        part = self._value(node)
        if isinstance(part, str) and len(part) > MAX_PART:
            raise self._refused(
                node, f"a string of at most {MAX_PART} characters", f"{len(part)}", "write less"
            )
        return part

    def _starts_with(self, owner: ast.expr, argument: ast.expr) -> Condition:
        field, start = self._field(owner), self._value(argument)
        if not isinstance(start, str):
            raise self._refused(argument, "a string", self._source(argument), "write it in quotes")
        return StartsWith(field, start)

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
                return Field((self._text.name(node),))
            case ast.Attribute(ast.Name("id")):
                return Field(("id", self._text.name(node)))
            case ast.Attribute(owner):
                return Field((*self._field(owner).keys, self._text.name(node)))
            case ast.Call(ast.Name("field"), [ast.Constant(str(key))], []):
                if '"' in key or not is_unicode(key):
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
        self._n_values += len(node.elts)
        if self._n_values > MAX_VALUES:
            raise self._refused(
                node, f"at most {MAX_VALUES} values in all lists", f"{self._n_values}", "split it"
            )
        yield from map(self._value, node.elts)

    def _value(self, node: ast.expr) -> Value:
        value: Any = ...
        match node:
            case ast.Constant(str(text)):
                if self._text.is_joined(node):
                    raise self._refused(
                        node,
                        "one string",
                        f"two side by side, {self._source(node)}",
                        'write an apostrophe as \\\' or within "..."',
                    )
                value = text
            case ast.Constant(constant):
                value = constant
            case ast.Name(name) if name in _WORDS:
                value = _WORDS[name]
            case ast.UnaryOp(ast.USub(), ast.Constant(int() | float() as number)) if not isinstance(
                number, bool
            ):
                value = -number
        fits = isinstance(value, str | int | float | None)
        if isinstance(value, str):
            fits = is_storable(value)
        elif isinstance(value, float):
            fits = math.isfinite(value)
        if not fits:
            self._text.refuse_date(node)
            raise self._refused(
                node,
                "a number, a string, true, false or null",
                self._source(node),
                "strings stand in quotes, as lang == 'en'",
            )
        found: Value = value
        return found
