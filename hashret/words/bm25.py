"""BM25: how well a text answers the words of a question.

The sum over the question's words, as often as each occurs in it, of
ln(1 + (N - df + .5) / (df + .5)) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length)).
Source: Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009,
section 3; the logarithm, which is never negative, is Lucene's. `tf` is how often the text has the
word (at most `postings.MOST_COUNTED`), `df` how many of the N texts have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hashret.rank import highest
from hashret.row_numbers import RowNumbers
from hashret.words.postings import Postings

# The usual values, which no corpus was asked for.
_K1, _B = 1.2, 0.75
#: Before a word that one text in so many has, it is asked whether all of its texts matter.
_COMMON = 64


class Part(NamedTuple):
    """The texts of one range of rows, beginning with `first_row`, and which of them don't count."""

    first_row: int
    postings: Postings
    removed: np.ndarray
    """(m,) offsets from `first_row`, increasing."""


class _Term(NamedTuple):
    """A word of the question: the most that it can add to a score, and where its postings are."""

    weight: float
    df: int
    slices: list[slice]


class Bm25:
    """Scores the texts of several parts, in the order of their rows; N, df, lengths are of all.

    `words` in a call says how often the question has each word, by its digest. Threads may share
    it.
    """

    def __init__(self, parts: Sequence[Part]):
        self._parts = parts
        lengths = [part.postings.lengths for part in parts]
        firsts = [part.first_row for part in parts]
        self._rows = RowNumbers.of_ranges(firsts, list(map(len, lengths)))
        self._starts = np.cumsum([0, *map(len, lengths)])  # where among the rows a part begins
        removed = [firsts[i] + part.removed.astype(np.int64) for i, part in enumerate(parts)]
        self._removed = self._rows.find(np.concatenate([np.empty(0, np.int64), *removed]))
        # a text without a word is none
        self._n_texts, total = 0, 0
        for part, of_part in zip(parts, lengths, strict=True):
            gone = of_part[part.removed]
            self._n_texts += int(np.count_nonzero(of_part)) - int(np.count_nonzero(gone))
            total += int(of_part.sum(dtype=np.int64)) - int(gone.sum(dtype=np.int64))
        self._mean_length = total / max(1, self._n_texts)

    def of_rows(self, words: Mapping[int, int], rows: np.ndarray) -> np.ndarray:
        """The scores of the texts of some rows, (n,) float64; 0 for a row without a text."""
        places = self._rows.find(rows)
        known = np.flatnonzero(places >= 0)
        scores = np.zeros(len(rows))
        scores[known] = self._added(np.zeros(len(known)), self._terms(words), places[known])
        return scores

    def rarities(self, words: Iterable[int]) -> dict[int, float]:
        """How rare the words are that a text has: the logarithm in their scores, 0 or more.

        It is less than ln 2, about .7, for a word that more than half of the texts have.
        """
        found = {}
        for word in words:
            df = sum(_n_live(part, part.postings.find(word)) for part in self._parts)
            if df:
                found[word] = self._rarity(df)
        return found

    def _rarity(self, df: int) -> float:
        return float(np.log(1.0 + (self._n_texts - df + 0.5) / (df + 0.5)))

    def best(self, words: Mapping[int, int], n: int, among: np.ndarray | None = None) -> np.ndarray:
        """The rows of the n highest scores, best first, int64; of equal ones the first rows.

        Fewer where fewer texts have a word. `among` are the rows that are looked at, increasing;
        None means all.

        The rarest words go first. Once no text without any of them can be among the best any more,
        the others are looked up for those that can (MaxScore: Turtle and Flood, "Query evaluation:
        strategies and optimizations", IPM 1995).
        """
        scores = np.zeros(len(self._rows))
        counts = self._counting(among)
        terms = self._terms(words)
        for i, term in enumerate(terms):
            if term.df * _COMMON > len(scores):
                found = self._candidates(scores, counts)
                left = sum(other.weight for other in terms[i:])
                least = np.partition(scores[found], -n)[-n] if len(found) >= n else 0.0
                if left < least:
                    found = found[scores[found] + left >= least]
                    of_found = self._added(scores[found], terms[i:], found)
                    break
            for part, where, start in zip(self._parts, term.slices, self._starts, strict=False):
                rows = part.postings.rows[where]
                of_part = scores[start : start + len(part.postings.lengths)]
                of_part[rows] += self._gain(term, part, rows, part.postings.counts[where])
        else:
            found = self._candidates(scores, counts)
            of_found = scores[found]
        first = highest(of_found, n)
        order = np.argsort(-of_found[first], kind="stable")[:n]
        return self._rows[found[first[order]]]

    def _terms(self, words: Mapping[int, int]) -> list[_Term]:
        """The words that a text has, the one first that can add most."""
        terms = []
        for word, times in words.items():
            slices = [part.postings.find(word) for part in self._parts]
            df = sum(map(_n_live, self._parts, slices))
            if df:
                terms.append(_Term(times * self._rarity(df) * (_K1 + 1.0), df, slices))
        return sorted(terms, key=lambda term: -term.weight)

    def _gain(self, term: _Term, part: Part, rows: np.ndarray, counts: np.ndarray) -> np.ndarray:
        """What a word adds to the scores of texts of a part that have it so often."""
        norms = part.postings.lengths[rows] * (_K1 * _B / self._mean_length) + _K1 * (1.0 - _B)
        often = counts.astype(np.float64)
        return np.asarray(term.weight * often / (often + norms))

    def _added(self, scores: np.ndarray, terms: list[_Term], places: np.ndarray) -> np.ndarray:
        """The scores of the texts at some places with what these words add to them."""
        of_part = np.searchsorted(self._starts, places, side="right") - 1
        for number, part in enumerate(self._parts):
            chosen = np.flatnonzero(of_part == number)
            offsets = places[chosen] - self._starts[number]
            for term in terms if len(chosen) else ():
                where = term.slices[number]
                having = part.postings.rows[where]
                at = np.searchsorted(having, offsets.astype(having.dtype))
                has = at < len(having)
                has[has] = having[at[has]] == offsets[has]
                counts = part.postings.counts[where][at[has]]
                scores[chosen[has]] += self._gain(term, part, offsets[has], counts)
        return scores

    def _counting(self, among: np.ndarray | None) -> np.ndarray | None:
        """Which texts count for an answer, (n,) bool; None where all of them do."""
        if among is None and not len(self._removed):
            return None
        counts = np.full(len(self._rows), among is None)
        if among is not None:
            places = self._rows.find(among)
            counts[places[places >= 0]] = True
        counts[self._removed] = False
        return counts

    def _candidates(self, scores: np.ndarray, counts: np.ndarray | None) -> np.ndarray:
        """The places of the texts that have a score, increasing, (n,) int64."""
        return np.flatnonzero(scores if counts is None else counts & (scores > 0.0))


def _n_live(part: Part, where: slice) -> int:
    """The number of texts that count among these postings."""
    having = part.postings.rows[where]
    at = np.searchsorted(having, part.removed)
    inside = at < len(having)
    return len(having) - int(np.count_nonzero(having[at[inside]] == part.removed[inside]))
