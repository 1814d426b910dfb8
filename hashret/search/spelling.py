"""Which words of a question does no text have, and which known ones are spelt like them?"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from difflib import SequenceMatcher

from hashret.features.texts.tokens import word_spans

#: Letters of the shortest word that another is sought for: shorter ones are like too many.
_SHORTEST = 4
#: How alike two words must be (`SequenceMatcher.ratio`): one letter of four may differ, or two of
#: eight; letters that are swapped count as one.
_ALIKE = 0.75


@dataclass(frozen=True, slots=True)
class Spelling:
    """What a question's spelling leaves to be said."""

    unknown: tuple[str, ...]
    """Its words that no text has, folded, in their order."""
    instead: str
    """The question with known words in place of these; "" where no known word is like them."""


def spelling(
    question: str,
    unknown: Collection[str],
    vocabulary: Mapping[str, float],
    words: Callable[[str], Collection[str]],
) -> Spelling:
    """Which of the `unknown` words a question has, and how it may have been meant.

    `vocabulary` has the known words and what each tells (its idf): of words that are equally like
    an unknown one the commonest is taken.
    """
    instead, found, end = "", [], 0
    for start, stop in word_spans(question):
        of_span = set(words(question[start:stop]))
        word = next(iter(of_span), "")
        if len(of_span) == 1 and word in unknown:
            found.append(word)
            if near := _nearest(word, vocabulary):
                instead += question[end:start] + near
                end = stop
    return Spelling(tuple(dict.fromkeys(found)), instead + question[end:] if end else "")


def _nearest(word: str, vocabulary: Mapping[str, float]) -> str:
    """The known word that is spelt most like an unknown one; "" if none is like it."""
    if len(word) < _SHORTEST or not word.isalpha():
        return ""
    matcher = SequenceMatcher(b=word, autojunk=False)
    best, nearest = (_ALIKE, 0.0), ""
    for known, tells in vocabulary.items():
        if abs(len(known) - len(word)) > 2 or not known.isalpha():
            continue
        matcher.set_seq1(known)
        # both are quick, and never less than the ratio
        if matcher.real_quick_ratio() >= best[0] and matcher.quick_ratio() >= best[0]:
            found = matcher.ratio(), -tells
            if (not nearest and found[0] >= _ALIKE) or found > best:
                best, nearest = found, known
    return nearest
