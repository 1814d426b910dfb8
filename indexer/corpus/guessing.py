"""Which encoding are bytes in that say nothing of it? A guess, and what else it might have been.

chardet knows how often letters follow one another in the languages of an encoding. On a few
words it is often undecided between several; then the reading is preferred in which fewer
words are odd: letters of two scripts side by side, signs amid letters, capitals after small
letters. No rule names a language.
"""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from dataclasses import dataclass, field
from functools import lru_cache

# Python's names; of two that are alike the one with more characters. Left out: EBCDIC, and what
# was never common in files, since each further candidate costs others right guesses.
CANDIDATES = (
    *("cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "cp1257", "cp1258"),
    *("iso8859-2", "iso8859-5", "iso8859-6", "iso8859-7", "iso8859-8", "iso8859-13", "iso8859-15"),
    *("koi8-r", "koi8-u", "mac-cyrillic", "cp866", "kz1048", "ptcp154"),
    *("cp874", "tis-620", "gb18030", "big5hkscs", "cp932", "euc_jis_2004", "cp949"),
)

# Bytes that a guess is made on: more change no verdict. What is before the first byte beyond
# ASCII says nothing.
_SAMPLE = 16_384
_BEFORE = 512
# Characters, and readings, that are looked at for odd words.
_LOOKED_AT, _RIVALS = 2_048, 8
# A text of fewer bytes beyond ASCII follows the others of its folder, of at least so many, if they
# agree and this reading of it is not out of the question.
_SHORT, _OTHERS, _POSSIBLE = 32, 3, 0.1
_HIGH = re.compile(rb"[\x80-\xff]")
_HIGH_BYTES = bytes(range(0x80, 0x100))
_MOST_FREQUENT = "cp1252"  # of all that is not UTF-8, by surveys of the web
_APART = {"LATIN", "CYRILLIC", "GREEK", "HEBREW", "ARABIC", "THAI"}
_EAST_ASIAN = {"CJK", "HANGUL", "KATAKANA"}
_WITHIN_WORDS = "’‘·"  # the signs that are


@dataclass(frozen=True, slots=True)
class Guess:
    """The text as it is most likely read, the encoding by Python's name, and how sure that is."""

    text: str
    encoding: str
    n_high: int
    """How many bytes are beyond ASCII."""
    rivals: dict[str, float] = field(default_factory=dict)
    """The score of each encoding that is possible; with the guess itself, best first."""


def guess(data: bytes) -> Guess | None:
    """The most likely reading of `data`, one that is possible for all of it; None if none is."""
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
            scores[name] = one["confidence"] * max(0.01, 1 - _oddness(readable)) ** 2
            if name == _MOST_FREQUENT:  # counts where there is next to nothing to go by
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
    """The encoding of each of the texts of one folder, where a short one follows the others."""
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
    """How many places in a text are odd, for each of its characters beyond ASCII."""
    n_odd, n_high = 0.0, 0
    first = next((i for i, c in enumerate(text) if c > "\x7f"), 0)
    seen = text[max(0, first - 8) : first + _LOOKED_AT]
    last, before = _sort(" "), _sort(" ")
    for character in seen:
        sort = _sort(character)
        n_high += sort.is_high
        n_odd += sort.is_none
        if sort.is_high or last.is_high:
            scripts = {last.script, sort.script}
            is_mixed = len(scripts) == 2 and scripts <= _APART
            if is_mixed or (last.is_small and sort.is_capital):
                n_odd += 1
            elif "LATIN" in scripts and scripts & _EAST_ASIAN:
                n_odd += 0.5  # a model's number stands so, beside words that have no spaces
        if last.is_sign and {before.script, sort.script} <= _APART:
            n_odd += 1
        before, last = last, sort
    return n_odd / max(1, n_high)


@dataclass(frozen=True, slots=True)
class _Sort:
    """What a character is, as far as words are made of it."""

    script: str
    is_high: bool
    is_small: bool
    is_capital: bool
    is_sign: bool
    is_none: bool


@lru_cache(8192)
def _sort(character: str) -> _Sort:
    category = unicodedata.category(character)
    is_high = character > "\x7f"
    is_letter = category[0] in "LM"
    script = unicodedata.name(character, "?").split()[0] if is_letter else ""
    if character in "ªºµ":
        script = "LATIN"
    return _Sort(
        script,
        is_high,
        is_small=is_letter and category != "Lu",
        is_capital=category == "Lu",
        is_sign=is_high
        and category[0] in "SPN"
        and category != "Pd"
        and character not in _WITHIN_WORDS,
        is_none=is_high and category in ("Cc", "Cn", "Co"),
    )
