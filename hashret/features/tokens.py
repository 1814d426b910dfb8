"""Text to terms, in any script.

Words where words are set apart by spaces: runs of letters, marks and digits, after Unicode
compatibility composition and case folding, without apostrophes. Bigrams of characters in runs of
Han, Hiragana, Katakana and Hangul, a lone character by itself, as Lucene's CJKAnalyzer does
(`CJKBigramFilter`, without its stop words). Single ASCII letters and digits, and numbers of more
than four digits, are left out: they are counters and identifiers, not words.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from unicodedata import normalize

if TYPE_CHECKING:
    from regex import Pattern

# ASCII by itself needs no Unicode tables: letters lower-cased, digits kept, apostrophes dropped.
_ASCII = dict.fromkeys(range(128), " ")
_ASCII |= {code: chr(code) for code in range(128) if chr(code).isalnum()}
_ASCII |= {code: chr(code).lower() for code in range(ord("A"), ord("Z") + 1)}
_ASCII[ord("'")] = ""
_ASCII_TABLE = str.maketrans(_ASCII)
_APOSTROPHES = str.maketrans("", "", "'’ʼ＇")
_MAX_DIGITS = 4
_MAX_LENGTH = 64  # longer runs are encoded data; a vocabulary gains nothing from them


@cache
def _pattern() -> Pattern[str]:
    import regex

    cjk = r"\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}ー"
    return regex.compile(rf"(?V1)([{cjk}]+)|[[\p{{L}}\p{{M}}\p{{N}}]--[{cjk}]]+")


def tokens(text: str) -> list[str]:
    """The terms of a text, in order and with repetitions."""
    if text.isascii():
        words = text.translate(_ASCII_TABLE).split()
    else:
        folded = normalize("NFKC", normalize("NFKC", text).casefold()).translate(_APOSTROPHES)
        words = []
        for match in _pattern().finditer(folded):
            run = match[1]
            if run is None:
                words.append(match[0])
            elif len(run) == 1:
                words.append(run)
            else:
                words.extend(run[i : i + 2] for i in range(len(run) - 1))
    return [word for word in words if _is_term(word)]


def _is_term(word: str) -> bool:
    if len(word) == 1:
        return not word.isascii()
    return len(word) <= _MAX_LENGTH and (len(word) <= _MAX_DIGITS or not word.isdecimal())
