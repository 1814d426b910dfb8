"""BM25: how well a text answers the words of a question.

The sum over the question's words, as often as each occurs in it, of
ln(1 + (N - df + .5) / (df + .5)) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length)).
Source: Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009,
section 3; the logarithm, which is never negative, is Lucene's. `tf` is how often the text has the
word (at most `postings.MOST_COUNTED`), `df` how many of the N texts have it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hashret.rank import highest
from hashret.row_numbers import RowNumbers
from hashret.words.postings import Postings

# The usual values, which no corpus was asked for.
_K1, _B = 1.2, 0.75
#: So many postings are added up at once, in 9 ns each. Before each word beyond them it is asked
#: whether all of its texts matter.
_AT_ONCE = 1 << 18


class Part(NamedTuple):
    """The texts of one range of rows, beginning with `first_row`, and which of them don't count."""

    first_row: int
    postings: Postings
    removed: np.ndarray
    """(m,) offsets from `first_row`, increasing."""


class _Term(NamedTuple):
    """A word of the question: the most that it can add to a score, and where its postings are.

    Those in part i are ``starts[i]`` to ``stops[i]``.
    """

    weight: float
    starts: list[int]
    stops: list[int]


class Bm25:
    """The texts of several parts, in the order of their rows; N, df and lengths are of all.

    Threads may share it.
    """

    def __init__(self, parts: Sequence[Part]):
        self.parts = parts
        lengths = [part.postings.lengths for part in parts]
        firsts = [part.first_row for part in parts]
        self.rows = RowNumbers.of_ranges(firsts, list(map(len, lengths)))
        """The rows of all texts. The place of a text is its position among them."""
        self.starts = np.cumsum([0, *map(len, lengths)])
        """The place at which each part begins, and where the last one ends."""
        removed = [firsts[i] + part.removed.astype(np.int64) for i, part in enumerate(parts)]
        self.removed = self.rows.find(np.concatenate([np.empty(0, np.int64), *removed]))
        """The places of the texts that don't count."""
        of_texts = np.concatenate([np.empty(0, np.uint32), *lengths])
        gone = of_texts[self.removed]
        # a text without a word is none
        self._n_texts = int(np.count_nonzero(of_texts)) - int(np.count_nonzero(gone))
        total = int(of_texts.sum(dtype=np.int64)) - int(gone.sum(dtype=np.int64))
        mean_length = total / max(1, self._n_texts)
        # where no text counts, nothing is found
        self.norms = of_texts * (_K1 * _B / (mean_length or 1.0)) + _K1 * (1.0 - _B)
        """What is added to tf below the line of the formula, (n,) float64, by place."""

    def scores(self, words: Mapping[int, int]) -> Scores:
        """The scores for a question; `words` says how often it has each word, by its digest."""
        starts, stops, df = self._found(words)
        rarities = self._rarities(df)
        terms = [
            _Term(times * rarities[i] * (_K1 + 1.0), starts[i].tolist(), stops[i].tolist())
            for i, times in enumerate(words.values())
            if df[i]
        ]
        return Scores(self, sorted(terms, key=lambda term: -term.weight))

    def rarities(self, words: Iterable[int]) -> dict[int, float]:
        """How rare the words are that a text has: the logarithm in their scores, 0 or more.

        It is less than ln 2, about .7, for a word that more than half of the texts have.
        """
        wanted = list(words)
        _, _, df = self._found(wanted)
        rarities = self._rarities(df)
        return {word: rarities[i] for i, word in enumerate(wanted) if df[i]}

    def _rarities(self, df: np.ndarray) -> list[float]:
        rarities: list[float] = np.log(1.0 + (self._n_texts - df + 0.5) / (df + 0.5)).tolist()
        return rarities

    def _found(self, words: Iterable[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the postings of m words begin and end in each of n parts, and in how many texts.

        (m, n) twice, and (m,), int64.
        """
        wanted = np.array(list(words), np.uint64)
        starts = np.empty((len(wanted), len(self.parts)), np.int64)
        stops = np.empty_like(starts)
        for i, part in enumerate(self.parts):
            starts[:, i], stops[:, i] = part.postings.find(wanted)
        df = (stops - starts).sum(axis=1)
        for i, part in enumerate(self.parts):
            for word in range(len(wanted) if len(part.removed) else 0):
                having = part.postings.rows[starts[word, i] : stops[word, i]]
                df[word] -= np.count_nonzero(_has(having, part.removed)[1])
        return starts, stops, df


class Scores:
    """The scores of texts for one question. One thread may ask at a time."""

    def __init__(self, bm25: Bm25, terms: list[_Term]):
        """`terms` are the words that a text has, the one that can add most first."""
        self._bm25 = bm25
        self._terms = terms
        self._all: np.ndarray | None = None  # the scores by place, once all are known

    def of_rows(self, rows: np.ndarray) -> np.ndarray:
        """The scores of the texts of some rows, (n,) float64; 0 for a row without a text."""
        places = self._bm25.rows.find(rows)
        known = np.flatnonzero(places >= 0)
        scores, places = np.zeros(len(rows)), places[known]
        if self._all is not None:
            scores[known] = self._all[places]
        else:
            scores[known] = self._with(self._terms, scores[known], places)
        return scores

    def best(self, n: int, among: np.ndarray | None = None) -> np.ndarray:
        """The rows of the n highest scores, best first, int64; of equal ones the first rows.

        Fewer where fewer texts have a word. `among` are the rows that are looked at, increasing;
        None means all.

        The words that can add most go first. Once no text without any of them can be among the best
        any more, the others are looked up for those that can (MaxScore: Turtle and Flood, "Query
        evaluation: strategies and optimizations", IPM 1995).
        """
        terms = self._terms
        ends = np.cumsum([sum(term.stops) - sum(term.starts) for term in terms])
        at = int(np.searchsorted(ends, _AT_ONCE))
        scores = self._sums(terms[:at])
        for i in range(at, len(terms)):
            left = sum(term.weight for term in terms[i:])
            counting = self._counting(scores, among)
            least = counting[highest(counting, n)].min() if len(counting) >= n else 0.0
            if left < least:
                places = np.flatnonzero(counting + left >= least)
                return self._first(n, places, self._with(terms[i:], counting[places], places))
            scores += self._sums(terms[i : i + 1])
        self._all = scores
        counting = self._counting(scores, among)
        places = highest(counting, n)
        return self._first(n, places, counting[places])

    def _first(self, n: int, places: np.ndarray, scores: np.ndarray) -> np.ndarray:
        """The rows of the n highest of these scores, as `best` has them."""
        found = highest(scores, n)
        found = found[scores[found] > 0.0]
        order = np.argsort(-scores[found], kind="stable")[:n]
        return self._bm25.rows[places[found[order]]]

    def _counting(self, scores: np.ndarray, among: np.ndarray | None) -> np.ndarray:
        """The scores, but 0 of texts that don't count or are not among these rows."""
        bm25, counting = self._bm25, scores
        if among is not None:
            places = bm25.rows.find(among)
            places = places[places >= 0]
            counting = np.zeros_like(scores)
            counting[places] = scores[places]
        if len(bm25.removed):
            counting = counting.copy()
            counting[bm25.removed] = 0.0
        return counting

    def _sums(self, terms: list[_Term]) -> np.ndarray:
        """What these words add to the score of every text, (n,) float64, by place."""
        bm25 = self._bm25
        found = [
            (term.weight, first, part.postings.rows[start:stop], part.postings.counts[start:stop])
            for term in terms
            for part, first, start, stop in self._in_parts(term)
        ]
        if not found:
            return np.zeros(len(bm25.rows))
        weights, firsts, rows, counts = zip(*found, strict=True)
        sizes = list(map(len, rows))
        places = np.concatenate(rows, dtype=np.intp, casting="same_kind")
        if len(bm25.parts) > 1:
            places += np.repeat(firsts, sizes)
        gains = _gains(np.repeat(weights, sizes), np.concatenate(counts), bm25.norms[places])
        return np.bincount(places, gains, minlength=len(bm25.rows))

    def _with(self, terms: list[_Term], scores: np.ndarray, places: np.ndarray) -> np.ndarray:
        """The scores of the texts at some places with what these words add to them.

        In the order of the words, so that sums are those of `_sums` to the last bit.
        """
        bm25 = self._bm25
        of_part = np.searchsorted(bm25.starts, places, side="right") - 1
        found, counts, weights = [np.arange(len(places))], [], []
        for number, part in enumerate(bm25.parts):
            chosen = np.flatnonzero(of_part == number)
            offsets = (places[chosen] - bm25.starts[number]).astype(np.uint32)
            for term in terms if len(chosen) else ():
                start, stop = term.starts[number], term.stops[number]
                at, has = _has(part.postings.rows[start:stop], offsets)
                found.append(chosen[has])
                counts.append(part.postings.counts[start:stop][at[has]])
                weights.append(np.full(len(found[-1]), term.weight))
        if not counts:
            return scores
        every = np.concatenate(found)
        norms = bm25.norms[places[every[len(places) :]]]
        gains = _gains(np.concatenate(weights), np.concatenate(counts), norms)
        return np.bincount(every, np.concatenate([scores, gains]))

    def _in_parts(self, term: _Term) -> Iterator[tuple[Part, int, int, int]]:
        """Each part that has the word, the place where it begins, and where its postings are."""
        bm25 = self._bm25
        for part, first, start, stop in zip(
            bm25.parts, bm25.starts.tolist(), term.starts, term.stops, strict=False
        ):
            if stop > start:
                yield part, first, start, stop


def _gains(weights: np.ndarray, counts: np.ndarray, norms: np.ndarray) -> np.ndarray:
    """What words add to the scores of texts that have them so often."""
    often = counts.astype(np.float64)
    weights *= often
    often += norms
    weights /= often
    return weights


def _has(having: np.ndarray, wanted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Where each wanted number stands among increasing ones, and whether it is one of them."""
    if not len(having):
        return np.zeros(len(wanted), np.intp), np.zeros(len(wanted), bool)
    at = np.searchsorted(having, wanted).clip(max=len(having) - 1)
    return at, having[at] == wanted
