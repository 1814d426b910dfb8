"""The door of tuning: items in, the settings that were measured and the best one out."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from hashret.errors import InputError
from hashret.features import FEATURIZERS
from hashret.items import Item
from hashret.kinds import KINDS, kind_of
from hashret.registry import resolve
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
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.ingest.counts import Progress, silent
from indexer.ingest.packed import packing_warnings
from indexer.ingest.prepare import Preparer
from indexer.ingest.sample import reservoir
from indexer.refusals import Refused
from indexer.training import TrainingOptions, train_lengths
from indexer.training.presets import PRESETS, preset_for
from indexer.tuning.criteria import Criterion, FloatNeighbours, Halves
from indexer.tuning.search import Deadline, OutOfTimeError, Search
from indexer.tuning.settings import Setting, space_of

#: Items learned from, and items held out to choose by, a fifth of all at most (docs/adr/0019).
_ITEMS, _HELD = 4_000, 1_000
#: Words of texts: the criterion was shown to do with so many, in a third of the time.
_WORDS = 3_000
#: With fewer items in all there is nothing to choose by.
LEAST_ITEMS = 200
_LEAST_HELD = LEAST_ITEMS // 10
#: A step must be better by this share of the quality: another seed may change it by .04.
_MARGIN = 0.05
#: The share of the time that reading may take.
_READING = 0.25


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting at one length: the quality of its codes without labels, and seconds of training.

    `seconds` of several lengths of a setting count what they share at the first.
    """

    setting: Setting
    n_bits: int
    quality: float
    seconds: float


@dataclass(slots=True)
class TuningReport:
    """What was tried on a sample of the items, what was chosen, and what there was no time for.

    Of a setting that was broken off, `trials` holds the lengths that were finished; it cannot be
    chosen. `chosen` is the default where nothing was better for sure. `complete`: all items were
    seen by the sample before the time for reading was over.
    """

    kind: str
    preset: str
    n_items: int
    n_held_out: int
    budget: float
    seconds: float = 0.0
    complete: bool = True
    trials: list[Trial] = field(default_factory=list)
    chosen: Setting = field(default_factory=Setting)
    not_tried: list[Setting] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    """What is doubtful about the items, in words."""

    def options(self, base: TrainingOptions | None = None) -> TrainingOptions:
        """Those to learn a collection with: `base` with the preset and what was chosen."""
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
    """Choose settings of training for a corpus without labels, within so many seconds.

    A seeded sample of `items` is learned from, once a setting, for codes of each of the lengths;
    the quality of a setting is the mean over them of what `criteria` measures on items held out.
    The default comes first, and stands unless something is better for sure. Training is broken off
    at the deadline; one look at the codes of a setting may outlast it by a few seconds. `spec` is
    as `Indexer.fit` has it. A generator that there is no time to read to its end is closed. Raises
    InputError for images and for fewer than `LEAST_ITEMS` usable items, UnknownKindError for an
    unknown kind or preset, ValueError for seconds not above 0 and for no or a wrong length.
    """
    if not kind_of(kind).tunes:
        expected = " or ".join(name for name, row in KINDS.items() if row.tunes)
        raise InputError(
            f"kind: expected {expected}, got {kind}; no criterion is known that follows labels "
            f"of {kind}s, so index them with the default settings"
        )
    if not seconds > 0:
        raise ValueError(f"seconds: expected more than 0, got {seconds}; allow some time")
    lengths = sorted(set(n_bits))
    if not lengths:
        raise ValueError("n_bits: expected at least one length of codes, got none; name one")
    base = TrainingOptions(seed=seed, device=device, preset=preset_for(kind, preset))
    if not PRESETS[kind][str(base.preset)].recipe.knobs:
        raise InputError(
            f"preset: expected one that learns, got {base.preset!r}, which has nothing to choose; "
            "index with it as it is"
        )
    for length in lengths:
        replace(base, n_bits=length)  # refused now rather than after the reading
    deadline = Deadline.within(seconds)
    complete = True

    def in_time() -> Iterator[Any]:
        nonlocal complete
        for count, item in enumerate(taken(items)):
            if deadline.spent > _READING * seconds and count >= LEAST_ITEMS:
                complete = False
                if isinstance(items, Generator):  # its workers would wait for us in vain
                    items.close()
                return
            if isinstance(item, Item):
                on_progress("read", count, None)
                yield item.payload

    payloads = reservoir(in_time(), _ITEMS + _HELD, seed)
    with closing(Preparer(kind)) as preparer:
        spec = _completed(spec, preparer.suggest_spec(payloads))
        results = preparer.prepare(payloads, spec)
    sample = _Sample.of([one for one in results if not isinstance(one, Refused)], kind, spec, seed)
    report = TuningReport(
        kind, str(base.preset), len(sample.items), len(sample.held), seconds, complete=complete
    )
    if isinstance(spec, VectorSpec):
        report.warnings += packing_warnings(payloads, spec)
    trainer = _Trainer(sample, kind, base, lengths, deadline, on_progress, report.trials)
    search = Search(space_of(kind, report.preset), trainer.quality, deadline, _MARGIN)
    report.chosen, report.not_tried = search.run(Setting.default(kind, report.preset))
    report.seconds = deadline.spent
    return report


def _completed(spec: Any, suggested: Any) -> Any:
    """The spec asked for; that suggested, for fewer words, where none was; the width of vectors."""
    if spec is None and isinstance(suggested, TextSpec):
        return replace(suggested, vocabulary_size=min(_WORDS, suggested.vocabulary_size))
    if isinstance(spec, VectorSpec) and not spec.n_features:
        return spec.of_width(suggested.n_features)
    return spec or suggested


@dataclass(frozen=True, slots=True)
class _Sample:
    """Features of the items to learn from and of those held out."""

    items: Features
    held: Features
    criterion: Criterion

    @classmethod
    def of(cls, prepared: list[Any], kind: str, spec: Any, seed: int) -> _Sample:
        if len(prepared) < LEAST_ITEMS:
            raise InputError(
                f"items: expected at least {LEAST_ITEMS} usable ones to choose by, got "
                f"{len(prepared)}; index them with the default settings"
            )
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(prepared))
        n_held = min(_HELD, len(prepared) // 5)
        unseen, learned = ([prepared[i] for i in part] for part in np.split(order, [n_held]))
        featurizer = resolve(FEATURIZERS, kind, "kind").fit(learned, spec)
        items, held = (_usable(featurizer.transform(part)) for part in (learned, unseen))
        if len(items) + len(held) < LEAST_ITEMS or len(held) < _LEAST_HELD:
            raise InputError(
                f"items: expected at least {LEAST_ITEMS} that share features with others, and "
                f"{_LEAST_HELD} of those held out, got {len(items) + len(held)} and {len(held)}; "
                "index them with the default settings"
            )

        def halves(rows: SparseRows) -> Criterion:
            return Halves.of(rows, require_sparse(held, "halves of texts"), rng)

        def floats(rows: np.ndarray) -> Criterion:
            return FloatNeighbours(rows, require_dense(held, "neighbours by the floats"))

        return cls(items, held, by_layout(items, halves, floats))


def _usable(features: Features) -> Features:
    """The rows that are finite and have any feature."""
    return take_rows(features, (finite_rows(features) & known(features)).nonzero()[0])


@dataclass(slots=True)
class _Trainer:
    """Trains settings on a sample, and keeps what it saw."""

    sample: _Sample
    kind: str
    base: TrainingOptions
    lengths: list[int]
    deadline: Deadline
    on_progress: Progress
    trials: list[Trial]

    def quality(self, setting: Setting) -> float:
        """The mean quality of a setting over the lengths; raises OutOfTimeError."""
        found: list[float] = []
        before = self.deadline.spent
        options = setting.options(self.base)
        learned = train_lengths(
            self.sample.items,
            self.kind,
            options,
            self.lengths,
            on_progress=self._in_time,
        )
        for n_bits, (encoder, _) in zip(self.lengths, learned, strict=True):
            took = self.deadline.spent - before
            found.append(self.sample.criterion(encoder))
            self.trials.append(Trial(setting, n_bits, found[-1], took))
            before = self.deadline.spent
        return float(np.mean(found))

    def _in_time(self, stage: str, done: int, total: int, loss: float) -> None:
        if self.deadline.left < 0:
            raise OutOfTimeError
        self.on_progress(f"{len(self.trials) + 1}: {stage}", done, total)
