"""Tune the training on a corpus: from items to the settings that were tried and the best one."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hashret.arguments import resolve
from hashret.errors import InputError
from hashret.features import FEATURIZERS
from hashret.items import Item
from hashret.kinds import KINDS, kind_of
from hashret.sparse import (
    Features,
    SparseRows,
    by_layout,
    finite_rows,
    known,
    require_dense,
    require_sparse,
    take_rows,
)
from hashret.specs import TextSpec, VectorSpec
from hashret.workers.refusals import Refused
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.ingest.counts import Progress, silent
from indexer.ingest.prepare import Preparer
from indexer.ingest.sample import sampled
from indexer.training import TrainingOptions, Watcher, train_lengths
from indexer.training.presets import PRESETS, preset_for, recipe_of
from indexer.training.vectors.packed import packing_warnings
from indexer.tuning.criteria import Criterion, FloatNeighbours, Halves
from indexer.tuning.search import Deadline, OutOfTimeError, Search
from indexer.tuning.settings import Setting, space_of

# The sizes below are those of the experiments in docs/adr/0019.
_ITEMS = 4_000  # items to train on, at most
_HELD_OUT = 1_000  # items held out to measure the quality on, at most
_HELD_OUT_PART = 5  # at most one item in so many is held out
_WORDS = 3_000  # size of the vocabulary; enough for the criterion, in a third of the time
#: The least number of items; with fewer the quality can't be measured.
LEAST_ITEMS = 200
_LEAST_HELD_OUT = LEAST_ITEMS // 10  # items held out that share features with others
_MARGIN = 0.05  # share by which a step must improve the quality; another seed changes it by 0.04
_READING = 0.25  # share of the time limit that reading may take


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting tried at one code length."""

    setting: Setting
    n_bits: int
    quality: float
    """The quality of the codes, measured without labels (`criteria`)."""
    seconds: float
    """Of training. What several lengths of a setting share is counted at the first length."""


@dataclass(slots=True)
class TuningReport:
    """The settings that were tried on a sample of the items, and the one that was chosen."""

    kind: str
    preset: str
    n_items: int
    """The number of items to train on."""
    n_held_out: int
    """The number of items held out."""
    budget: float
    """The time limit in seconds."""
    seconds: float = 0.0
    """The time that the tuning took."""
    complete: bool = True
    """Whether all items were read before the time for reading was over."""
    trials: list[Trial] = field(default_factory=list)
    """A setting that was stopped at the deadline has only the lengths that were finished. It can't
    be chosen."""
    chosen: Setting = field(default_factory=Setting)
    """The best setting; the default if none was better by more than chance."""
    not_tried: list[Setting] = field(default_factory=list)
    """The settings one step from the chosen one that there was no time to try."""
    warnings: list[str] = field(default_factory=list)
    """Doubts about the items."""

    def options(self, base: TrainingOptions | None = None) -> TrainingOptions:
        """The options for training a collection: `base` with the preset and the chosen setting."""
        return self.chosen.options(replace(base or TrainingOptions(), preset=self.preset))

    def to_json(self) -> dict[str, Any]:
        """The report as a JSON object."""
        return {
            "kind": self.kind,
            "preset": self.preset,
            "n_items": self.n_items,
            "n_held_out": self.n_held_out,
            "budget": self.budget,
            "seconds": self.seconds,
            "complete": self.complete,
            "trials": [
                {
                    **trial.setting.to_json(),
                    "n_bits": trial.n_bits,
                    "quality": trial.quality,
                    "seconds": trial.seconds,
                    "chosen": trial.setting == self.chosen,
                }
                for trial in self.trials
            ],
            "chosen": self.chosen.to_json(),
            "not_tried": [setting.to_json() for setting in self.not_tried],
            "warnings": self.warnings,
        }


def tune(
    items: Iterable[Item | Skipped],
    kind: str,
    *,
    n_bits: Iterable[int] = (64,),
    seconds: float = 600.0,
    preset: str | None = None,
    seed: int = 0,
    device: str = "auto",
    spec: Any = None,
    on_progress: Progress = silent,
) -> TuningReport:
    """Choose the settings of training for a corpus without labels, within so many seconds.

    Each setting is trained on a seeded sample of `items`, with codes of each length in `n_bits`.
    Its quality is the mean over the lengths of what `criteria` measures on held-out items. The
    default is tried first, and is chosen unless another setting is better by more than chance.
    Training stops at the deadline; measuring the last codes may take a few seconds longer. If there
    is no time to read all items, a generator of items is closed. `spec` is that of `Indexer.fit`.

    Raises InputError for images and for fewer than `LEAST_ITEMS` usable items, UnknownKindError for
    an unknown kind or preset, and ValueError for seconds not above 0 and for no or a wrong length.
    """
    base = _base(kind, preset, seed, device)
    if not seconds > 0:
        raise ValueError(f"seconds: expected more than 0, got {seconds}; allow some time")
    lengths = sorted(set(n_bits))
    if not lengths:
        raise ValueError("n_bits: expected at least one length of codes, got none; name one")
    for length in lengths:
        replace(base, n_bits=length)  # raises ValueError for a wrong length, before reading
    deadline = Deadline.within(seconds)
    complete = True

    def in_time() -> Iterator[Any]:
        nonlocal complete
        for count, item in enumerate(taken(items)):
            if deadline.spent > _READING * seconds and count >= LEAST_ITEMS:
                complete = False
                if isinstance(items, Generator):  # ends the workers that it may have
                    items.close()
                return
            if isinstance(item, Item):
                on_progress("read", count, None)
                yield item

    payloads = sampled(in_time(), _ITEMS + _HELD_OUT, seed)
    with closing(Preparer(kind)) as preparer:
        spec = _completed(spec, preparer.suggest_spec(payloads))
        results = preparer.prepare(payloads, spec)
    sample = _Sample.of([one for one in results if not isinstance(one, Refused)], kind, spec, seed)
    report = TuningReport(
        kind, str(base.preset), len(sample.items), len(sample.held_out), seconds, complete=complete
    )
    if isinstance(spec, VectorSpec):
        report.warnings += packing_warnings(payloads, spec)
    trainer = _Trainer(sample, kind, base, lengths, deadline, on_progress, report.trials)
    search = Search(space_of(kind, report.preset), trainer.quality, deadline, _MARGIN)
    report.chosen, report.not_tried = search.run(Setting.default(kind, report.preset))
    report.seconds = deadline.spent
    return report


def _base(kind: str, preset: str | None, seed: int, device: str) -> TrainingOptions:
    """The options that every setting starts from. Raises InputError for what can't be tuned."""
    if not kind_of(kind).tunes:
        expected = " or ".join(name for name, row in KINDS.items() if row.tunes)
        raise InputError(
            f"kind: expected {expected}, got {kind}; for {kind}s no criterion without labels is "
            "known, so index them with the default settings"
        )
    base = TrainingOptions(seed=seed, device=device, preset=preset_for(kind, preset))
    if not PRESETS[kind][str(base.preset)].recipe.knobs:
        raise InputError(
            f"preset: expected one that is trained, got {base.preset!r}, which has nothing to "
            "tune; index with it as it is"
        )
    if kind_of(kind).stores_texts and recipe_of(kind, base).in_order:
        raise InputError(
            f"preset: expected one that takes bags of words, got {base.preset!r}, whose words in "
            "order have no halves to compare; index with it as it is"
        )
    return base


def _completed(spec: Any, suggested: Any) -> Any:
    """The spec to use: the given one, with the width of vectors, or the suggested one.

    A suggested spec of texts gets a smaller vocabulary.
    """
    if spec is None and isinstance(suggested, TextSpec):
        return replace(suggested, vocabulary_size=min(_WORDS, suggested.vocabulary_size))
    if getattr(spec, "is_partial", False):
        return spec.completed(suggested)
    return spec or suggested


@dataclass(frozen=True, slots=True)
class _Sample:
    """The features of the items to train on and of those held out, and the criterion on them."""

    items: Features
    held_out: Features
    criterion: Criterion

    @classmethod
    def of(cls, prepared: list[Any], kind: str, spec: Any, seed: int) -> _Sample:
        if len(prepared) < LEAST_ITEMS:
            raise InputError(
                f"items: expected at least {LEAST_ITEMS} usable ones to tune on, got "
                f"{len(prepared)}; index them with the default settings"
            )
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(prepared))
        n_unseen = min(_HELD_OUT, len(prepared) // _HELD_OUT_PART)
        unseen, seen = ([prepared[i] for i in part] for part in np.split(order, [n_unseen]))
        featurizer = resolve(FEATURIZERS, kind, "kind").fit(seen, spec)
        items, held_out = (_usable(featurizer.transform(part)) for part in (seen, unseen))
        n, n_held_out = len(items) + len(held_out), len(held_out)
        if n < LEAST_ITEMS or n_held_out < _LEAST_HELD_OUT:
            raise InputError(
                f"items: expected at least {LEAST_ITEMS} that share features with others, and "
                f"{_LEAST_HELD_OUT} among those held out, got {n} and {n_held_out}; index them "
                "with the default settings"
            )

        def halves(rows: SparseRows) -> Criterion:
            return Halves.of(rows, require_sparse(held_out, "halves of texts"), rng)

        def float_neighbours(rows: np.ndarray) -> Criterion:
            return FloatNeighbours(rows, require_dense(held_out, "neighbours of vectors"))

        return cls(items, held_out, by_layout(items, halves, float_neighbours))


def _usable(features: Features) -> Features:
    """The rows that are finite and, if sparse, not empty."""
    return take_rows(features, (finite_rows(features) & known(features)).nonzero()[0])


@dataclass(slots=True)
class _Trainer(Watcher):
    """Trains settings on a sample, and appends what it measures to `trials`."""

    sample: _Sample
    kind: str
    base: TrainingOptions
    lengths: list[int]
    deadline: Deadline
    on_progress: Progress
    trials: list[Trial]

    def quality(self, setting: Setting) -> float:
        """The mean quality of a setting over the lengths; raises OutOfTimeError."""
        qualities: list[float] = []
        before = self.deadline.spent
        options = setting.options(self.base)
        trained = train_lengths(
            self.sample.items,
            self.kind,
            options,
            self.lengths,
            watchers=[self],
        )
        for n_bits, (encoder, _) in zip(self.lengths, trained, strict=True):
            seconds = self.deadline.spent - before
            qualities.append(self.sample.criterion(encoder))
            self.trials.append(Trial(setting, n_bits, qualities[-1], seconds))
            before = self.deadline.spent
        return float(np.mean(qualities))

    def on_step(self, stage: str, step: int, n_steps: int, loss: float) -> None:
        """Tell the progress. Raises OutOfTimeError when the time is up."""
        if self.deadline.left < 0:
            raise OutOfTimeError
        self.on_progress(f"{len(self.trials) + 1}: {stage}", step, n_steps)
