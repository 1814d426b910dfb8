"""Strings of strangers: which are texts, and how they are worked on in linear time."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from regex import Pattern

#: The most combining marks in a row: no language writes as many (UAX #15, section 13).
MAX_MARKS = 30
#: So many characters of a text are worked on at once: folded, they take some 10 MB at most.
PIECE = 1 << 16
# What UAX #15 puts between longer runs: a mark that is not seen, and past which none is sorted.
_JOINER = "\u034f"
# White space, and what parts the sentences and syllables of scripts that write without any.
_SEPARATORS = " \n\t\u3000。、，་"


def is_unicode(text: str) -> bool:
    """Whether a string is Unicode text: one with half of a surrogate pair is not."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def is_storable(text: str) -> bool:
    """Whether a string can stand in a catalog: Unicode text without NUL."""
    return "\0" not in text and is_unicode(text)


def stream_safe(text: str) -> str:
    """The text with U+034F after every 30 combining marks in a row.

    This is Unicode's Stream-Safe Text Format (UAX #15, section 13). To normalise a text, marks
    in a row are sorted, in a time that grows with the square of their number.
    """
    return text if text.isascii() else _full_runs().sub(rf"\g<0>{_JOINER}", text)


def many_marks(text: str) -> int | None:
    """Where the first run of more than 30 combining marks begins, or None."""
    found = None if text.isascii() else _full_runs().search(text)
    return None if found is None else found.start()


@cache
def _full_runs() -> Pattern[str]:
    """As many marks as there may be in a row, with another one behind them.

    Marks are all that Unicode calls so, which is more than what is sorted, and the two halfwidth
    letters that compatibility makes marks.
    """
    import regex

    mark = r"[\p{M}\uff9e\uff9f]"
    return regex.compile(rf"{mark}{{{MAX_MARKS}}}(?={mark})")


def pieces(text: str) -> Iterator[str]:
    """The text in pieces of at most `PIECE` characters, cut where words are parted.

    Only a run of characters that is longer than a piece is cut anywhere.
    """
    start = 0
    while len(text) - start > PIECE:
        end = max(text.rfind(one, start + 1, start + PIECE + 1) for one in _SEPARATORS)
        end = end if end > start else start + PIECE
        yield text[start:end]
        start = end
    yield text[start:] if start else text
