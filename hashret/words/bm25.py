"""BM25: how well a text answers the words of a question.

The sum over the question's words, as often as each occurs in it, of
ln(1 + (N - df + .5) / (df + .5)) * tf * (k1 + 1) / (tf + k1 * (1 - b + b * length / mean length)).
Source: Robertson and Zaragoza, "The probabilistic relevance framework: BM25 and beyond", 2009,
section 3; the logarithm, which is never negative, is Lucene's. `tf` is how often the text has the
word (at most `postings.MOST_COUNTED`), `df` how many of the N texts have it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from hashret.rank import highest
from hashret.row_numbers import RowNumbers
from hashret.words.postings import Postings

# The usual values, which no corpus was asked for.
_K1, _B = 1.2, 0.75


class Part(NamedTuple):
    """The texts of one range of rows, beginning with `first_row`, and which of them count."""

    first_row: int
    postings: Postings
    live: np.ndarray | None
    """(n,) bool; None where all of them do."""


class Bm25:
    """Scores the texts of several parts, in the order of their rows; N, df, lengths are of all.

    `rows` are the rows of all texts, also of those that do not count, whose score is 0. Threads may
    share it.
    """

    def __init__(self, parts: Sequence[Part]):
        lengths = [part.postings.lengths for part in parts]
        firsts = [part.first_row for part in parts]
        self.rows = RowNumbers.of_ranges(firsts, list(map(len, lengths)))
        self._parts = parts
        live = [
            n if part.live is None else n[part.live] for part, n in zip(parts, lengths, strict=True)
        ]
        # a text without a word is none
        self._n_texts = sum(int(np.count_nonzero(one)) for one in live)
        total = sum(int(one.sum(dtype=np.int64)) for one in live)
        self._mean_length = total / max(1, self._n_texts)

    def scores(self, words: Mapping[int, int]) -> np.ndarray:
        """The score of each text, (n,) float64, row for row with `rows`; 0 without any word.

        `words` says how often the question has each word, by its digest.
        """
        scores = np.zeros(len(self.rows))
        ends = np.cumsum([len(part.postings.lengths) for part in self._parts])
        of_parts = np.split(scores, ends[:-1]) if len(ends) else []  # views
        for word, times in words.items():
            slices = [part.postings.find(word) for part in self._parts]
            df = sum(map(_n_live, self._parts, slices))
            if not df:
                continue
            rarity = np.log(1.0 + (self._n_texts - df + 0.5) / (df + 0.5))
            for part, where, of_part in zip(self._parts, slices, of_parts, strict=True):
                self._add(part.postings, where, times * rarity * (_K1 + 1.0), of_part)
        for part, of_part in zip(self._parts, of_parts, strict=True):
            if part.live is not None:
                of_part[~part.live] = 0.0
        return scores

    def _add(self, postings: Postings, where: slice, weight: float, scores: np.ndarray) -> None:
        rows, counts = postings.rows[where], postings.counts[where].astype(np.float64)
        norms = postings.lengths[rows] * (_K1 * _B / self._mean_length) + _K1 * (1.0 - _B)
        scores[rows] += weight * counts / (counts + norms)

    def of_rows(self, scores: np.ndarray, rows: np.ndarray) -> np.ndarray:
        """Those of the `scores` that are of these rows; 0 for a row without a text."""
        places = self.rows.find(rows)
        found = np.zeros(len(rows))
        found[places >= 0] = scores[places[places >= 0]]
        return found

    def best(self, scores: np.ndarray, n: int, among: np.ndarray | None = None) -> np.ndarray:
        """The rows of the n highest of `scores`, best first, int64; of equal ones the first rows.

        Fewer where fewer are above 0. `among` are the rows that are looked at, increasing; None
        means all.
        """
        places = np.arange(len(scores)) if among is None else self.rows.find(among)
        places = places[places >= 0]
        highest_ones = places[highest(scores[places], n)]
        found = highest_ones[scores[highest_ones] > 0.0]
        return self.rows[found[np.argsort(-scores[found], kind="stable")[:n]]]


def _n_live(part: Part, where: slice) -> int:
    """The number of texts that count among these postings."""
    if part.live is None:
        return where.stop - where.start
    return int(np.count_nonzero(part.live[part.postings.rows[where]]))
