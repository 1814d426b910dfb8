"""Split text into words, in any script: `TextSpec.rule` 2.

* A word is a run of letters, marks and digits, folded (`hashret.features.texts.folding`).
* Scripts that write without spaces give bigrams of grapheme clusters (a letter with its signs), a
  lone one by itself, as Lucene's CJKBigramFilter does for Han, kana and Hangul.
* Words that signs join are a word besides, if an @ is among the signs or a digit beside one:
  ``AB-1234/5``, ``3.11.7``, ``ann@example.org``. So are words with a dot before or ++ or # behind:
  ``.NET``, ``Notepad++``; of ``C++`` and ``C#`` the letter by itself is none.
* An emoji is a word, as are a flag, a keycap and emoji that are joined to one; skin tones and
  variation selectors make no difference.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from hashret.features.texts.folding import folded

if TYPE_CHECKING:
    from regex import Pattern

_MAX_LENGTH = 64  # longer runs are encoded data; a vocabulary gains nothing from them

# ASCII by itself needs no Unicode tables: letters lower-cased, digits and signs kept, apostrophes
# dropped, all else a space. Tables of bytes, since str.translate looks each character up in a dict.
_SIGNS = b"-./_:&@+#"
_KEPT = bytes(
    ord(chr(c).lower()) if c < 128 and (chr(c).isalnum() or c in _SIGNS) else 32 for c in range(256)
)
_NO_SIGNS = bytes(32 if c in _SIGNS else c for c in range(256))
_APOSTROPHE = b"'"
_NOT_ASCII = re.compile(r"[^\x00-\x7f]+")
# A sign that joins words to one. What is neither space nor sign is taken for a letter here, and the
# pattern begins with the sign, which is rare, so that it is quickly looked for.
_JOINT = re.compile(
    r"[-./_:&@+](?=[^\s\-./_:&@+#])(?<=[^\s\-./_:&@+#].)(?:(?=[0-9])|(?<=[0-9].)|(?<=@))"
)
_MARK = re.compile(r"\+\+|\#")
_WHOLE = re.compile(r"@|[0-9][-./_:&+]|[-./_:&+][0-9]")

_COUNTED_ASCII = re.compile("[A-Za-z0-9]+(?:'[A-Za-z0-9]+)*")

# Those of Unicode's line breaking class SA, the ideographs, and others of today without spaces.
# Tibetan's syllables are parted by a sign, so they are words.
_UNSPACED = (
    *("Han", "Hiragana", "Katakana", "Hangul", "Bopomofo", "Yi", "Thai", "Lao", "Khmer", "Myanmar"),
    *("Tai_Le", "New_Tai_Lue", "Tai_Tham", "Tai_Viet", "Ahom", "Javanese", "Balinese", "Buginese"),
    *("Batak", "Rejang", "Nushu", "Tangut", "Khitan_Small_Script"),
)
_IN_WORDS = np.array([chr(c).isalnum() for c in range(128)])
_TONES_AND_SELECTORS = re.compile("[\ufe0e\ufe0f\U0001f3fb-\U0001f3ff]")


def words(text: str, fold_accents: bool = True) -> list[str]:
    """The words of a text with repetitions, in no order; `is_term` says which are terms."""
    if text.isascii():
        return _ascii_words(text)
    odd, plain = _parted(_NOT_ASCII, text)
    if len(odd) > len(plain):
        return _any_words(text, fold_accents)
    return _ascii_words(plain) + _any_words(odd, fold_accents)


def is_term(word: str) -> bool:
    """Whether a word of `words` is a term: no run of encoded data."""
    return len(word) <= _MAX_LENGTH


def word_starts(text: str) -> np.ndarray:
    """Where the words of a text begin, to count them, (n,) int64, increasing.

    Of scripts that write without spaces each letter with its marks counts, as it gives one bigram.
    Words that signs join count one by one.
    """
    if not text.isascii():
        return np.fromiter((one.start() for one in _counted().finditer(text)), np.int64)
    found = np.zeros(len(text) + 2, bool)  # whether a character is in a word; one more at each end
    codes = np.frombuffer(text.encode(), np.uint8)
    found[1:-1] = _IN_WORDS[codes]
    found[1:-1] |= (codes == ord("'")) & found[:-2] & found[2:]
    return np.flatnonzero(found[1:-1] & ~found[:-2])


def word_spans(text: str) -> list[tuple[int, int]]:
    """Where the words of a text begin and end, increasing; counted as `word_starts` does."""
    counted = _COUNTED_ASCII if text.isascii() else _counted()
    return [one.span() for one in counted.finditer(text)]


def ideographs(text: str, fold_accents: bool = True) -> list[str]:
    """The ideographs of a text one by one, with repetitions: those of `words` stand in pairs."""
    if text.isascii() or not _maybe_unspaced().search(text):
        return []
    return _ideograph().findall(folded(text, fold_accents))


def _any_words(text: str, fold_accents: bool) -> list[str]:
    found: list[str] = []
    if _maybe_emoji().search(text):
        found += [_TONES_AND_SELECTORS.sub("", emoji) for emoji in _emoji().findall(text)]
        text = _emoji().sub(" ", text)
    text = folded(text, fold_accents)
    if _maybe_unspaced().search(text):
        for run in _unspaced().findall(text):
            found += _bigrams(run)
        text = _unspaced().sub(" ", text)
    signed, text = _unicode().take(text)
    return found + signed + _word().findall(text)


def _ascii_words(text: str) -> list[str]:
    kept = text.encode().translate(_KEPT, _APOSTROPHE).decode()
    signed, kept = _ASCII.take(kept)
    return kept.encode().translate(_NO_SIGNS).decode().split() + signed


class _Signed:
    """Words with signs; `word` and `letter` are what stands in words, as a class in a pattern."""

    def __init__(self, compiled: Callable[[str], Any], word: str, letter: str):
        # looked for at the begin of a word only, and never in a part of it: else a long one that
        # is joined to nothing takes the square of its length
        before, behind = rf"(?<![{word}])", rf"(?:\+\+|\#(?![{word}]))"
        self._joined = compiled(rf"{before}[{word}]++(?:[-./_:&@+][{word}]++)+")
        self._dotted = compiled(rf"\.(?<![-./_:&@+#{word}]\.)[{letter}][{word}]*")
        self._marked = compiled(rf"{before}[{word}]++{behind}")
        self._lone = compiled(rf"{before}[{word}]{behind}")

    def take(self, text: str) -> tuple[list[str], str]:
        """The words with signs in a text, and the text without those of a single letter."""
        found = self._joined.findall(_parted(_JOINT, text)[0])
        found = [one for one in found if _WHOLE.search(one)]
        found += self._dotted.findall(text)
        if "++" in text or "#" in text:
            runs, rest = _parted(_MARK, text)
            found += self._marked.findall(runs)
            text = f"{rest} {self._lone.sub(' ', runs)}"
        return found, text


def _parted(sought: re.Pattern[str], text: str) -> tuple[str, str]:
    """What stands between spaces around each match, and all else, both with spaces between."""
    runs, rest = [], []
    end = 0
    for one in sought.finditer(text):
        at = one.start()
        if at >= end:
            start = text.rfind(" ", end, at) + 1 or end
            rest.append(text[end:start])
            end = text.find(" ", at)
            end = end if end >= 0 else len(text)
            runs.append(text[start:end])
    rest.append(text[end:])
    return " ".join(runs), " ".join(rest)


_ASCII = _Signed(re.compile, "a-z0-9", "a-z")


# Patterns of Unicode are compiled when a text first needs them: that takes milliseconds, and a
# query in ASCII needs none.


@cache
def _maybe_emoji() -> re.Pattern[str]:
    """What is quickly looked for to tell whether a text may have an emoji."""
    return re.compile("[\xa9\xae\u203c-\u3299\U0001f000-\U0001faff]")


@cache
def _maybe_unspaced() -> re.Pattern[str]:
    """What is quickly looked for to tell whether a text may have a script without spaces."""
    ranges = "\u0e00-\u0eff\u1000-\u11ff\u1780-\u17ff\u1950-\u1aaf\u1b00-\u1bff\u2e80-\U0010ffff"
    return re.compile(f"[{ranges}]")


@cache
def _unicode() -> _Signed:
    import regex

    return _Signed(regex.compile, r"\p{L}\p{M}\p{N}", r"\p{L}")


@cache
def _word() -> Pattern[str]:
    import regex

    return regex.compile(r"[\p{L}\p{M}\p{N}]+")


@cache
def _counted() -> Pattern[str]:
    import regex

    letters, marks = r"\p{L}\p{M}\p{N}", r"\p{M}*+"
    one = rf"[[{letters}]--[{_scripts()}]]++"
    return regex.compile(rf"(?V1)[{_scripts()}]{marks}|{one}(?:['’]{one})*+")


def _ideograph() -> Pattern[str]:
    import regex

    return regex.compile(r"\p{Script=Han}")


def _bigrams(run: str) -> list[str]:
    import regex

    clusters = run if run.isalpha() else regex.findall(r"\X", run)  # marks are no letters
    return [a + b for a, b in pairwise(clusters)] or [run]


@cache
def _unspaced() -> Pattern[str]:
    """A run of scripts without spaces, with what kana share: voicing and the sign of length."""
    import regex

    return regex.compile(rf"[{_scripts()}]+")


def _scripts() -> str:
    """The scripts without spaces, as a class in a pattern of `regex`."""
    scripts = "".join(rf"\p{{Script={script}}}" for script in _UNSPACED)
    return rf"{scripts}\u3099\u309aー"


@cache
def _emoji() -> Pattern[str]:
    """Flags, keycaps and emoji, each perhaps of several joined ones (UTS #51, section 1.4)."""
    import regex

    one = r"\p{Extended_Pictographic}[\ufe0e\ufe0f\p{Emoji_Modifier}]*[\U000e0020-\U000e007f]*"
    return regex.compile(rf"\p{{RI}}\p{{RI}}|[0-9#*]\ufe0f?\u20e3|{one}(?:\u200d{one})*")
