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


def written(
    pieces: Iterable[str], rule: Rule, is_known: Callable[[str], bool] = bool
) -> list[Written]:
    """The words of a text in pieces, each once, in the order in which they first occur.

    Only those in which a word is read that `is_known`: a large text of encoded data has few.
    """
    runs = Counter(runs_of(pieces))
    found: dict[tuple[str, ...], Written] = {}
    for run, n_runs in runs.items():
        for spelling, words, count in read(run, rule):
            if not any(map(is_known, words)):
                continue
            one = found.setdefault(words, Written(words, Counter()))
            one.spellings[spelling] += n_runs * count
    return list(found.values())


def runs_of(pieces: Iterable[str]) -> Iterator[str]:
    """Yield what stands between spaces in a text in pieces, in its order."""
    for piece in pieces:
        yield from _RUN.findall(piece)


def read(run: str, rule: Rule) -> Iterator[tuple[str, tuple[str, ...], int]]:
    """Yield the words written in a run without spaces: spelling, `Written.words`, and how often."""
    for stretch, count in _apart(run, rule, 0).items():
        for spelling, words in _read(stretch, rule):
            yield spelling, words, count


def _apart(stretch: str, rule: Rule, level: int) -> Counter[str]:
    """The parts, as small as may be, that are read alone as they are read in the stretch.

    The stretch has no spaces; of each part how often it is there.
    """
    if level == len(_patterns()) or stretch.isalpha():
        return Counter([stretch])
    parts = Counter(_patterns()[level].findall(stretch))
    alone: Counter[str] = Counter()
    for part, count in parts.items():
        for word in rule(part):
            alone[word] += count
    if alone != Counter(rule(stretch)):
        return Counter([stretch])
    found: Counter[str] = Counter()
    for part, count in parts.items():
        for smaller, n in _apart(part, rule, level + 1).items():
            found[smaller] += count * n
    return found


def _read(stretch: str, rule: Rule) -> Iterator[tuple[str, tuple[str, ...]]]:
    """The word of a stretch, as it is written and as the rule reads it; several without spaces."""
    read = list(rule(stretch))
    if len(read) > 1 and _patterns()[-1].fullmatch(stretch):
        yield from ((word, (word,)) for word in read)  # a script without spaces
    elif read:
        words = tuple(sorted(read))
        yield _bare(stretch, words, rule), words


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
