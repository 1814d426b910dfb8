"""Sequences as features: every number of every step, or every token by its number, in order.

Row i of the sparse features stores all that counts of sequence i, zeros too. Of a series of d
numbers a step, number j of step t stands at column t * d + j, centred and divided by the deviation
of its column j. Of tokens, step t stands at column t: the number of its token in the vocabulary,
from 1, or 0 for one that is not known. A sequence without a known token has an empty row.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Self, cast

import numpy as np

from hashret.errors import DamagedError, EmptyCorpusError, PayloadError
from hashret.features.base import Hasher
from hashret.features.left_out import LeftOut, Part, Steps, Word, heaviest
from hashret.features.sequences import alike, steps
from hashret.items import Payload
from hashret.rank import similarities
from hashret.sparse import Features, SparseRows, require_sparse, rows_between, stacked
from hashret.specs import SequenceSpec
from hashret.specs.ordering import Ordering
from hashret.told import telling_words

_SAMPLE = 1000  # number of payloads from which the unit and the width are suggested
#: Parts into which a series is divided to leave each out: short enough to show where, and long
#: enough for one to matter.
_WINDOWS = 32


class SequenceFeaturizer:
    """A vocabulary of tokens, or the mean and the deviation of each column of numbers."""

    def __init__(
        self, spec: SequenceSpec, vocabulary: Sequence[str], mean: np.ndarray, scale: np.ndarray
    ):
        """`mean` and `scale` (width,) float32; of tokens both are empty."""
        self.spec = spec
        self._vocabulary = vocabulary
        self._mean, self._scale = mean, scale
        self._place = {token: number for number, token in enumerate(vocabulary, 1)}

    @property
    def n_features(self) -> int:
        """The width of the features: a column for each number of each step that counts."""
        return self.spec.n_features

    @property
    def n_tokens(self) -> int:
        """The number of tokens that are known; 0 where steps are numbers."""
        return len(self._vocabulary)

    @property
    def ordering(self) -> Ordering:
        """Where the steps lie in a row of features."""
        return Ordering(self.spec.width or 1, self.n_tokens)

    @property
    def vocabulary(self) -> Sequence[str]:
        """The tokens, the most frequent first; a token's number is its position from 1."""
        return self._vocabulary

    @classmethod
    def suggest_spec(cls, payloads: Sequence[Payload]) -> SequenceSpec:
        """What most of the first 1,000 payloads are, and the width that most steps have.

        A string counts as tokens if it has white space inside, as numbers if all of these strings
        are numbers, and else as characters.
        """
        found: Counter[tuple[str, int]] = Counter()
        strings: list[str] = []
        for payload in payloads[:_SAMPLE]:
            try:
                given = steps.given_of(payload)
            except PayloadError:
                continue
            if isinstance(given, str):
                strings.append(given)
            else:
                width = given.shape[1] if isinstance(given, np.ndarray) else 0
                found["numbers" if width else "tokens", width] += 1
        if strings:
            found[_unit_of(strings)] += len(strings)
        units = Counter(dict.fromkeys((unit for unit, _ in found), 0))
        for (unit, _), count in found.items():
            units[unit] += count
        for unit, _ in units.most_common(1):
            widths = {width: count for (one, width), count in found.items() if one == unit}
            return SequenceSpec(unit, max(widths, key=widths.__getitem__))
        return SequenceSpec()

    @classmethod
    def prepare(cls, payload: Payload, spec: SequenceSpec) -> np.ndarray | list[str]:
        """The steps that count: numbers (n_steps, width) float32, or a list of tokens.

        Raises `PayloadError` for what is no such sequence (`steps.numbers_of`, `steps.tokens_of`).
        """
        if spec.unit == "numbers":
            return steps.numbers_of(payload, spec)
        return steps.tokens_of(payload, spec)

    @classmethod
    def keep(cls, payload: Payload) -> bytes:
        """The sequence as bytes, for a model to come. Raises `PayloadError` for what is none."""
        return steps.as_bytes(steps.given_of(payload))

    @classmethod
    def kept(cls, data: bytes) -> Any:
        """The sequence that was kept. Raises `DamagedError`."""
        return steps.of_bytes(data)

    @classmethod
    def fit(cls, prepared: Iterable[Any], spec: SequenceSpec) -> Self:
        """Learn the vocabulary, or the mean and deviation of each column, in one pass.

        The most frequent tokens are known, of equally frequent ones the first in the order of
        strings.
        """
        learned = cls._of_numbers if spec.unit == "numbers" else cls._of_tokens
        return learned(prepared, spec)

    @classmethod
    def _of_numbers(cls, prepared: Iterable[np.ndarray], spec: SequenceSpec) -> Self:
        n, total, squares = 0, np.zeros(spec.width), np.zeros(spec.width)
        for series in prepared:
            wide = series.astype(np.float64)
            n += len(wide)
            total += wide.sum(axis=0)
            squares += np.square(wide).sum(axis=0)
        if not n:
            raise EmptyCorpusError("sequences: expected at least one, got none; check the sources")
        mean = total / n
        variance = np.maximum(squares / n - np.square(mean), 0.0)
        # what remains of a column that is always the same is rounding
        varies = variance > 1e-12 * np.square(mean) + 1e-24
        scale = 1.0 / np.sqrt(np.where(varies, variance, 1.0))
        return cls(spec, [], mean.astype(np.float32), scale.astype(np.float32))

    @classmethod
    def _of_tokens(cls, prepared: Iterable[list[str]], spec: SequenceSpec) -> Self:
        counts: Counter[str] = Counter()
        for tokens in prepared:
            counts.update(tokens)
        if not counts:
            raise EmptyCorpusError("sequences: expected at least one, got none; check the sources")
        chosen = sorted(counts, key=lambda token: (-counts[token], token))[: spec.vocabulary_size]
        nothing = np.empty(0, np.float32)
        return cls(spec, chosen, nothing, nothing)

    def transform(self, prepared: Sequence[Any]) -> SparseRows:
        """The rows of n prepared sequences; each number stands where its step does.

        A number far from those that were fitted can overflow to infinity; whoever encodes refuses
        the sequence by that.
        """
        if self.spec.unit == "numbers":
            with np.errstate(over="ignore", invalid="ignore"):
                rows = [((one - self._mean) * self._scale).ravel() for one in prepared]
        else:
            rows = [self._numbers(tokens) for tokens in prepared]
        return _rows(rows, self.n_features)

    def _numbers(self, tokens: Sequence[str]) -> np.ndarray:
        """The numbers of tokens in their order; none if no token is known."""
        place = self._place.get
        found = np.array([place(token, 0) for token in tokens], np.float32)
        return found if found.any() else found[:0]

    def left_out(self, prepared: Any | None, features: Features, most: int) -> LeftOut:
        """The sequence without each of its known tokens, everywhere; without each part of a series.

        What stands after it moves up. A series has at most 32 parts, of equal length but for the
        last.
        """
        row = require_sparse(features, "a sequence").values
        parts: list[Part]
        if self.spec.unit == "numbers":
            n_steps = len(row) // self.spec.width
            size = -(-n_steps // min(_WINDOWS, most))
            parts = [Steps(at, min(at + size, n_steps) - 1) for at in range(0, n_steps, size)]
            series = row.reshape(n_steps, self.spec.width)
            spans = [slice(one.first, one.last + 1) for one in parts if isinstance(one, Steps)]
            left = [np.delete(series, span, axis=0).ravel() for span in spans]
            keys: list[Any] = list(parts)
            n_all = len(parts)
        else:
            found, counts = np.unique(row[row > 0].astype(np.int64), return_counts=True)
            chosen = found[heaviest(counts.astype(np.float64), most)].tolist()
            without = [row[row != number] for number in chosen]
            left = [one if one.any() else one[:0] for one in without]
            keys = [self._vocabulary[number - 1] for number in chosen]
            parts = [Word(token) for token in keys]
            n_all = len(found)
        return LeftOut(parts, keys, np.ones(len(parts)), _rows(left, self.n_features), n_all)

    def compared(self, features: Features) -> Features:
        """What says how alike sequences are (`sequences.alike`): series drawn, or pairs of tokens.

        Rows of tokens can only be compared with others of the same call.
        """
        rows = require_sparse(features, "sequences")
        if self.spec.unit == "numbers":
            return alike.drawn(rows, self.spec.width)
        return alike.pairs(rows)

    def similarities(self, query: Features, features: Features) -> np.ndarray:
        """Of numbers minus the root mean squared difference, in deviations; of tokens from 0 to 1.

        See `sequences.alike`.
        """
        rows = self.compared(stacked([query, features]))
        n = rows.shape[0]
        return similarities(rows_between(rows, 0, 1), rows_between(rows, 1, n))

    def restored(self, decoded: np.ndarray, usual: np.ndarray) -> list[Any]:
        """The series, (n_steps, width) float32 each; or the most telling tokens of each row.

        The last number of a row that a series was decoded to is the share of the steps.
        """
        if self.spec.unit != "numbers":
            return [telling_words(shares, usual, self._vocabulary) for shares in decoded]
        n, width = len(decoded), self.spec.width
        steps = decoded[:, :-1].reshape(n, (decoded.shape[1] - 1) // width, width)
        lengths = np.maximum(np.rint(decoded[:, -1] * steps.shape[1]).astype(np.int64), 1)
        whole = steps / self._scale + self._mean
        return [one[:n].astype(np.float32) for one, n in zip(whole, lengths.tolist(), strict=True)]

    def tensors(self) -> dict[str, np.ndarray]:
        """The vocabulary as a JSON list in ASCII, and mean and scale (width,) float32."""
        written = json.dumps(list(self._vocabulary)).encode("ascii")
        return {
            "vocabulary": np.frombuffer(written, np.uint8),
            "mean": self._mean,
            "scale": self._scale,
        }

    @classmethod
    def from_tensors(cls, spec: SequenceSpec, tensors: Mapping[str, np.ndarray]) -> Self:
        """Rebuild a fitted featurizer. Raises `DamagedError` if the arrays don't fit the spec."""
        vocabulary = json.loads(tensors["vocabulary"].tobytes())
        mean, scale = tensors["mean"], tensors["scale"]
        is_list = isinstance(vocabulary, list) and all(isinstance(one, str) for one in vocabulary)
        fits = is_list and len(set(vocabulary)) == len(vocabulary) <= spec.vocabulary_size
        fits &= bool(vocabulary) == (spec.unit != "numbers")
        fits &= all(one.dtype == np.float32 and one.shape == (spec.width,) for one in (mean, scale))
        if not fits or not np.isfinite([mean, scale]).all():
            raise DamagedError(
                "model: expected a vocabulary, or a mean and a scale for each of "
                f"{spec.width} numbers, got other arrays; train it again"
            )
        return cls(spec, vocabulary, mean, scale)

    @classmethod
    def preview(cls, payload: Payload) -> str:
        """The first tokens, or how many numbers there are and the first of them."""
        return steps.preview_of_steps(payload)

    @classmethod
    def digest(cls, payload: Payload, hasher: Hasher) -> None:
        """Hash the tokens, or the numbers as float32 or int64."""
        hasher.update(steps.as_bytes(steps.given_of(payload)))


def cut_note(payloads: Sequence[Payload], spec: SequenceSpec) -> str:
    """A sentence on how many of the payloads have more steps than count; "" if none has."""
    n_cut = n_all = 0
    for payload in payloads:
        try:
            given = steps.given_of(payload)
        except PayloadError:
            continue
        if isinstance(given, str):
            given = given.split() if spec.unit != "characters" else list(given)
        n_all += 1
        n_cut += len(given) > spec.longest
    if not n_cut:
        return ""
    return (
        f"{n_cut:,} of {n_all:,} sequences have more than {spec.longest:,} steps, of which the "
        "first so many count; --longest makes it more"
    )


def _unit_of(strings: list[str]) -> tuple[str, int]:
    """What most of the strings are, and the width of a step."""
    n_cut = sum(len(one.split()) > 1 for one in strings)
    if 2 * n_cut < len(strings):
        return "characters", 0
    try:
        for one in strings:
            for number in one.split():
                float(number)
    except ValueError:
        return "tokens", 0
    return "numbers", 1


def _rows(rows: Sequence[np.ndarray], n_features: int) -> SparseRows:
    """Sparse rows that store each of these arrays from column 0 on."""
    lengths = np.array([len(one) for one in rows], np.int64)
    indptr = np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
    every = cast("list[np.ndarray]", [np.empty(0, np.float32), *rows])
    values = np.concatenate(every).astype(np.float32)
    indices = np.arange(len(values)) - np.repeat(indptr[:-1], lengths)
    return SparseRows(indptr, indices.astype(np.int32), values, n_features)
