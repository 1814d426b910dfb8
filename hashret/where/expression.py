"""The text of a condition: read by Python's parser, and where in it each part stands.

What can't be read is refused with the column, counted from 1 over all characters, and with what was
probably meant: a date without quotes, a name that Python takes for a subtraction.
"""

from __future__ import annotations

import ast
import keyword
import re
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from hashret.errors import WhereError
from hashret.unicode_text import MAX_MARKS, many_marks

MAX_LENGTH = 100_000  # characters of an expression

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


class Expression:
    """The text of one expression, which may have several lines, and comments."""

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

    def tree(self) -> ast.expr:
        """What Python's parser makes of it. Raises `WhereError`, and the errors of the parser."""
        if not self._text or len(self._text) > MAX_LENGTH:
            raise self.refused(
                0,
                f"a condition of 1 to {MAX_LENGTH} characters",
                f"{len(self._text)}",
                "write one as year >= 2020",
            )
        # the parser normalises names, in time quadratic in the marks in a row
        if (many := many_marks(self._text)) is not None:
            raise self.refused(
                many,
                f"at most {MAX_MARKS} combining marks in a row",
                "more",
                "write them in quotes, as '\\u0301'",
            )
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about escapes in strings
            body = ast.parse(self._parsed, mode="eval").body
        self._encoded = [line.encode() for line in _LINE.findall(self._parsed)]
        if self._wrapped and body.lineno == 1:  # "a) or (b", or a tuple
            raise self.refused(0, "a condition", _shortened(self._text), _REMEDY)
        return body

    @contextmanager
    def refusing(self) -> Iterator[None]:
        """Within it, the errors of Python's parser become a `WhereError`."""
        try:
            yield
        except SyntaxError as error:
            at = self._offset(error.lineno or 0, (error.offset or 0) - 1)
            dates = _DATE.finditer(self._text)
            if date := next((one for one in dates if one.start() <= at <= one.end()), None):
                raise self._refused_date(date.start(), date.group()) from None
            for sign, expected in _NUMBERS.items():
                if sign in error.msg:
                    raise self.refused(at, expected, "another", "text stands in quotes") from None
            self._refuse_name(_HYPHENED + _NO_NAMES, 0, len(self._text))
            single = self._text[at:].startswith("=") or "==" in error.msg
            remedy = "write == for equal" if single else _REMEDY
            raise self.refused(at, "a condition", error.msg, remedy) from None
        except (RecursionError, MemoryError):
            raise self.refused(0, "a condition", "one nested too deeply", "write less") from None
        except ValueError as error:  # such as for NUL, which the parser refuses
            raise self.refused(0, "a condition", str(error), _REMEDY) from None

    def name(self, node: ast.Name | ast.Attribute) -> str:
        """The name, or the attribute's, as it was written: the parser normalises it (NFKC)."""
        line, begin = node.lineno, node.col_offset
        if isinstance(node, ast.Attribute):  # only the part after the dot is read again
            line, begin = node.value.end_lineno or 0, node.value.end_col_offset or 0
        begin = begin if line == node.end_lineno else 0
        written = self._encoded[(node.end_lineno or 0) - 1][begin : node.end_col_offset]
        return re.split(r"[.\s]", written.decode())[-1]

    def is_joined(self, node: ast.Constant) -> bool:
        """Whether a string was written as several side by side, which Python takes for one."""
        if node.lineno != node.end_lineno:
            source = ast.get_source_segment(self._parsed, node) or ""
        else:  # not by the line above, which reads all of the text for each value of a long list
            line = self._encoded[node.lineno - 1]
            source = line[node.col_offset : node.end_col_offset].decode()
        return _STRING.fullmatch(source) is None

    def source(self, node: ast.expr) -> str:
        """The text of a node, shortened."""
        return _shortened(ast.get_source_segment(self._parsed, node) or "something else")

    def refused(self, where: ast.expr | int, expected: str, got: str, remedy: str) -> WhereError:
        """The error about a node, or about the text at an offset."""
        if isinstance(where, ast.expr):
            where = self._offset(where.lineno, where.col_offset, in_bytes=True)
        column = self._start + where + 1
        return WhereError(f"where: column {column}: expected {expected}, got {got}; {remedy}")

    def refuse_date(self, node: ast.expr) -> None:
        """Raise `WhereError` if the node is a date without quotes."""
        if _DATE.fullmatch(self.source(node)):
            raise self._refused_date(node, self.source(node))

    def refuse_subtraction(self, node: ast.expr) -> None:
        """Raise `WhereError` if there is a name with a hyphen or the like in the node."""
        begin = self._offset(node.lineno, node.col_offset, in_bytes=True)
        end = self._offset(node.end_lineno or 0, node.end_col_offset or 0, in_bytes=True)
        self._refuse_name(_HYPHENED, begin, end)

    def _refused_date(self, where: ast.expr | int, date: str) -> WhereError:
        return self.refused(where, "a date in quotes", date, f"write '{date}'")

    def _refuse_name(self, patterns: Iterable[re.Pattern[str]], begin: int, end: int) -> None:
        """Raise the error for what was meant as a name in this part of the text, but is none."""
        if end - begin > _MOST_SEARCHED:
            return
        part = _STRING.sub(lambda string: "'" * len(string[0]), self._text[begin:end])
        for pattern in patterns:
            if found := pattern.search(part):
                raise self.refused(
                    begin + found.start("name"),
                    "a field",
                    found["name"],
                    f"write field('{found['name']}'); text stands in quotes",
                ) from None

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


def _shortened(text: str) -> str:
    return text if len(text) <= 60 else text[:59] + "…"
