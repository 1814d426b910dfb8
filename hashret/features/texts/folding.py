"""Fold texts, so that words that are the same to a reader are the same to a vocabulary.

Always: compatibility forms (NFKD) and case; the digits of all scripts are ASCII's; hyphens are one.
What nobody sees is no character: soft hyphens, zero-width spaces and joiners, variation selectors
(Unicode's Default_Ignorable_Code_Point and Cf); nor are apostrophes, their Hebrew kin and tatweel.

Accents, if wanted: marks of no script of their own (Script=Inherited, as accents and Arabic vowels
are) and those of Arabic, Hebrew, Syriac and Cyrillic are dropped; letters that are others with a
stroke or joined become these, as does the Turkish dotless i; Persian yeh and kaf are the Arabic
ones. So é is e, й is и, أ is ا, and İ, I, ı and i are one letter. Marks of all other scripts are
parts of their letters, and so is the voicing of kana.
"""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING
from unicodedata import decimal, normalize

from hashret.unicode_text import stream_safe

if TYPE_CHECKING:
    from regex import Pattern

_NOTHING = dict.fromkeys("'’ʼ＇\u05f3\u05f4\u0640", "")
_HYPHENS = dict.fromkeys("\u2010\u2011\u2012\u2013\u2212", "-")
_LAST_DIGIT = 0x1FBF9
_LETTERS = {
    "ı": "i",
    "ł": "l",
    "ø": "o",
    "đ": "d",
    "ð": "d",
    "ħ": "h",
    "ŧ": "t",
    "æ": "ae",
    "œ": "oe",
    "þ": "th",
    "\u06cc": "\u064a",
    "\u0649": "\u064a",
    "\u06a9": "\u0643",
}


def folded(text: str, fold_accents: bool) -> str:
    """The text with whatever makes no difference left out, composed (NFC)."""
    text = _unseen(fold_accents).sub("", normalize("NFKD", stream_safe(text)))
    # again, since the joiner that breaks long runs of marks is invisible too
    text = stream_safe(text).casefold()
    return normalize("NFC", text.translate(_table(fold_accents)))


@cache
def _unseen(fold_accents: bool) -> Pattern[str]:
    import regex

    invisible = r"\p{Default_Ignorable_Code_Point}\p{Cf}"
    scripts = ["Inherited", "Arabic", "Hebrew", "Syriac", "Cyrillic"]
    marks = "".join(rf"\p{{Script={script}}}" for script in scripts)
    accents = rf"[[\p{{M}}&&[{marks}]]--[\u3099\u309a]]" if fold_accents else ""
    return regex.compile(rf"(?V1)[{invisible}{accents}]+")


@cache
def _table(fold_accents: bool) -> dict[int, str]:
    """The replacements of characters for `str.translate`."""
    others = (c for c in map(chr, range(128, _LAST_DIGIT + 1)) if c.isdecimal())
    digits = {c: str(decimal(c)) for c in others}
    return str.maketrans(_NOTHING | _HYPHENS | digits | (_LETTERS if fold_accents else {}))
