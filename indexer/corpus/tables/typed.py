"""Which columns of a CSV hold numbers, dates or truth values, decided by all of their cells.

A column gets a type only if each of its cells reads as that type and nothing would be lost by it.
So postal codes such as 01067 stay strings, and so do whole numbers of more than 15 digits, dates
such as 01/02/2024 unless another cell shows which part is the day, and columns with a cell "n/a".
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

#: A function that returns the value of a cell; raises ValueError if the cell is of another type.
Typed = Callable[[str], Any]

# At most 15 digits, which a float holds exactly; no zero before others, and no plus. An exponent
# must have a sign, as Python and pandas write it, because "12e4" may be a name.
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-][0-9]{1,3})?")
_MAX_DIGITS = 15
_TIME = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[ T]([0-9]{2}:[0-9]{2}(?::[0-9]{2}(?:\.[0-9]{1,6})?)?)"
    r" ?(Z|[+-][0-9]{2}:?[0-9]{2})?"
)


def _number(cell: str) -> int | float:
    found = _NUMBER.fullmatch(cell)
    digits = re.sub("[eE].*|[^0-9]", "", cell)
    if found is None or len(digits) > _MAX_DIGITS:
        raise ValueError(cell)
    number = float(cell)
    if math.isinf(number) or (number == 0) != (not digits.strip("0")):  # beyond a float's range
        raise ValueError(cell)
    return number if any(found.groups()) else int(cell)


def _truth(cell: str) -> bool:
    return {"true": True, "false": False}[cell.lower()]


def _time(cell: str) -> str:
    """An ISO 8601 time; where it has a time zone it is turned into UTC."""
    found = _TIME.fullmatch(cell)
    if found is None:
        raise ValueError(cell)
    time = datetime.fromisoformat("T".join(found.group(1, 2)) + (found[3] or ""))
    return (time if time.tzinfo is None else time.astimezone(UTC)).isoformat()


def _date(pattern: str) -> Typed:
    """A date, by a pattern with the groups y, m and d, in ISO 8601."""
    compiled = re.compile(pattern)

    def read(cell: str) -> str:
        found = compiled.fullmatch(cell)
        if found is None:
            raise ValueError(cell)
        return date(*(int(found[part]) for part in "ymd")).isoformat()

    return read


_D, _M, _Y = "(?P<d>[0-9]{1,2})", "(?P<m>[0-9]{1,2})", "(?P<y>[0-9]{4})"
#: The name of a type -> how its cells are read.
TYPES: Mapping[str, Typed] = {
    "number": _number,
    "truth": _truth,
    "time": _time,
    "date": _date(f"{_Y}-{_M}-{_D}"),
    "date, year/month/day": _date(f"{_Y}/{_M}/{_D}"),
    "date, day.month.year": _date(rf"{_D}\.{_M}\.{_Y}"),
    "date, day/month/year": _date(f"{_D}/{_M}/{_Y}"),
    "date, month/day/year": _date(f"{_M}/{_D}/{_Y}"),
}


def types_of(rows: Iterable[Mapping[str, str]], untyped: Iterable[str]) -> dict[str, Typed]:
    """The type of each column in which all cells that are not empty have one and the same.

    Columns named in `untyped` are left out.
    """
    possible: dict[str, dict[str, Typed]] = {}
    left_out = set(untyped)
    for fields in rows:
        for column, cell in fields.items():
            if column not in left_out and (cell := cell.strip()):
                if column not in possible:
                    possible[column] = dict(TYPES)
                _narrow(possible[column], cell)
                if not possible[column]:
                    left_out.add(column)
    # of several types, which only two readings of dates can be, none is sure
    return {column: next(iter(of.values())) for column, of in possible.items() if len(of) == 1}


def _narrow(possible: dict[str, Typed], cell: str) -> None:
    """Remove the types that the cell does not have."""
    for name, read in list(possible.items()):
        try:
            read(cell)
        except (ValueError, KeyError, OverflowError):
            del possible[name]


def typed(fields: dict[str, Any], types: Mapping[str, Typed]) -> dict[str, Any]:
    """The fields of a row with cells as their columns' types; empty cells of these are left out.

    White space around a value is no part of it.

    A cell that does not have the type, as in a file that has changed meanwhile, stays a string.
    """
    found = dict(fields)
    for column in types.keys() & fields.keys():
        if not (cell := fields[column].strip()):
            del found[column]
        else:
            with suppress(ValueError, KeyError, OverflowError):
                found[column] = types[column](cell)
    return found
