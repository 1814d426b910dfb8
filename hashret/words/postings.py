"""An inverted index: for each word, the texts that have it and how often.

Words are known by a 64-bit digest, so that an index is five arrays of numbers and nothing has to be
parsed. Of two words among a million the digests agree with a probability of 3 in 100 million.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self

import numpy as np

from hashret.errors import DamagedError

#: A word counts at most so often in a text, so that a count takes a byte. BM25 saturates long
#: before that, but in a text of book length.
MOST_COUNTED = 255
#: Words that are sorted together while an index is built: about 50 MB.
_TOGETHER = 1 << 20


def digest(word: str) -> int:
    """The 64-bit number that stands for a word."""
    content = word.encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(content, digest_size=8).digest(), "little")


def counted(words: Iterable[str]) -> dict[int, int]:
    """How often each of the words occurs, by its digest, in the order of their first occurrence."""
    return {digest(word): count for word, count in Counter(words).items()}


@dataclass(frozen=True, slots=True, eq=False)
class Postings:
    """The words of n texts: word i has the slice ``starts[i]`` to ``starts[i + 1]`` of the others.

    `words` (n_words,) uint64, increasing digests; `starts` (n_words + 1,) uint32; `rows`
    (n_postings,) uint32, increasing within a word: the texts that have it; `counts` (n_postings,)
    uint8, how often, at most `MOST_COUNTED`; `lengths` (n,) uint32, the number of words of each
    text, with repetitions: 0 for none, and where there is no text.
    """

    words: np.ndarray
    starts: np.ndarray
    rows: np.ndarray
    counts: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, texts: Iterable[Iterable[str]]) -> Self:
        """The index of texts, each given as its words with repetitions."""
        numbers = _Numbers()
        number_of = numbers.__getitem__
        lengths: list[int] = []
        found: list[int] = []
        parts: list[tuple[np.ndarray, np.ndarray]] = []
        first = 0
        for words in texts:
            before = len(found)
            found.extend(map(number_of, words))
            lengths.append(len(found) - before)
            if len(found) >= _TOGETHER:
                parts.append(_sorted(found, lengths[first:], first))
                found, first = [], len(lengths)
        parts.append(_sorted(found, lengths[first:], first))
        keys, counts = (np.concatenate(column) for column in zip(*parts, strict=True))
        digests = np.fromiter(map(digest, numbers), np.uint64, len(numbers))
        order = np.argsort(digests)
        place = np.empty(len(order), np.int64)
        place[order] = np.arange(len(order))
        of_words = place[(keys >> 32).astype(np.int64)]
        # parts follow one another by their rows, which are sorted within a word in each of them
        by_word = np.argsort(of_words, kind="stable")
        starts = np.searchsorted(of_words[by_word], np.arange(len(order) + 1))
        return cls(
            digests[order],
            starts.astype(np.uint32),
            keys[by_word].astype(np.uint32),  # the lower half of a key is the row
            counts[by_word],
            np.array(lengths, np.uint32),
        )

    def find(self, words: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where the `rows` and `counts` of words begin and end, by their digests, (m,) int64 each.

        Those of a word that no text has end where they begin.
        """
        at = np.searchsorted(self.words, words).clip(max=max(0, len(self.words) - 1))
        starts = self.starts[at].astype(np.int64)
        if not len(self.words):
            return starts, starts
        return starts, np.where(self.words[at] == words, self.starts[at + 1], starts)

    def tensors(self) -> dict[str, np.ndarray]:
        """The five arrays, by their names."""
        return {name: getattr(self, name) for name in self.__slots__}

    @classmethod
    def from_tensors(cls, tensors: Mapping[str, np.ndarray], n: int) -> Self:
        """The index of n texts that `tensors` gave. Raises `DamagedError` if it can't be one."""
        try:
            made = cls(*(tensors[name] for name in cls.__slots__))
        except KeyError as error:
            raise _damaged(f"no array {error}") from error
        made._require_sound(n)
        return made

    def _require_sound(self, n: int) -> None:
        n_words, n_postings = len(self.words), len(self.rows)
        types = [array.dtype.str[1:] for array in self.tensors().values()]
        if types != ["u8", "u4", "u4", "u1", "u4"]:
            raise _damaged(f"arrays of {types}")
        lengths = len(self.starts), len(self.counts), len(self.lengths)
        if lengths != (n_words + 1, n_postings, n):
            raise _damaged(f"arrays of {lengths} numbers")
        starts = self.starts
        if starts[0] != 0 or starts[-1] != n_postings or (starts[1:] < starts[:-1]).any():
            raise _damaged("slices that do not follow one another")
        if (self.words[1:] <= self.words[:-1]).any():
            raise _damaged("words in no order")
        if n_postings and (int(self.rows.max()) >= n or not self.counts.all()):
            raise _damaged("texts that are not there, or without the word")
        increasing = np.ones(n_postings + 1, bool)
        increasing[1:-1] = self.rows[1:] > self.rows[:-1]
        increasing[starts] = True
        if not increasing.all():
            raise _damaged("texts in no order")


class _Numbers(dict[str, int]):
    """A number for each word, in the order in which they are first asked for."""

    def __missing__(self, word: str) -> int:
        number = self[word] = len(self)
        return number


def _sorted(found: list[int], lengths: list[int], first: int) -> tuple[np.ndarray, np.ndarray]:
    """The keys (word number << 32 | row) of texts from row `first` on, sorted, and their counts."""
    keys = np.array(found, np.uint64) << np.uint64(32)
    keys |= np.repeat(np.arange(first, first + len(lengths), dtype=np.uint64), lengths)
    keys.sort()
    is_first = np.ones(len(keys), bool)
    is_first[1:] = keys[1:] != keys[:-1]
    at = np.flatnonzero(is_first)
    counts = np.diff(at, append=len(keys)).clip(max=MOST_COUNTED)
    return keys[at], counts.astype(np.uint8)


def _damaged(got: str) -> DamagedError:
    return DamagedError(f"words: expected an inverted index, got {got}; it is built again")
