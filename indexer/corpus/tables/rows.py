"""The rows of a table, and the parsing of JSON lines into rows."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hashret.items import MAX_DEPTH
from hashret.unicode_text import is_unicode
from hashret.workers.refusals import Refused
from indexer.corpus.decoding import encoding_metadata
from indexer.corpus.lines import Lines, is_escaped

#: The largest JSONL line or CSV row, in characters.
MAX_CHARACTERS = 16 << 20

# The longest integer, in digits. Python refuses to convert more than 4,300, because that takes
# quadratic time.
_MAX_DIGITS = 4_000


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a table."""

    line: int
    """The number of the line on which it begins, from 1; that of the row where there are no lines.
    """
    fields: dict[str, Any]
    metadata: dict[str, str] = field(default_factory=dict)
    """What reading adds to the fields: the encoding, if it is not UTF-8."""
    within: str = ""
    """What stands before its number in an id: the name of its table and a colon in a database."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that can't be used: its line and `within` as in a `Row`, and the reason."""

    line: int
    refused: Refused
    within: str = ""


class Lost:
    """Stands for a value of a table that Python has no form for."""


def json_rows(lines: Lines) -> Iterator[Row | BadRow]:
    """The rows of a JSON Lines table, without blank lines."""
    while line := lines.read(MAX_CHARACTERS):
        if len(line) > MAX_CHARACTERS:
            for _ in lines.discard():
                pass
            yield BadRow(lines.number, too_large("line"))
        elif not line.isspace():
            yield json_row(line, lines, lines.number, "line")


def json_row(text: str, lines: Lines, number: int, noun: str) -> Row | BadRow:
    """The row of a JSON object in a table; `noun` is what is numbered there: "line", "row"."""
    try:
        if is_escaped(text) and not lines.is_given:
            raise Refused(
                "not-utf8",
                "expected UTF-8, as JSON must be; name another encoding with --encoding",
            )
        (text,), encoding = lines.read_again([text])
        return Row(number, _json_object(text), encoding_metadata(encoding))
    except Refused as refused:
        return BadRow(number, Refused(refused.error_class, f"{noun} {number}: {refused.reason}"))


def _json_object(line: str) -> dict[str, Any]:
    try:
        value = _JSON.decode(line)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        reason = (
            f"{error.msg} at column {error.colno}"
            if isinstance(error, json.JSONDecodeError)
            else error
        )
        raise Refused("bad-json", f"expected a JSON object: {reason}") from error
    if not isinstance(value, dict):
        raise Refused("bad-json", f"expected a JSON object, got {_json_noun(value)}")
    if line.count("[") + line.count("{") > MAX_DEPTH:
        _require_shallow(value)
    # In a line of valid UTF-8, a lone surrogate can only come from an escape.
    if "\\ud" in line or "\\uD" in line:
        _require_characters(value)
    return value


def _refuse_constant(name: str) -> float:
    raise ValueError(f"{name} is no JSON number")


def _finite(digits: str) -> float:
    number = float(digits)
    if math.isinf(number):
        raise ValueError(f"the number {digits[:20]} is too large")
    return number


def _whole(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError(f"the number {digits[:20]}... has {len(digits):,} digits")
    return int(digits)


_JSON = json.JSONDecoder(parse_constant=_refuse_constant, parse_float=_finite, parse_int=_whole)


def _require_shallow(value: Any) -> None:
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > MAX_DEPTH:
            raise _too_deep()
        inner: list[Any] = []
        for one in level:
            if isinstance(one, dict):
                inner.extend(one.values())
            elif isinstance(one, list):
                inner.extend(one)
        level = [one for one in inner if isinstance(one, dict | list)]


def _too_deep() -> Refused:
    return Refused("bad-json", f"expected values nested at most {MAX_DEPTH} deep")


def _require_characters(value: Any) -> None:
    if not is_unicode(json.dumps(value, ensure_ascii=False)):
        raise Refused("bad-json", "an escape is half of a surrogate pair, which is not text")


def _json_noun(value: Any) -> str:
    if value is None:
        return "null"
    nouns = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return nouns.get(type(value), "an array")


def too_large(noun: str) -> Refused:
    """The refusal of a line or row with more than `MAX_CHARACTERS`."""
    return Refused("too-large", f"expected a {noun} of at most {MAX_CHARACTERS:,} characters")
