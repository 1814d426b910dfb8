"""Is this string a text, and can it be stored?"""

from __future__ import annotations


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
