"""Checks of untrusted strings, what is shown of one, and what bounds the time of normalising."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regex import Pattern

#: Largest number of combining marks in a row: no language writes as many (UAX #15, section 13).
MAX_MARKS = 30
_PREVIEW = 200  # characters
# The invisible mark that UAX #15 inserts into longer runs; marks are never sorted across it.
_JOINER = "\u034f"


def is_unicode(text: str) -> bool:
    """Whether a string is valid Unicode text; one with half of a surrogate pair is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_storable(text: str) -> bool:
    """Whether a catalog can store a string: valid Unicode text without NUL."""
    return "\0" not in text and is_unicode(text)


def preview_of(text: str) -> str:
    """What a collection shows of a text: its first 200 characters, white space collapsed."""
    start = " ".join(text[: 2 * _PREVIEW].split())[:_PREVIEW]
    return start.encode("utf-8", "replace").decode().replace("\0", " ")


def stream_safe(text: str) -> str:
    """The text with U+034F after every 30 combining marks in a row.

    This is Unicode's Stream-Safe Text Format (UAX #15, section 13). It bounds the time of
    normalisation, which sorts the marks in a row in time quadratic in their number.
    """
    return text if text.isascii() else _full_runs().sub(rf"\g<0>{_JOINER}", text)


def many_marks(text: str) -> int | None:
    """The position of the first run of more than 30 combining marks; None if there is none."""
    found = None if text.isascii() else _full_runs().search(text)
    return None if found is None else found.start()


@cache
def _full_runs() -> Pattern[str]:
    """A pattern that matches `MAX_MARKS` marks in a row, if one more follows.

    Marks are all characters of Unicode's category M, which are more than those that normalisation
    sorts, and the two halfwidth letters that compatibility normalisation turns into marks.
    """
    import regex

    mark = r"[\p{M}\uff9e\uff9f]"
    return regex.compile(rf"{mark}{{{MAX_MARKS}}}(?={mark})")
