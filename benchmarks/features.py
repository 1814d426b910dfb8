"""A dataset as features: learned on the database only, the same matrix for every coder."""

from __future__ import annotations

from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any

import numpy as np
from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from benchmarks.datasets import Dataset
from hashret.arguments import resolve
from hashret.errors import PayloadError
from hashret.features import FEATURIZERS
from hashret.sparse import Features, SparseRows, by_layout, require_sparse, with_values


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """Features of a dataset's database and queries, row for row.

    A text that is empty (a stripped post can be) has an empty row: such a document stays in the
    measure for every coder alike. `usable` (n_database,) bool: what a collection would learn
    from, which leaves those out.
    """

    database: Features
    queries: Features
    usable: np.ndarray
    shape: tuple[int, int, int] | None
    """(height, width, channels) of images, whose rows of features are these flattened."""
    seconds: float
    is_stop_word: np.ndarray | None = None
    """Which terms are on scikit-learn's English stop list, (n_features,) bool; for texts only."""
    ordering: Any = None
    """Where the words stand in order, for a preset that takes them so; None: nowhere."""

    @property
    def training(self) -> Features:
        """The rows that a model learns from."""
        rows = np.flatnonzero(self.usable)
        return by_layout(self.database, lambda sparse: sparse.take(rows), lambda dense: dense)

    def without_stop_words(self) -> FeatureSet:
        """The same texts with the weight 0 for every stop word: what a stop list would give.

        Raises TypeError for what has no words.
        """
        if self.is_stop_word is None:
            raise TypeError("features: expected those of texts, got others; leave the list out")
        keep = ~self.is_stop_word

        def weighted(features: Features) -> Features:
            rows = require_sparse(features, "a stop list")
            return with_values(rows, rows.values * keep[rows.indices])

        return replace(self, database=weighted(self.database), queries=weighted(self.queries))


def featurize(dataset: Dataset, in_order: int = 0) -> FeatureSet:
    """Fit hashret's featurizer of the dataset's kind on the database; apply it to both parts.

    Of texts the features hold so many words in order, besides the bag.
    """
    began = perf_counter()
    featurizer_class = resolve(FEATURIZERS, dataset.kind, "kind")
    database, queries = dataset.part(dataset.database), dataset.part(dataset.queries)
    spec = featurizer_class.suggest_spec(database)
    if in_order:
        spec = replace(spec, in_order=in_order)
    prepared, usable = _prepare(featurizer_class, database, spec)
    featurizer = featurizer_class.fit(prepared, spec)
    asked, answerable = _prepare(featurizer_class, queries, spec)
    return FeatureSet(
        _place(featurizer.transform(prepared), usable),
        _place(featurizer.transform(asked), answerable),
        usable,
        (spec.height, spec.width, spec.channels) if dataset.kind == "image" else None,
        perf_counter() - began,
        np.isin(featurizer.vocabulary, [*ENGLISH_STOP_WORDS]) if dataset.kind == "text" else None,
        getattr(featurizer, "ordering", None),
    )


def _prepare(featurizer_class: Any, payloads: list[Any], spec: Any) -> tuple[list[Any], np.ndarray]:
    """What can be prepared, and which of the payloads that was."""
    prepared, usable = [], np.ones(len(payloads), bool)
    for row, payload in enumerate(payloads):
        try:
            prepared.append(featurizer_class.prepare(payload, spec))
        except PayloadError:
            if not isinstance(payload, str) or payload.strip():
                raise  # only an empty text may be unusable in these datasets
            usable[row] = False
    return prepared, usable


def _place(features: Features, usable: np.ndarray) -> Features:
    """The features at the rows that are usable, empty rows at the others."""

    def placed(rows: SparseRows) -> Features:
        lengths = np.zeros(len(usable), np.int64)
        lengths[usable] = rows.nnz_per_row
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        return SparseRows(indptr, rows.indices, rows.values, rows.n_features)

    return by_layout(features, placed, lambda dense: dense)
