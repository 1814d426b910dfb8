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
_CONTROLS = [*range(0x20), *range(0x7F, 0xA0), 0x2028, 0x2029]
# Characters that change the direction of the text after them (Unicode Standard, chapter 23.2).
_DIRECTIONS = [0x061C, 0x200E, 0x200F, *range(0x202A, 0x202F), *range(0x2066, 0x206A)]
# Halves of pairs, which no encoding has, and what XML may not hold.
_NO_CHARACTERS = [*range(0xD800, 0xE000), 0xFFFE, 0xFFFF]
_SHOWN = {
    code: f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"
    for code in (*_CONTROLS, *_DIRECTIONS, *_NO_CHARACTERS)
}


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


def shown(text: str) -> str:
    r"""The text with every control character as an escape, such as ``\x1b``; always one line."""
    return text.translate(_SHOWN)


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
