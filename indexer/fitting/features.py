"""Fit a featurizer to payloads, and compute their features."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from hashret._backports import chunks
from hashret.arguments import resolve
from hashret.errors import EmptyCorpusError, InputError
from hashret.features import FEATURIZERS
from hashret.features.base import Featurizer
from hashret.items import Payload
from hashret.kinds import kind_of
from hashret.models.patches import versions
from hashret.sparse import Features, finite_rows, stacked, take_rows
from hashret.specs import ImageSpec, SequenceSpec, TextSpec
from hashret.workers.refusals import Refused
from indexer.ingest.prepare import Preparer
from indexer.ingest.sample import typical

if TYPE_CHECKING:
    from hashret.features.image import ImageFeaturizer

_BLOCK = 4096  # payloads whose features are computed at a time


def note_on(payloads: Sequence[Payload], spec: Any) -> str:
    """What is lost of the payloads by the spec of their features, as a sentence; "" if nothing."""
    if not isinstance(spec, SequenceSpec):
        return ""
    from hashret.features.sequences.featurizer import cut_note

    return cut_note(payloads, spec)


def spec_for(
    payloads: Sequence[Payload], spec: Any, preparer: Preparer, invariant: tuple[str, ...] = ()
) -> Any:
    """The spec of the features to learn: the one given, completed by what suits the payloads.

    With "rotation" in `invariant` it is for square images, unless it is given.
    """
    if spec is None:
        spec = preparer.suggest_spec(payloads)
        if "rotation" in invariant and isinstance(spec, ImageSpec):
            side = max(spec.height, spec.width)
            spec = replace(spec, height=side, width=side)
        return spec
    if getattr(spec, "is_partial", False):
        return spec.completed(preparer.suggest_spec(payloads))
    return spec


def in_word_order(spec: TextSpec, n_words: int) -> TextSpec:
    """The spec of texts for a preset that takes so many words in order; 0: none.

    Raises InputError for a spec of words in order for a preset that takes none.
    """
    if spec.in_order and not n_words:
        raise InputError(
            f"spec: expected in_order 0 with a preset that takes bags of words, got "
            f"{spec.in_order}; leave it out, or choose a preset of words in order"
        )
    return spec if spec.in_order else replace(spec, in_order=n_words)


class Fitted(NamedTuple):
    """A featurizer, and what it made of the payloads that it was fitted on."""

    featurizer: Featurizer
    features: Features
    rows: np.ndarray
    """Which of the payloads the rows of features are of, (n,) int64."""


def fit_features(
    payloads: Sequence[Payload],
    kind: str,
    spec: Any,
    preparer: Preparer,
    invariant: tuple[str, ...] = (),
) -> Fitted:
    """A featurizer fitted on the payloads that can be used, and their finite features.

    `spec` None stands for the one that suits them; `invariant` is that of `TrainingOptions`.
    Payloads that can't be used are left out, and not reported. Raises
    `EmptyCorpusError` if none can be used.
    """
    spec = spec_for(payloads, spec, preparer, invariant)
    results = preparer.prepare(payloads, spec)
    kept = [row for row, result in enumerate(results) if not isinstance(result, Refused)]
    prepared = [results[row] for row in kept]
    if not prepared:
        why = f" (the first: {results[0].reason})" if results else ""
        raise EmptyCorpusError(
            f"corpus: expected at least one usable {kind} item, got {len(payloads)} items of which "
            f"none can be used{why}; `hashret index --dry-run` shows all"
        )
    if kind_of(kind).drops_outliers and not spec.packed:
        chosen = typical(prepared)
        prepared, kept = [prepared[i] for i in chosen], [kept[i] for i in chosen]
    featurizer_class: type[Featurizer] = resolve(FEATURIZERS, kind, "kind")
    featurizer = featurizer_class.fit(prepared, spec)
    if invariant:
        featurizer = cast("ImageFeaturizer", featurizer).alike(
            lambda images: versions(images, invariant)
        )
    # in blocks: counting the words of all texts at once takes several times the result
    features = stacked([featurizer.transform(block) for block in chunks(prepared, _BLOCK)])
    finite, rows = finite_rows(features), np.array(kept, np.int64)
    if not finite.all():
        features, rows = take_rows(features, finite.nonzero()[0]), rows[finite]
    return Fitted(featurizer, features, rows)
