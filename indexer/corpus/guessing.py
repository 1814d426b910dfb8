"""Guess the encoding of bytes that don't show it, together with the other possible encodings.

chardet knows how often letters follow one another in the languages that an encoding is used for. On
a few words it is often undecided. Then the encoding is preferred with which fewer words look odd:
letters of two scripts side by side, symbols between letters, capitals after small letters. No rule
depends on a language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

# Python's names of the encodings that are guessed; of two similar ones, the one with more
# characters. EBCDIC and encodings that were never common in files are left out, because with each
# further candidate more guesses are wrong.
CANDIDATES = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-13", "iso8859-15"),
    *("koi8-r", "koi8-u", "mac-cyrillic", "cp866", "kz1048", "ptcp154"),
    *("cp874", "tis-620", "gb18030", "big5hkscs", "cp932", "euc_jis_2004", "cp949"),
)

_SAMPLE = 16_384  # bytes from which the encoding is guessed; more don't change the guess
_BEFORE = 512  # bytes of the sample before the first byte beyond ASCII; earlier ones tell nothing
_ODD_SAMPLE = 2_048  # characters in which odd words are counted
_RIVALS = 8  # encodings for which odd words are counted, those of chardet's highest confidence
# A text with few bytes beyond ASCII gets the encoding of most texts of its folder.
_SHORT = 32  # bytes beyond ASCII; with fewer a text is short
_OTHERS = 3  # texts of the folder that must agree, besides being more than half
_POSSIBLE = 0.1  # the least score of that encoding for the text, as a share of the best score
_LEAST_FACTOR = 0.01  # the least factor of a score, however many words are odd
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_BYTES = bytes(range(0x80, 0x100))
_MOST_FREQUENT = "cp1252"  # of all encodings but UTF-8, by surveys of the web
# Scripts that don't occur together in one word.
_SEPARATE = {"LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI"}
# Scripts without spaces between words, so that Latin letters may stand directly beside them.
_EAST_ASIAN = {"CJK", "HANGUL", "KATAKANA"}
_WITHIN_WORDS = "’‘·"  # symbols that may stand between letters


@dataclass(frozen=True, slots=True)
class Guess:
    """The most likely encoding of a text, and its rivals."""

    text: str
    """The text, decoded with this encoding."""
    encoding: str
    """Python's name of the encoding."""
    n_high: int
    """The number of bytes beyond ASCII."""
    rivals: dict[str, float] = field(default_factory=dict)
    """The score of each possible encoding, also of the guessed one, best first."""


def guess(data: bytes) -> Guess | None:
    """The most likely encoding in which all of `data` can be decoded; None if there is none."""
    import chardet

    first = _HIGH.search(data)
    start = max(0, first.start() - _BEFORE) if first else 0
    sample = data[start : start + _SAMPLE]
    n_high = len(sample) - len(sample.translate(None, _HIGH_BYTES))
    found = chardet.detect_all(
        sample, ignore_threshold=True, compat_names=False, include_encodings=CANDIDATES
    )
    scores: dict[str, float] = {}
    for one in sorted(found, key=lambda one: -one["confidence"])[:_RIVALS]:
        name = one["encoding"]
        if name is not None:
            readable = sample.decode(name, "ignore")
            scores[name] = one["confidence"] * max(_LEAST_FACTOR, 1 - _oddness(readable)) ** 2
            if name == _MOST_FREQUENT:  # decides if there are hardly any letters to judge by
                n_letters = sum(c > "\x7f" and c.isalpha() for c in readable)
                scores[name] *= 1 + 1 / max(1, n_letters)
    best_first = sorted(scores, key=lambda name: -scores[name])
    for name in best_first:
        try:
            text = data.decode(name)
        except UnicodeDecodeError:
            continue
        return Guess(text, name, n_high, {name: scores[name] for name in best_first})
    return None


def by_majority(guesses: list[Guess]) -> list[str]:
    """The encodings of the texts of one folder: short ones get the encoding of the majority."""
    votes = Counter(one.encoding for one in guesses)
    encoding, n = max(votes.items(), key=lambda pair: pair[1], default=("", 0))
    if n < _OTHERS or 2 * n <= len(guesses):
        return [one.encoding for one in guesses]
    return [
        encoding
        if one.n_high < _SHORT
        and one.rivals.get(encoding, 0.0) >= _POSSIBLE * one.rivals[one.encoding]
        else one.encoding
        for one in guesses
    ]


def _oddness(text: str) -> float:
    """The number of odd places in a text, divided by that of its characters beyond ASCII."""
    n_odd, n_high = 0.0, 0
    first = next((i for i, c in enumerate(text) if c > "\x7f"), 0)
    sample = text[max(0, first - 8) : first + _ODD_SAMPLE]
    before, last = _class_of(" "), _class_of(" ")  # of the two characters before this one
    for character in sample:
        this = _class_of(character)
        n_high += this.is_high
        n_odd += this.is_invalid
        if this.is_high or last.is_high:
            scripts = {last.script, this.script}
            is_mixed = len(scripts) == 2 and scripts <= _SEPARATE
            if is_mixed or (last.is_small and this.is_capital):
                n_odd += 1
            elif "LATIN" in scripts and scripts & _EAST_ASIAN:
                n_odd += 0.5  # often odd, but the name of a product may look like this
        if last.is_symbol and {before.script, this.script} <= _SEPARATE:
            n_odd += 1
        before, last = last, this
    return n_odd / max(1, n_high)


@dataclass(frozen=True, slots=True)
class _CharacterClass:
    """The properties of a character that show whether a word is odd."""

    script: str
    """The script of a letter, as in its Unicode name; "" for other characters."""
    is_high: bool
    """Whether it is beyond ASCII."""
    is_small: bool
    """Whether it is a letter and no capital."""
    is_capital: bool
    is_symbol: bool
    """Whether it is a symbol, number or punctuation beyond ASCII that is odd between letters."""
    is_invalid: bool
    """Whether it is a control or unassigned character beyond ASCII."""


@lru_cache(8192)
def _class_of(character: str) -> _CharacterClass:
    category = unicodedata.category(character)
    is_high = character > "\x7f"
    is_letter = category[0] in "LM"
    script = unicodedata.name(character, "?").split()[0] if is_letter else ""
    if character in "ªºµ":
        script = "LATIN"
    return _CharacterClass(
        script,
        is_high,
        is_small=is_letter and category != "Lu",
        is_capital=category == "Lu",
        is_symbol=is_high
        and category[0] in "SPN"
        and category != "Pd"
        and character not in _WITHIN_WORDS,
        is_invalid=is_high and category in ("Cc", "Cn", "Co"),
    )
