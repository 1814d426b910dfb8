"""The rows of a table, with names and values, and how they are made of lines of JSON."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from hashret.items import MAX_DEPTH
from hashret.unicode_text import is_unicode
from indexer.corpus.lines import Lines, is_escaped
from indexer.refusals import Refused

#: The longest JSONL line and CSV row, in characters.
MAX_CHARACTERS = 16 << 20

# The longest whole number, in digits: Python refuses to convert more, since that is quadratic.
_MAX_DIGITS = 4_000


@dataclass(frozen=True, slots=True)
class Row:
    """One row: the line that it begins on (from 1), its fields, and what else to say of it."""

    line: int
    fields: dict[str, Any]
    said: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that cannot be used: the line that it begins on (from 1), and why."""

    line: int
    refused: Refused


def json_rows(lines: Lines) -> Iterator[Row | BadRow]:
    """The objects of a JSON Lines table; blank lines are passed over."""
    while line := lines.read(MAX_CHARACTERS):
        if len(line) > MAX_CHARACTERS:
            for _ in lines.discard():
                pass
            yield BadRow(lines.number, too_large("line"))
        elif not line.isspace():
            try:
                if is_escaped(line) and not lines.is_said:
                    raise Refused(
                        "not-utf8", "expected UTF-8, as JSON is; --encoding NAME reads another"
                    )
                (line,), encoding = lines.read_again([line])
                yield Row(lines.number, _json_object(line), said_of(encoding))
            except Refused as refused:
                reason = f"line {lines.number}: {refused.reason}"
                yield BadRow(lines.number, Refused(refused.error_class, reason))


def _json_object(line: str) -> dict[str, Any]:
    try:
        value = _JSON.decode(line)
    except RecursionError:
        raise _too_deep() from None
    except ValueError as error:
        said = (
            f"{error.msg} at column {error.colno}"
            if isinstance(error, json.JSONDecodeError)
            else error
        )
        raise Refused("bad-json", f"expected a JSON object: {said}") from error
    if not isinstance(value, dict):
        raise Refused("bad-json", f"expected a JSON object, got {_json_noun(value)}")
    if line.count("[") + line.count("{") > MAX_DEPTH:
        _require_shallow(value)
    # Only an escape can bring a lone surrogate into a line that was sound UTF-8.
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
        raise Refused("bad-json", "half of a surrogate pair is escaped, which is no text")


def _json_noun(value: Any) -> str:
    if value is None:
        return "null"
    nouns = {bool: "a boolean", int: "a number", float: "a number", str: "a string"}
    return nouns.get(type(value), "an array")


def said_of(encoding: str) -> dict[str, str]:
    """The metadata that names the encoding of a row, where that is not UTF-8."""
    return {} if encoding == "utf-8" else {"encoding": encoding}


def too_large(noun: str) -> Refused:
    """The refusal of a line or row of more than `MAX_CHARACTERS`."""
    return Refused("too-large", f"expected a {noun} of at most {MAX_CHARACTERS:,} characters")
