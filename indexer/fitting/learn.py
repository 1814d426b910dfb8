"""Learn from a sample of payloads: first a featurizer, then an encoder of its features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from hashret.coder import Coder, keeps_looks
from hashret.decoders.decoder import Decoder
from hashret.decoders.denoiser import Denoiser
from hashret.errors import TrainingError
from hashret.features.base import Featurizer
from hashret.items import Item
from hashret.models.base import Encoder
from hashret.sparse import Features
from hashret.specs import ImageSpec
from indexer.corpus import Skipped
from indexer.fitting.examples import examples_of, stored_examples
from indexer.fitting.features import note_on
from indexer.fitting.options import options_for, with_former
from indexer.ingest.counts import Progress, Stopwatch
from indexer.ingest.prepare import Preparer
from indexer.ingest.resume import Unfinished
from indexer.ingest.stored_source import StoredSource
from indexer.training.denoising.lesson import denoiser_for
from indexer.training.labels.item_labels import ItemLabels
from indexer.training.report import few_warnings, flat_warnings
from indexer.training.watching import Watcher

if TYPE_CHECKING:
    from hashret.features.image import ImageFeaturizer
    from indexer.training import TrainingOptions, TrainingReport


class Learned(NamedTuple):
    """A model, and how its training went."""

    coder: Coder
    decoder: Decoder | None
    denoiser: Denoiser | None
    report: TrainingReport


def learn(
    items: StoredSource | Iterable[Item | Skipped],
    kind: str,
    options: TrainingOptions | None,
    *,
    spec: Any,
    max_items: int,
    former: Coder | None,
    preparer: Preparer,
    stopwatch: Stopwatch,
    unfinished: Unfinished,
    resumes: bool,
    on_progress: Progress,
    on_note: Callable[[str], None],
    watchers: Sequence[Watcher] = (),
) -> Learned:
    """What is learned from a sample of the items.

    Where these are stored features, the featurizer stays that of `former`. `resumes` says whether
    checkpoints of the training are written to `unfinished`, and gone on from. Raises
    `EmptyCorpusError` if no item can be used, CollectionError for a `spec` of other features than
    are stored, and `TrainingError`.
    """
    options = with_former(options, former, kind)
    if isinstance(items, StoredSource) and items.features is not None and former is not None:
        on_note(
            "learning from stored features, because the items themselves are not stored: how "
            "features are computed stays as it is"
        )
        examples = stored_examples(items, former.featurizer, options, spec, max_items)
    else:
        examples = examples_of(
            items, kind, options, spec, max_items, preparer, stopwatch, on_progress
        )
    if note := note_on(examples.payloads, examples.featurizer.spec):
        on_note(f"note: {note}")
    featurizer, features = examples.featurizer, examples.features
    try:
        encoder, report = train_encoder(
            featurizer,
            features,
            kind,
            options_for(featurizer, options),
            examples.labels,
            resumed=unfinished if resumes else None,
            on_progress=on_progress,
            on_note=on_note,
            watchers=watchers,
        )
        decoder = decoder_for(kind, encoder, features, report, on_progress)
        denoiser = denoiser_for(
            featurizer, features, examples.payloads, preparer.patches, report, on_progress
        )
    except TrainingError:
        unfinished.forget()
        raise
    report.warnings += examples.doubts
    for stage in report.stages:
        stopwatch.add(stage.stage, stage.seconds)
    return Learned(joined(featurizer, encoder, features), decoder, denoiser, report)


def decoder_for(
    kind: str,
    encoder: Encoder,
    features: Features,
    report: TrainingReport,
    on_progress: Progress,
) -> Decoder | None:
    """A decoder of the encoder's codes, whose stage is added to the report; None if not wanted."""
    options = report.options
    if not options.decoder:
        return None
    from indexer.training.decoder import taught_decoder  # imported here: torch is slow to load

    def on_step(stage: str, done: int, total: int, loss: float) -> None:
        on_progress(stage, done, total)

    decoder, stage = taught_decoder(features, encoder, options, on_step)
    report.stages.append(stage)
    return decoder


def joined(featurizer: Featurizer, encoder: Encoder, features: Features) -> Coder:
    """The coder made of both; for images it also learns how alike copies look."""
    coder = Coder(featurizer, encoder)
    if not keeps_looks(featurizer.spec):
        return coder
    from hashret.features.looks import copy_distance, sampled  # Pillow: only for images

    distance = copy_distance(np.asarray(coder.kept(sampled(np.asarray(features)))))
    spec = replace(featurizer.spec, copy_distance=distance)
    return Coder(featurizer.from_tensors(spec, featurizer.tensors()), encoder)


class _Told(Watcher):
    """Tells the progress of a training as that of all stages of a run is told."""

    def __init__(self, on_progress: Progress):
        self._on_progress = on_progress

    def on_step(self, stage: str, step: int, n_steps: int, loss: float) -> None:
        """So many steps are done."""
        self._on_progress(stage, step, n_steps)


def train_encoder(
    featurizer: Featurizer,
    features: Features,
    kind: str,
    options: TrainingOptions,
    labels: ItemLabels | None = None,
    *,
    resumed: Unfinished | None,
    on_progress: Progress,
    on_note: Callable[[str], None],
    watchers: Sequence[Watcher] = (),
) -> tuple[Encoder, TrainingReport]:
    """Train an encoder on the featurizer's features; return it with the report of its training.

    `labels` are those of the features' items, if they are to be learned from. With `resumed`,
    training continues from its checkpoints and writes new ones. `on_note` gets a line on that, on
    the labels, and the warning that items are few. Raises `TrainingError`.
    """
    from indexer.training import train  # imported here: torch takes a second to load
    from indexer.training.options import AS_GIVEN
    from indexer.training.verdict import doubts, neighbours_kept

    if options.preset != AS_GIVEN and len(features) > 1:  # fewer are an error
        for warning in few_warnings(len(features)):
            on_note(f"warning: {warning}")
    spec = featurizer.spec
    shape = (spec.height, spec.width, spec.channels) if isinstance(spec, ImageSpec) else None
    checkpoints, numbers = None, None if labels is None else labels.numbers
    if labels is not None:
        on_note(
            f"learning from labels too: {labels.n_known:,} of {len(labels.numbers):,} items have "
            f"one of {labels.n_classes:,} values of {labels.field!r}"
        )
    if resumed is not None:
        checkpoints = resumed.training(features, kind, options, shape, numbers)
        if checkpoints.found:
            on_note("going on with the training that was interrupted")
        elif checkpoints.dropped:
            on_note("the interrupted training was of other items, so training starts anew")
    for watcher in watchers:
        watcher.on_features(featurizer)
    encoder, found = train(
        features,
        kind,
        options,
        shape=shape,
        labels=numbers,
        ordering=getattr(featurizer, "ordering", None),
        watchers=(_Told(on_progress), *watchers),
        checkpoints=checkpoints,
    )
    found.warnings += labels.warnings() if labels is not None else []
    if options.preset != AS_GIVEN:
        found.neighbours_kept = neighbours_kept(features, encoder, featurizer.compared)
        found.warnings += doubts(found)
    if shape is not None:
        found.warnings += flat_warnings(cast("ImageFeaturizer", featurizer).spans(features))
    return encoder, found
