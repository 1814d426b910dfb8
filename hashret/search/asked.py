"""Queries as a search takes them: encoded payloads, or codes as they are."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Self

import numpy as np

from hashret.coder import Coder, Encoding
from hashret.codes import Codes, require_same_bits
from hashret.search.question import Question, payloads_of
from hashret.snapshot import Snapshot
from hashret.sparse import Features, take_rows


@dataclass(frozen=True, slots=True)
class Asked:
    """n queries: their codes, and which of these mean something."""

    codes: Codes
    known: np.ndarray
    """The queries whose code means something, increasing; the others have no known feature."""
    single: bool
    """Whether one payload was asked about, and not a list of them."""
    _encoding: Encoding | None

    @classmethod
    def of(cls, given: Any, question: Question, snapshot: Snapshot) -> Self:
        """The payload, the payloads or the codes that were given.

        Raises `PayloadError`, `QuestionError` for a question that codes can't answer, and
        ValueError for codes of another length.
        """
        if isinstance(given, Codes):
            question.require_of_codes()
            require_same_bits(snapshot.codes, given)
            return cls(given, np.arange(len(given)), False, None)
        payloads, single = payloads_of(given, snapshot.kind)
        if not payloads:
            return cls(Codes.empty(snapshot.n_bits), np.arange(0), single, None)
        encoding = snapshot.coder.encode(payloads)
        return cls(encoding.codes, np.flatnonzero(encoding.known), single, encoding)

    def __len__(self) -> int:
        return len(self.codes)

    @property
    def all_confidences(self) -> np.ndarray | None:
        """The confidences of every query; None for codes, whose bits are certain."""
        return None if self._encoding is None else self._encoding.confidences

    def confidences(self, queries: np.ndarray) -> np.ndarray:
        """How far these queries lean to 1 in each of their bits, (m, n_bits) float32."""
        if self._encoding is None:
            return certain(self.codes[queries])
        return self._encoding.confidences[queries]

    def kept(self, queries: np.ndarray, coder: Coder) -> Features | None:
        """What a collection would keep of these queries to rank by; None for codes."""
        if self._encoding is None:
            return None
        return coder.kept(take_rows(self._encoding.features, queries))


def certain(codes: Codes) -> np.ndarray:
    """The confidences of bits that are known, 0 or 1: (n, n_bits) float32."""
    return codes.bits.astype(np.float32)
