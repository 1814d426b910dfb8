"""Which words does a text have, as they are written there?

A word of the vocabulary is folded, and one that signs join to others is counted with its parts
(``AB-1234/5``, ``ab``, ``1234``, ``5``). Here a word is what a reader sees as one: a stretch of the
text that can be taken out without changing how the rest is read. Scripts without spaces have pairs
of letters for words, which overlap; there each pair is one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import cache

#: Finds the words of the vocabulary's rule in a stretch of text, with repetitions.
Rule = Callable[[str], Iterable[str]]
_RUN = re.compile(r"\S+")
# Signs around a word that are not of it; what is left must still be read as the same words.
_AROUND = "()[]{}<>«»„“”‘’\"'`,;:!?…。、，"
_SIGNS = _AROUND + ".-/_&@+#*=|~^%$\\"


@dataclass(slots=True)
class Written:
    """A word of a text: its spellings with how often each occurs."""

    words: tuple[str, ...]
    """What the vocabulary's rule reads in it, sorted, with repetitions."""
    spellings: Counter[str]

    @property
    def shown(self) -> str:
        """The most frequent spelling; of equals the first."""
        return max(self.spellings, key=self.spellings.__getitem__)

    @property
    def count(self) -> int:
        """How often it occurs in the text, in any spelling."""
        return self.spellings.total()


def written(text: str, rule: Rule) -> list[Written]:
    """The words of a text, each once, in the order in which they first occur."""
    found: dict[tuple[str, ...], Written] = {}
    for run, count in Counter(_RUN.findall(text)).items():
        for spelling, words in _read(run, rule):
            one = found.setdefault(words, Written(words, Counter()))
            one.spellings[spelling] += count
    return list(found.values())


def _read(run: str, rule: Rule) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Each word of a stretch without spaces, as it is written and as the rule reads it."""
    for stretch in _apart(run, rule, 0):
        words = tuple(sorted(rule(stretch)))
        if len(words) > 1 and _patterns()[-1].fullmatch(stretch):
            yield from ((word, (word,)) for word in words)  # a script without spaces
        elif words:
            yield _bare(stretch, words, rule), words


def _apart(stretch: str, rule: Rule, level: int) -> list[str]:
    """The stretch in parts that are read alone as they are read together, as small as may be."""
    if level == len(_patterns()) or stretch.isalpha():
        return [stretch]
    parts = [one.group() for one in _patterns()[level].finditer(stretch)]
    if len(parts) > 1:
        together = Counter(rule(stretch))
        if together != Counter(word for part in parts for word in rule(part)):
            return [stretch]
    return [smaller for part in parts for smaller in _apart(part, rule, level + 1)]


def _bare(stretch: str, words: tuple[str, ...], rule: Rule) -> str:
    """The stretch without the signs around it that are not read."""
    if stretch.isalnum():
        return stretch
    tried = (
        stretch.strip(_SIGNS),
        stretch.strip(_AROUND),
        stretch.rstrip(_SIGNS),
        stretch.lstrip(_SIGNS),
    )
    return next((one for one in tried if tuple(sorted(rule(one))) == words), stretch)


@cache
def _patterns() -> tuple[re.Pattern[str], ...]:
    """Where a stretch may come apart: at what joins no words, then at all signs."""
    import regex

    letters = r"\p{L}\p{M}\p{N}"
    return tuple(
        regex.compile(rf"[{inside}]+|[^{inside}]+") for inside in (rf"{letters}\-./_:&@+#", letters)
    )
