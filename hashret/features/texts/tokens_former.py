"""Split text into words by the rule of older models: `TextSpec.rule` 1.

Nothing here may change: the words would be others than those of the vocabulary. Words are runs of
letters, marks and digits, after Unicode compatibility composition and case folding, without
apostrophes. Runs of Han, Hiragana, Katakana and Hangul are bigrams of characters, a lone character
by itself. Single ASCII letters and digits, and numbers of more than four digits, are left out.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING
from unicodedata import normalize

from hashret.unicode_text import stream_safe

if TYPE_CHECKING:
    from regex import Pattern

# ASCII by itself needs no Unicode tables: letters lower-cased, digits kept, apostrophes dropped,
# all else a space. A table of bytes, since str.translate looks every character up in a dict.
_ASCII_TABLE = bytes(
    ord(chr(c).lower()) if c < 128 and chr(c).isalnum() else 32 for c in range(256)
)
_ASCII_DROPPED = b"'"
_APOSTROPHES = str.maketrans("", "", "'’ʼ＇")
_MAX_DIGITS = 4
_MAX_LENGTH = 64  # longer runs are encoded data; a vocabulary gains nothing from them


@cache
def _maybe_cjk() -> re.Pattern[str]:
    """What is quickly looked for to tell whether a text can have one of the scripts of bigrams."""
    return re.compile("[\u1100-\u11ff\u2e80-\U0010ffff]")  # takes milliseconds


@cache
def _word() -> Pattern[str]:
    import regex

    return regex.compile(r"[\p{L}\p{M}\p{N}]+")


@cache
def _pattern() -> Pattern[str]:
    import regex

    cjk = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー"
    return regex.compile(rf"(?V1)([{cjk}]+)|[[\p{{L}}\p{{M}}\p{{N}}]--[{cjk}]]+")


def words(text: str) -> list[str]:
    """The words of a text, in order and with repetitions: terms and what `is_term` leaves out."""
    if text.isascii():
        return text.encode().translate(_ASCII_TABLE, _ASCII_DROPPED).decode().split()
    folded = normalize("NFKC", normalize("NFKC", stream_safe(text)).casefold())
    folded = folded.translate(_APOSTROPHES)
    if not _maybe_cjk().search(folded):
        return _word().findall(folded)
    found = []
    for match in _pattern().finditer(folded):
        run = match[1]
        if run is None:
            found.append(match[0])
        elif len(run) == 1:
            found.append(run)
        else:
            found.extend(run[i : i + 2] for i in range(len(run) - 1))
    return found


def is_term(word: str) -> bool:
    """Whether a word of `words` is a term: no counter, identifier or run of encoded data."""
    if len(word) == 1:
        return not word.isascii()
    return len(word) <= _MAX_LENGTH and (len(word) <= _MAX_DIGITS or not word.isdecimal())
