"""What a document tells of itself, brought into one form: lines, dates."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

_MAX_LINE = 1000  # characters; longer ones are no titles or names
_MAX_TIME = 100  # characters of a date


def line(text: str) -> str:
    """The text as one line of at most 1,000 characters, its white space single spaces."""
    return " ".join(text[: 4 * _MAX_LINE].split())[:_MAX_LINE]


def time_told(text: str) -> str:
    """A date or time as ISO 8601, in UTC if it has a time zone; "" if it is neither.

    Read are ISO 8601, of which a year or a year and a month are enough, and RFC 5322 (mail, HTTP).
    """
    text = text.strip()
    if len(text) > _MAX_TIME:
        return ""
    for form in ("%Y", "%Y-%m", "%Y-%m-%d"):
        try:
            datetime.strptime(text, form)
        except ValueError:
            continue
        return text
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            return iso(read(text))
        except (ValueError, TypeError, IndexError, OverflowError):
            continue
    return ""


def iso(time: datetime) -> str:
    """The time as ISO 8601 in seconds, in UTC with Z if it has a time zone."""
    if time.tzinfo is None:
        return time.isoformat(timespec="seconds")
    return time.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def told(**values: str) -> dict[str, str]:
    """The values as lines, without those that are empty."""
    lines = {name: line(value) for name, value in values.items()}
    return {name: value for name, value in lines.items() if value}


def names(found: Iterable[str | None]) -> str:
    """The names, each once, separated by ", "."""
    return ", ".join(dict.fromkeys(one for one in map(line, filter(None, found)) if one))
