"""Learn from a sample of payloads: first a featurizer, then an encoder of its features."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

import numpy as np

from hashret._backports import chunks
from hashret.arguments import require_instance, resolve, whole
from hashret.coder import Coder, keeps_looks
from hashret.decoders.decoder import Decoder
from hashret.decoders.denoiser import Denoiser
from hashret.errors import CollectionError, EmptyCorpusError, InputError, TrainingError
from hashret.features import FEATURIZERS
from hashret.features.base import Featurizer
from hashret.items import Item, Payload
from hashret.kinds import kind_of
from hashret.models.base import Encoder
from hashret.models.patches import versions
from hashret.sparse import Features, finite_rows, stacked, take_rows
from hashret.specs import ImageSpec, SequenceSpec, TextSpec, VectorSpec
from hashret.specs.encoders import PatchSpec
from hashret.workers.refusals import Refused
from indexer.corpus import Skipped
from indexer.corpus.given import taken
from indexer.ingest.counts import Progress, Stopwatch
from indexer.ingest.intake import BATCH
from indexer.ingest.prepare import Preparer
from indexer.ingest.resume import Unfinished
from indexer.ingest.sample import sampled_with_labels, typical
from indexer.ingest.stored_source import StoredSource
from indexer.training.denoising.lesson import denoiser_for
from indexer.training.labels.item_labels import ItemLabels
from indexer.training.report import few_warnings, flat_warnings
from indexer.training.vectors.packed import packing_warnings
from indexer.training.watching import Watcher

if TYPE_CHECKING:
    from hashret.features.image import ImageFeaturizer
    from indexer.training import TrainingOptions, TrainingReport

_BLOCK = 4096  # payloads whose features are computed at a time


def require_learnable(
    kind: str, options: TrainingOptions | None, spec: Any, max_items: int
) -> None:
    """Raise TypeError or ValueError for what `learn` can't take."""
    from indexer.training.options import TrainingOptions
    from indexer.training.presets import preset_for, require_used

    if options is not None:
        require_instance("options", options, TrainingOptions)
        if options.invariant:
            require_used(kind, replace(options, preset=preset_for(kind, options.preset)))
    if whole("max_items", max_items) < 1:
        raise ValueError(f"max_items: expected at least 1, got {max_items}; pass a greater one")
    if spec is not None and getattr(spec, "kind", None) != kind:
        raise TypeError(
            f"spec: expected that of features of {kind} items, got {type(spec).__name__}; "
            "pass one of hashret.specs, or leave it out"
        )


def _stored_sample(
    stored: StoredSource, known: Any, spec: Any, size: int, seed: int, field: str | None
) -> tuple[Features, ItemLabels | None]:
    """The stored features, of the spec `known`, of at most `size` items, a seeded sample.

    With them their labels by a metadata field, if one is given. Raises CollectionError for another
    `spec`.
    """
    if getattr(spec, "is_partial", False):
        spec = spec.completed(known)
    if spec not in (None, known):
        raise CollectionError(
            f"spec: expected {known}, of which the features are stored, got {spec}; leave it out, "
            "or give the source again"
        )
    features, rows = stored.sample(size, seed)
    labels = None if field is None else stored.labels(rows, field)
    if kind_of(known.kind).drops_outliers and not known.packed:
        kept = np.array(typical(list(np.asarray(features))), np.int64)
        features, labels = take_rows(features, kept), labels and labels.take(kept)
    return features, labels


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
    from indexer.training.options import TrainingOptions
    from indexer.training.presets import recipe_of

    options = with_former(options, former, kind)
    seed, field = (options or TrainingOptions()).seed, options.label if options else None
    if isinstance(items, StoredSource) and items.features is not None and former is not None:
        on_note(
            "learning from stored features, because the items themselves are not stored: how "
            "features are computed stays as it is"
        )
        payloads: list[Payload] = []
        featurizer, doubts = former.featurizer, []
        features, labels = _stored_sample(items, featurizer.spec, spec, max_items, seed, field)
    else:
        with stopwatch.stage("read"):
            usable = _usable(items, on_progress)
            payloads, labels = sampled_with_labels(usable, max_items, seed, field)
        with stopwatch.stage("features"):
            # items refused here are met again when they are added, which reports them
            invariant = (options and options.invariant) or ()
            spec = spec_for(payloads, spec, preparer, invariant)
            if isinstance(spec, TextSpec):
                spec = in_word_order(spec, recipe_of(kind, options).in_order)
            featurizer, features, rows = fit_features(payloads, kind, spec, preparer, invariant)
        if note := note_on(payloads, featurizer.spec):
            on_note(f"note: {note}")
        if labels is not None:
            labels = labels.take(rows)
            labels.require_learnable()
        is_of_vectors = isinstance(featurizer.spec, VectorSpec)
        doubts = packing_warnings(payloads, featurizer.spec) if is_of_vectors else []
    options = options_for(featurizer, options)
    try:
        encoder, report = train_encoder(
            featurizer,
            features,
            kind,
            options,
            labels,
            resumed=unfinished if resumes else None,
            on_progress=on_progress,
            on_note=on_note,
            watchers=watchers,
        )
        decoder = decoder_for(kind, encoder, features, report, on_progress)
        denoiser = denoiser_for(
            featurizer, features, payloads, preparer.patches, report, on_progress
        )
    except TrainingError:
        unfinished.forget()
        raise
    report.warnings += doubts
    for stage in report.stages:
        seconds = stopwatch.seconds
        seconds[stage.stage] = seconds.get(stage.stage, 0.0) + stage.seconds
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
    from indexer.training.presets import PRESETS
    from indexer.training.recipe import Recipe

    def on_step(stage: str, done: int, total: int, loss: float) -> None:
        on_progress(stage, done, total)

    recipe = PRESETS[kind][str(options.preset)].recipe
    fair = isinstance(recipe, Recipe) and recipe.bottleneck.fair_bits
    decoder, stage = taught_decoder(features, encoder, options, on_step, fair_bits=fair)
    report.stages.append(stage)
    return decoder


def _usable(items: Iterable[Item | Skipped], on_progress: Progress) -> Iterator[Item]:
    for count, item in enumerate(taken(items)):
        if count % BATCH == 0:
            on_progress("read", count, None)
        if isinstance(item, Item):
            yield item


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


def with_former(
    options: TrainingOptions | None, former: Coder | None, kind: str
) -> TrainingOptions | None:
    """The options of a new model, which keeps to what the codes of the former one ignore.

    That is `TrainingOptions.invariant`, unless the options say it themselves. Raises InputError for
    a preset that can't ignore it.
    """
    from indexer.training.options import TrainingOptions
    from indexer.training.presets import preset_for, require_used

    spec = None if former is None else former.encoder.spec
    if not isinstance(spec, PatchSpec) or not spec.invariant:
        return options
    options = options or TrainingOptions()
    if options.invariant is not None:
        return options
    options = replace(options, invariant=spec.invariant)
    try:
        require_used(kind, replace(options, preset=preset_for(kind, options.preset)))
    except ValueError as error:
        raise InputError(
            f"{error}. The former model ignored it; `--invariant none` ends that"
        ) from error
    return options


def options_for(featurizer: Featurizer, options: TrainingOptions | None) -> TrainingOptions:
    """The options given, or the default ones; for packed bits these take the bits as they are."""
    from indexer.training.options import AS_GIVEN, TrainingOptions

    spec = featurizer.spec
    if not (isinstance(spec, VectorSpec) and spec.packed):
        return options or TrainingOptions()
    if options is None:
        return TrainingOptions(n_bits=spec.n_features, preset=AS_GIVEN)
    is_given = options.preset is None and options.n_bits == spec.n_features
    return replace(options, preset=AS_GIVEN) if is_given else options


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
