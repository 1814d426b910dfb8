"""The first known words of a text in their order, as numbers of the vocabulary.

The rule of words finds them in no order. So a text is cut at its spaces, where no word is, into
runs, and the rule reads each run by itself: most are one word, and of the others, such as
``AB-1234/5``, the order within the run is the rule's.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache

import numpy as np

from hashret.features.texts.written import read, runs_of
from hashret.sparse import SparseRows

#: How many different runs are remembered with their words: as many as a language's usual words.
_REMEMBERED = 1 << 16


class WordOrder:
    """Finds the first `longest` words of a text that stand in a vocabulary.

    `place` gives the number of each word of the vocabulary, from 1 on.
    """

    def __init__(
        self, longest: int, rule: Callable[[str], Iterable[str]], place: Mapping[str, int]
    ):
        self.longest = longest
        self._rule = rule
        self._place = place
        self._numbers = lru_cache(_REMEMBERED)(self._read)

    def _read(self, run: str) -> tuple[int, ...]:
        return tuple(filter(None, map(self._place.get, self._rule(run))))

    def first(self, pieces: Iterable[str]) -> list[int]:
        """The numbers of the first words of a text in pieces."""
        return self._first(runs_of(pieces), {})

    def without(
        self, pieces: Iterable[str], left_out: Sequence[tuple[str, ...]]
    ) -> list[list[int]]:
        """The same, of the text without each of some words, as `written` finds them.

        Where one is left out, later words move up, as in a text without it.
        """
        runs = list(runs_of(pieces))
        having: dict[tuple[str, ...], dict[str, tuple[int, ...]]] = {key: {} for key in left_out}
        for run in dict.fromkeys(runs):
            for _, words, count in read(run, self._rule):
                if words in having:
                    without = having[words].get(run, self._numbers(run))
                    having[words][run] = self._less(without, words, count)
        return [self._first(runs, having[key]) for key in left_out]

    def _less(self, numbers: tuple[int, ...], words: Iterable[str], times: int) -> tuple[int, ...]:
        """The numbers without so many of each of the words, the first ones."""
        gone = Counter(self._place.get(word, 0) for word in words for _ in range(times))
        kept = []
        for number in numbers:
            if gone[number] > 0:
                gone[number] -= 1
            else:
                kept.append(number)
        return tuple(kept)

    def _first(self, runs: Iterable[str], changed: Mapping[str, tuple[int, ...]]) -> list[int]:
        found: list[int] = []
        for run in runs:
            found += changed[run] if run in changed else self._numbers(run)
            if len(found) >= self.longest:
                break
        return found[: self.longest]

    def rows(self, texts: Sequence[Sequence[int]]) -> SparseRows:
        """The numbers of each text as a row, (n, longest), from the first column on."""
        lengths = np.array([len(numbers) for numbers in texts], np.int64)
        indptr = np.append(0, np.cumsum(lengths))
        values = np.fromiter((n for numbers in texts for n in numbers), np.float32, int(indptr[-1]))
        columns = np.arange(len(values)) - np.repeat(indptr[:-1], lengths)
        return SparseRows(indptr, columns.astype(np.int32), values, self.longest)
