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
import keyword
import math
import re
import warnings
from collections.abc import Iterable, Iterator
from typing import Any

from hashret.errors import WhereError
from hashret.unicode_text import MAX_MARKS, is_storable, is_unicode, many_marks
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

MAX_LENGTH = 100_000  # characters of an expression
MAX_NODES = 200  # comparisons; SQLite nests expressions at most 1,000 deep
MAX_VALUES = 10_000  # values in all lists together; SQLite binds at most 32,766
MAX_PART = 1_000  # characters of a substring to look for: SQLite compares them at every place

_SIGN_OF: dict[type[ast.cmpop], str] = {ast.Lt: "<", ast.LtE: "<=", ast.Gt: ">", ast.GtE: ">="}
_TURNED = {"<": ">", "<=": ">=", ">": "<", ">=": "<="}
_WORDS: dict[str, Value] = {"true": True, "false": False, "null": None}
_REMEDY = "write one as year >= 2020 and lang == 'en'"
#: One string as Python writes it; what stands behind it in the same constant is joined to it.
_STRING = re.compile(
    r"""[uUrR]?(?:'''(?:\\.|[^\\])*?'''|\"\"\"(?:\\.|[^\\])*?\"\"\"|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")""",
    re.DOTALL,
)
#: A word of the parser's error message about a number, and what was expected instead.
_NUMBERS = {"octal": "a number without leading zeros", "digits": "a number of up to 4,300 digits"}
#: A date, or a date and a time, without quotes.
_DATE = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[T ][0-9:.]+Z?)?")
#: Words of Python that this grammar has no use for, so who writes one means a field; also those
#: that it uses, where only a field can stand; several words; and a word that begins with a digit.
_UNUSED = "|".join(set(keyword.kwlist) - {"and", "or", "not", "in", "is", "True", "False", "None"})
_MOST_SEARCHED = 1_000  # characters: the search takes time quadratic in them
_SIGNS = r"(?=\s*(?:[=!<>]=|[<>]|\b(?:not\s+)?in\b|\bis\b))"
_NO_NAMES = (
    re.compile(rf"(?<![\w.-])(?P<name>{_UNUSED})(?![\w-])"),
    re.compile(r"(?:^|\(|\b(?:and|or|not)\s)\s*(?P<name>and|or|not|in|is)(?=\s*[=!<>]=|\s*[<>])"),
    re.compile(rf"(?<![\w.-])(?P<name>[0-9]+[^\W\d][\w-]*){_SIGNS}"),
    re.compile(rf"(?:^|\(|\b(?:and|or|not)\s)\s*(?P<name>[\w-]+(?: [\w-]+)+?){_SIGNS}"),
)
#: A word with a hyphen or the like in it, which Python takes for a subtraction.
_HYPHENED = (re.compile(r"(?<![\w.-])(?P<name>[^\W\d]\w*(?:[-/@:+]\w+)+)"),)
_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")  # as Python's parser sees them


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
    return _Reader(expression).condition()


class _Reader:
    """Parser of one expression, which knows the position of each node for its errors."""

    def __init__(self, expression: str):
        text = expression.rstrip()
        self._text = text.lstrip()
        self._start = len(text) - len(self._text)
        self._lines = _LINE.findall(self._text)
        # parentheses around the expression let it continue on the next line
        self._wrapped = len(self._lines) > 1
        self._parsed = f"(\n{self._text}\n)" if self._wrapped else self._text
        # the parser counts columns in bytes of UTF-8
        self._encoded = [line.encode(errors="replace") for line in _LINE.findall(self._parsed)]
        self._n_nodes = 0
        self._n_values = 0

    def condition(self) -> Condition:
        if not self._text or len(self._text) > MAX_LENGTH:
            raise self._refused(
                0,
                f"a condition of 1 to {MAX_LENGTH} characters",
                f"{len(self._text)}",
                "write one as year >= 2020",
            )
        # the parser normalises names, in time quadratic in the marks in a row
        if (many := many_marks(self._text)) is not None:
            raise self._refused(
                many,
                f"at most {MAX_MARKS} combining marks in a row",
                "more",
                "write them in quotes, as '\\u0301'",
            )
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # about escapes in strings
                body = ast.parse(self._parsed, mode="eval").body
            self._encoded = [line.encode() for line in _LINE.findall(self._parsed)]
            if self._wrapped and body.lineno == 1:  # "a) or (b", or a tuple
                raise self._refused(0, "a condition", self._shortened(self._text), _REMEDY)
            return self._condition(body)
        except SyntaxError as error:
            at = self._offset(error.lineno or 0, (error.offset or 0) - 1)
            if date := self._bare_date(at):
                raise self._refused_date(date.start(), date.group()) from None
            for sign, expected in _NUMBERS.items():
                if sign in error.msg:
                    raise self._refused(at, expected, "another", "text stands in quotes") from None
            self._refuse_name(_HYPHENED + _NO_NAMES, 0, len(self._text))
            single = self._text[at:].startswith("=") or "==" in error.msg
            remedy = "write == for equal" if single else _REMEDY
            raise self._refused(at, "a condition", error.msg, remedy) from None
        except (RecursionError, MemoryError):
            raise self._refused(0, "a condition", "one nested too deeply", "write less") from None
        except ValueError as error:  # such as for NUL, which the parser refuses
            raise self._refused(0, "a condition", str(error), _REMEDY) from None

    def _count(self, node: ast.expr) -> None:
        self._n_nodes += 1
        if self._n_nodes > MAX_NODES:
            raise self._refused(
                node, f"at most {MAX_NODES} comparisons", "more", "write a list: field in (...)"
            )

    def _condition(self, node: ast.expr) -> Condition:
        self._count(node)
        match node:
            case ast.BoolOp(ast.And(), values):
                return And(tuple(map(self._condition, values)))
            case ast.BoolOp(ast.Or(), values):
                return Or(tuple(map(self._condition, values)))
            case ast.UnaryOp(ast.Not(), operand):
                return Not(self._condition(operand))
            case ast.Compare(left, operators, rights):
                return self._comparisons(node, [left, *rights], operators)
            case ast.Call(ast.Attribute(owner, "contains"), [argument], []):
                return Contains(self._field(owner), self._part(argument))
            case ast.Call(ast.Attribute(owner, "startswith"), [argument], []):
                return self._starts_with(owner, argument)
        if self._is_field(node):
            return AnyOf(self._field(node), (True,))
        self._refuse_name(_HYPHENED, *self._span(node))
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
            self._refuse_name(_HYPHENED, *self._span(node))
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
                return Field((self._name(node),))
            case ast.Attribute(ast.Name("id")):
                return Field(("id", self._name(node)))
            case ast.Attribute(owner):
                return Field((*self._field(owner).keys, self._name(node)))
            case ast.Call(ast.Name("field"), [ast.Constant(str(key))], []):
                if '"' in key or not is_unicode(key):
                    raise self._refused(
                        node, 'a key without " and lone surrogates', key, "rename it"
                    )
                return Field((key,))
        raise self._refused(
            node, "a field", self._source(node), "write its name or field('its name')"
        )

    def _name(self, node: ast.Name | ast.Attribute) -> str:
        """The name, or the attribute's, as it was written: the parser normalises it (NFKC)."""
        line, begin = node.lineno, node.col_offset
        if isinstance(node, ast.Attribute):  # only the part after the dot is read again
            line, begin = node.value.end_lineno or 0, node.value.end_col_offset or 0
        begin = begin if line == node.end_lineno else 0
        written = self._encoded[(node.end_lineno or 0) - 1][begin : node.end_col_offset]
        return re.split(r"[.\s]", written.decode())[-1]

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
                if self._is_joined(node):
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
            if _DATE.fullmatch(self._source(node)):
                raise self._refused_date(node, self._source(node))
            raise self._refused(
                node,
                "a number, a string, true, false or null",
                self._source(node),
                "strings stand in quotes, as lang == 'en'",
            )
        found: Value = value
        return found

    def _is_joined(self, node: ast.Constant) -> bool:
        """Whether a string was written as several side by side, which Python takes for one."""
        if node.lineno != node.end_lineno:
            source = ast.get_source_segment(self._parsed, node) or ""
        else:  # not by the line above, which reads all of the text for each value of a long list
            line = self._encoded[node.lineno - 1]
            source = line[node.col_offset : node.end_col_offset].decode()
        return _STRING.fullmatch(source) is None

    def _bare_date(self, at: int) -> re.Match[str] | None:
        """The date without quotes at this position of the text; None if there is none."""
        return next((d for d in _DATE.finditer(self._text) if d.start() <= at <= d.end()), None)

    def _refused_date(self, where: ast.expr | int, date: str) -> WhereError:
        return self._refused(where, "a date in quotes", date, f"write '{date}'")

    def _refuse_name(self, patterns: Iterable[re.Pattern[str]], begin: int, end: int) -> None:
        """Raise the error for what was meant as a name in this part of the text, but is none."""
        if end - begin > _MOST_SEARCHED:
            return
        part = _STRING.sub(lambda string: "'" * len(string[0]), self._text[begin:end])
        for pattern in patterns:
            if found := pattern.search(part):
                raise self._refused(
                    begin + found.start("name"),
                    "a field",
                    found["name"],
                    f"write field('{found['name']}'); text stands in quotes",
                ) from None

    def _span(self, node: ast.expr) -> tuple[int, int]:
        """Where a node begins and ends in the text."""
        ends = (node.end_lineno or 0, node.end_col_offset or 0)
        begin = self._offset(node.lineno, node.col_offset, in_bytes=True)
        return begin, self._offset(*ends, in_bytes=True)

    def _source(self, node: ast.expr) -> str:
        return self._shortened(ast.get_source_segment(self._parsed, node) or "something else")

    @staticmethod
    def _shortened(text: str) -> str:
        return text if len(text) <= 60 else text[:59] + "…"

    def _offset(self, line: int, column: int, *, in_bytes: bool = False) -> int:
        """The position in the text of a line (from 1) and column (from 0) that the parser gave."""
        index = line - (2 if self._wrapped else 1)
        if column < 0 or index >= len(self._lines):
            return len(self._text)
        if index < 0:
            return 0
        if in_bytes:
            before = self._lines[index].encode(errors="replace")[:column]
            column = len(before.decode(errors="replace"))
        return sum(map(len, self._lines[:index])) + column

    def _refused(self, where: ast.expr | int, expected: str, got: str, remedy: str) -> WhereError:
        """The error about a node, or about the text at an offset."""
        if isinstance(where, ast.expr):
            where = self._offset(where.lineno, where.col_offset, in_bytes=True)
        column = self._start + where + 1
        return WhereError(f"where: column {column}: expected {expected}, got {got}; {remedy}")
