"""Text as a bag of words: sublinear tf-idf over the corpus's own vocabulary, unit length.

Where the spec says so, the first words of a text in their order stand behind the bag
(`word_order`).

Weights are (1 + ln tf) (ln((1 + n) / (1 + df)) + 1), rows scaled to unit Euclidean length, as
scikit-learn's ``TfidfVectorizer(sublinear_tf=True)``. Source of the weighting: Salton and
Buckley, "Term-weighting approaches in automatic text retrieval", IPM 1988, section 2.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property, partial
from typing import TYPE_CHECKING, Self

import numpy as np

from hashret.errors import DamagedError, EmptyCorpusError, PayloadError
from hashret.features.base import Hasher
from hashret.features.left_out import LeftOut, Word, heaviest
from hashret.features.texts import tokens, tokens_former
from hashret.features.texts.word_order import WordOrder
from hashret.features.texts.written import written
from hashret.items import Payload
from hashret.rank import similarities
from hashret.sparse import (
    Features,
    SparseRows,
    columns_between,
    dense_rows,
    require_sparse,
    side_by_side,
)
from hashret.specs import TextSpec
from hashret.specs.ordering import Ordering
from hashret.unicode_text import preview_of

if TYPE_CHECKING:
    from hashret.told import ToldWord

#: The longest text, in bytes of UTF-8: as the longest document. Of no script do so many bytes take
#: more than the 20 s that an item has; they grow in proportion, also for a query.
MAX_BYTES = 16 << 20
# Weights are rounded to integers of this grid, so that a row's squared length is an exact integer
# sum and the same text has the same features whatever else is in its batch.
_GRID = 1 << 16
# Of fewer documents than this a share says little: a term may be in as many as that share of these,
# so that a corpus that grows past it loses no terms.
_FEW_DOCUMENTS = 100
#: Number of characters of a text that are processed at once: folded, they take about 10 MB at most.
PIECE = 1 << 16
# White space, and the signs that separate sentences or syllables in scripts that use none.
_SEPARATORS = " \n\t\u3000。、，་"


def _rule(spec: TextSpec) -> tuple[Callable[[str], list[str]], Callable[[str], bool]]:
    """The words of a text, and which of them are terms, by the rule of a spec."""
    if spec.rule == 1:
        return tokens_former.words, tokens_former.is_term
    return partial(tokens.words, fold_accents=spec.fold_accents), tokens.is_term


class TextFeaturizer:
    """A vocabulary with the weight of each term; applying it needs only NumPy."""

    def __init__(self, spec: TextSpec, vocabulary: Sequence[str], idf: np.ndarray):
        self.spec = spec
        self._vocabulary = vocabulary
        # counted from 1, so that `filter` drops the unknown words without a line of Python each
        self._words, self._is_term = _rule(spec)
        self._place = {term: i for i, term in enumerate(vocabulary, 1) if self._is_term(term)}
        self._idf = idf

    @cached_property
    def _order(self) -> WordOrder:
        return WordOrder(self.spec.in_order, self.all_words, self._place)

    @property
    def n_features(self) -> int:
        """The size of the vocabulary, and as many as there are words in order."""
        return len(self._vocabulary) + self.spec.in_order

    @property
    def ordering(self) -> Ordering | None:
        """Where words are in order; None if a text is a bag."""
        n_words = len(self._vocabulary)
        return Ordering(n_tokens=n_words, first=n_words) if self.spec.in_order else None

    @property
    def vocabulary(self) -> Sequence[str]:
        """The terms, sorted; a term's position is its column."""
        return self._vocabulary

    @classmethod
    def suggest_spec(cls, payloads: Sequence[Payload]) -> TextSpec:
        """The default vocabulary; the texts say nothing about its size."""
        return TextSpec()

    @classmethod
    def prepare(cls, payload: Payload, spec: TextSpec) -> str:
        """The text itself. Raises `PayloadError` for what is no text, empty or too long."""
        if not isinstance(payload, str):
            raise PayloadError(
                f"text: expected a str, got {type(payload).__name__}; pass the text itself"
            )
        if not payload or payload.isspace():
            raise PayloadError(
                "text: expected at least one word, got an empty text; leave it out", "empty-text"
            )
        # no character has more than 4 bytes
        if 4 * len(payload) > MAX_BYTES:
            size = len(payload.encode("utf-8", "surrogatepass"))
            if size > MAX_BYTES:
                raise PayloadError(
                    f"text: expected at most {MAX_BYTES:,} bytes of UTF-8, got {size:,}; split it",
                    "too-large",
                )
        return payload

    @classmethod
    def fit(cls, prepared: Iterable[str], spec: TextSpec) -> Self:
        """Choose the vocabulary by document frequency, ties by term.

        Raises `EmptyCorpusError` if no text has a term.
        """
        documents: Counter[str] = Counter()
        n = 0
        words, is_term = _rule(spec)
        for text in prepared:
            found = {word for piece in pieces(text) for word in words(piece)}
            documents.update(filter(is_term, found))
            n += 1
        most = spec.max_share * max(n, _FEW_DOCUMENTS)
        usable = [t for t, count in documents.items() if spec.min_documents <= count <= most]
        usable = usable or list(documents)  # all texts are the same, so no term is rare enough
        if not usable:
            raise EmptyCorpusError(
                f"text: expected words, got {n} texts without a single one; "
                "check that the sources are texts"
            )
        usable.sort(key=lambda term: (-documents[term], term))
        vocabulary = sorted(usable[: spec.vocabulary_size])
        counts = np.array([documents[term] for term in vocabulary], np.float64)
        return cls(spec, vocabulary, np.log((1.0 + n) / (1.0 + counts)) + 1.0)

    def transform(self, prepared: Sequence[str]) -> SparseRows:
        """The tf-idf rows of n texts; a text without a known term has an empty row.

        Behind them, where the spec says so, the numbers of the first words in their order.
        """
        bag = self._weighted(len(prepared), *self.counts(prepared))
        if not self.spec.in_order:
            return bag
        return side_by_side(
            bag, self._order.rows([self._order.first(pieces(text)) for text in prepared])
        )

    def bag(self, features: Features) -> SparseRows:
        """The bags of words alone, (n, size of the vocabulary), of which texts are compared."""
        rows = require_sparse(features, "texts")
        n_words = len(self._vocabulary)
        return rows if rows.n_features == n_words else columns_between(rows, 0, n_words)

    def _weighted(
        self, n: int, rows: np.ndarray, columns: np.ndarray, counts: np.ndarray
    ) -> SparseRows:
        """The tf-idf rows of n texts with these `counts`."""
        weights = np.rint((1.0 + np.log(counts)) * self._idf[columns] * _GRID)
        indptr = np.zeros(n + 1, np.int64)
        np.cumsum(np.bincount(rows, minlength=n), out=indptr[1:])
        squares = np.zeros(len(weights) + 1, np.int64)
        np.cumsum(weights.astype(np.int64) ** 2, out=squares[1:])
        lengths = np.sqrt((squares[indptr[1:]] - squares[indptr[:-1]]).astype(np.float64))
        values = (weights / lengths[rows]).astype(np.float32)
        return SparseRows(indptr, columns.astype(np.int32), values, len(self._vocabulary))

    def counts(self, prepared: Sequence[str]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Where the known terms of n texts stand and how often: rows, columns, counts, int64.

        By row, then by column; each pair of them once, with a count of at least 1.
        """
        place, words = self._place.get, self._words
        found: list[int] = []
        ends = np.zeros(len(prepared) + 1, np.int64)
        for row, text in enumerate(prepared):
            for piece in pieces(text):
                found.extend(filter(None, map(place, words(piece))))
            ends[row + 1] = len(found)
        width = len(self._vocabulary) + 1
        keys = np.fromiter(found, np.int64, len(found))
        keys += np.repeat(np.arange(len(prepared)) * width, ends[1:] - ends[:-1])
        keys.sort()
        is_first = np.ones(len(keys) + 1, bool)  # of its kind; one more ends the last kind
        np.not_equal(keys[1:], keys[:-1], out=is_first[1:-1])
        firsts = np.flatnonzero(is_first)
        counts = firsts[1:] - firsts[:-1]
        rows, places = np.divmod(keys[firsts[:-1]], width)
        return rows, places - 1, counts

    def left_out(self, prepared: str | None, features: Features, most: int) -> LeftOut | None:
        """The text without each of its known words, in all places where it stands.

        Words are as they are written in the text (`features.written`); None without the text.
        """
        if prepared is None:
            return None
        found = written(pieces(prepared), self.all_words, self._place.__contains__)
        _, columns, counts = self.counts([prepared])
        at = {column: i for i, column in enumerate(columns.tolist())}
        pairs = [
            (row, place, one.count)
            for row, one in enumerate(found)
            for place in (at.get(self._place.get(word, 0) - 1) for word in one.words)
            if place is not None
        ]
        rows, places, taken = np.array(pairs, np.int64).reshape(-1, 3).T
        heard = np.zeros(len(found))  # how much of the features, squared, each word is behind
        np.add.at(heard, rows, np.square(dense_rows(features)[0, columns[places]]))
        n_known = int(np.count_nonzero(heard))
        chosen = heaviest(heard, min(most, n_known))
        which = np.full(len(found), -1)
        which[chosen] = np.arange(len(chosen))
        told = which[rows] >= 0
        left = np.repeat(counts[None], len(chosen), axis=0)  # of each word, without one of them
        np.subtract.at(left, (which[rows[told]], places[told]), taken[told])
        of, still = (left > 0).nonzero()
        bags = self._weighted(len(chosen), of, columns[still], left[of, still])
        keys = [found[i].words for i in chosen.tolist()]
        if self.spec.in_order:
            bags = side_by_side(bags, self._order.rows(self._order.without(pieces(prepared), keys)))
        return LeftOut(
            [Word(found[i].shown) for i in chosen.tolist()],
            keys,
            np.ones(len(chosen)),
            bags,
            n_known,
        )

    def all_words(self, text: str) -> Iterator[str]:
        """Yield the words of a text with repetitions, also those that the vocabulary lacks."""
        for piece in pieces(text):
            yield from filter(self._is_term, self._words(piece))

    def searched_words(self, text: str) -> Iterator[str]:
        """Yield the words by which a text is searched for: all, and each ideograph by itself.

        Chinese says the same in words that share an ideograph, and no pair. Source: Lucene's
        CJKBigramFilter with `outputUnigrams`.
        """
        yield from self.all_words(text)
        for piece in pieces(text):
            yield from tokens.ideographs(piece, self.spec.fold_accents)

    def weights(self, words: Iterable[str]) -> dict[str, float]:
        """The idf weight of each of the words that the vocabulary has."""
        places = {word: self._place[word] for word in words if word in self._place}
        return {word: float(self._idf[place - 1]) for word, place in places.items()}

    def compared(self, features: Features) -> Features:
        """The bags, which are the features but for words in order."""
        return self.bag(features)

    def restored(self, decoded: np.ndarray, usual: np.ndarray) -> list[list[ToldWord]]:
        """The most telling words of each row of shares, (n, n_features)."""
        from hashret.told import telling_words  # a query needs none of it

        return [telling_words(shares, usual, self._vocabulary) for shares in decoded]

    def similarities(self, query: Features, features: Features) -> np.ndarray:
        """The cosine of the bags; see `rank.similarities`."""
        return similarities(self.bag(query), self.bag(features))

    def tensors(self) -> dict[str, np.ndarray]:
        """The vocabulary as UTF-8 bytes, a line feed between terms, and the idf weights."""
        joined = "\n".join(self._vocabulary).encode()
        return {"vocabulary": np.frombuffer(joined, np.uint8), "idf": self._idf}

    @classmethod
    def from_tensors(cls, spec: TextSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a fitted featurizer. Raises `DamagedError` if the arrays don't agree."""
        vocabulary = tensors["vocabulary"].tobytes().decode().split("\n")
        idf = np.asarray(tensors["idf"], np.float64)
        if idf.shape != (len(vocabulary),):
            raise DamagedError(
                f"model: expected an idf weight for each of {len(vocabulary)} terms, "
                f"got {idf.shape}; train it again"
            )
        return cls(spec, vocabulary, idf)

    @classmethod
    def preview(cls, payload: Payload) -> str:
        """The first 200 characters, white space collapsed."""
        return preview_of(str(payload))

    @classmethod
    def digest(cls, payload: Payload, hasher: Hasher) -> None:
        """Hash the text as UTF-8."""
        if not isinstance(payload, str):
            raise PayloadError(
                f"text: expected a str, got {type(payload).__name__}; pass the text itself"
            )
        hasher.update(payload.encode("utf-8", "surrogatepass"))


def pieces(text: str, size: int | None = None) -> Iterator[str]:
    """Yield the text in pieces of at most `size` characters, or `PIECE`, cut between words.

    Only a run of characters without a separator that is longer than a piece is cut elsewhere.
    """
    start, size = 0, size or PIECE
    while len(text) - start > size:
        end = max(text.rfind(one, start + 1, start + size + 1) for one in _SEPARATORS)
        end = end if end > start else start + size
        yield text[start:end]
        start = end
    yield text[start:] if start else text
