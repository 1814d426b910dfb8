"""A run of `hashret index`: train if needed, add, prune, commit; or a rehearsal of all that."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashret.errors import EmptyCorpusError, InputError
from hashret.items import Item
from hashret.kinds import kind_of
from hashret.specs import SequenceSpec, VectorSpec
from indexer.cli.closing import show_counts
from indexer.cli.console import progress_bars, say, show_times, show_training
from indexer.cli.learning import watchers_of

if TYPE_CHECKING:
    from hashret.store.catalog.records import SourceFolder
    from indexer.corpus import Skipped
    from indexer.dry_run import Rehearsal
    from indexer.ingest.counts import Tally
    from indexer.training.options import TrainingOptions
    from indexer.training.report import TrainingReport
    from indexer.writer import Indexer


@dataclass(frozen=True, slots=True)
class Run:
    """What the command line asks of one run of `hashret index`."""

    read: Callable[[], Iterator[Item | Skipped]]
    to: Path
    kind: str
    model: dict[str, Any]  # options of the model by name; None: not given
    spec: VectorSpec | SequenceSpec | None = None  # what options of features chose
    catalog: str | None = None
    device: str = "auto"
    store_features: bool | None = None
    store_text: bool | None = None
    passages: int | None = None
    store_images: bool | None = None
    store_thumbnails: bool | None = None
    folders: Sequence[SourceFolder] = ()  # that the items are files of
    log_dir: Path | None = None  # for what watches the training
    retrain: bool = False
    prune: bool = False
    wait: float = 0.0
    workers: int | None = None
    quiet: bool = False
    verbose: bool = False
    by_ending: bool = False  # whether the closing lines count the items by the endings of files

    def show_counts(self, tally: Tally, tense: str = "") -> None:
        """Show the closing lines."""
        show_counts(tally, self.kind, tense, by_ending=self.by_ending)


def run_index(run: Run, on_skipped: Callable[[Skipped], None] | None = None) -> Tally:
    """Train if needed, add all items, prune if asked, commit; show what was done."""
    from indexer.writer import Indexer

    shown: set[str] = set()

    def on_note(note: str) -> None:
        shown.add(note)
        say(note)

    with (
        progress_bars(run.quiet) as on_progress,
        Indexer(
            run.to,
            run.kind,
            catalog=run.catalog,
            wait_seconds=run.wait,
            store_features=run.store_features,
            store_text=run.store_text,
            passages=run.passages,
            store_images=run.store_images,
            store_thumbnails=run.store_thumbnails,
            folders=run.folders,
            workers=run.workers,
            resume=True,
            on_progress=on_progress,
            on_skipped=on_skipped,
            on_note=on_note,
        ) as indexer,
    ):
        try:
            report = _fit(indexer, run)
        except EmptyCorpusError:
            _count_unusable(run, on_skipped)
            raise
        indexer.add(run.read(), total=report.n_items if report else None)
        _require_usable(run, indexer.tally)
        if run.prune:
            indexer.prune()
        commit = indexer.commit()
    if report is not None:
        show_training(report, shown, quiet=run.quiet, verbose=run.verbose)
    if not run.quiet:
        show_times(indexer.stopwatch.seconds)
    run.show_counts(indexer.tally)
    pruned = f", {indexer.tally.removed - indexer.tally.left_over} pruned" if run.prune else ""
    say(f"{run.to}: commit {commit.commit}, {commit.n_items} items{pruned}")
    return indexer.tally


def rehearse(run: Run, on_skipped: Callable[[Skipped], None] | None) -> None:
    """Show what `run_index` would do, and write nothing."""
    with _rehearsal(run, on_skipped) as rehearsal:
        for warning in rehearsal.warnings:
            say(f"warning: {warning}")
        rehearsal.add(run.read())
        _require_usable(run, rehearsal.tally, "would be ")
        if run.prune:
            rehearsal.prune()
        run.show_counts(rehearsal.tally, "would be ")
        rehearsal.commit()
    if run.prune:
        say(f"{run.to}: {rehearsal.tally.removed - rehearsal.tally.left_over} would be pruned")


@contextmanager
def _rehearsal(run: Run, on_skipped: Callable[[Skipped], None] | None) -> Iterator[Rehearsal]:
    """A rehearsal of the run, which has learned from its items what is known without training."""
    from indexer.dry_run import Rehearsal

    with Rehearsal(
        run.to,
        run.kind,
        catalog=run.catalog,
        passages=run.passages,
        workers=run.workers,
        on_skipped=on_skipped,
    ) as rehearsal:
        _fit(rehearsal, replace(run, log_dir=None))
        yield rehearsal


def _count_unusable(run: Run, on_skipped: Callable[[Skipped], None] | None) -> None:
    """Show why each item of the sources can't be used, where none could be learned from.

    Raises `EmptyCorpusError` if no item can be used.
    """
    with _rehearsal(run, on_skipped) as rehearsal:
        rehearsal.add(run.read())
        _require_usable(run, rehearsal.tally)


def _require_usable(run: Run, tally: Tally, tense: str = "") -> None:
    """Raise `EmptyCorpusError` if there was no item, or if all were skipped, which is shown."""
    if not tally.seen:
        raise EmptyCorpusError(
            "sources: expected at least one item, got none; check the paths and --kind"
        )
    if tally.n_skipped == tally.seen:
        run.show_counts(tally, tense)
        raise EmptyCorpusError(
            f"sources: expected at least one item that can be used, got {tally.n_skipped} that "
            "cannot; see the reasons above"
        )


def _fit(indexer: Indexer | Rehearsal, run: Run) -> TrainingReport | None:
    """Train if there is no model or --retrain was given; else check the options of the model.

    Raises `InputError` if the collection's model was made with other options.
    """
    given = {name: value for name, value in run.model.items() if value is not None}
    if indexer.coder is not None and not run.retrain:
        _require_as_made(indexer, given, run)
        if run.log_dir is not None:
            say(f"note: no model is learned, so nothing is written to {run.log_dir}")
        return None
    options = _options(run, given)
    if run.device == "cuda":
        from indexer.training.optimise import choose_device

        choose_device(run.device)
    items = run.read()
    if indexer.coder is not None and not run.prune:
        items = indexer.requiring_all(items)
    with watchers_of(run.log_dir) as watchers:
        return indexer.fit(items, options, spec=run.spec, watchers=watchers)


def _options(run: Run, given: dict[str, Any]) -> TrainingOptions | None:
    """The options of the training, from those given; None where nothing is learned."""
    from indexer.training.options import AS_GIVEN, TrainingOptions
    from indexer.training.presets import preset_for

    # a wrong option is refused before the sources are read
    preset = preset_for(run.kind, given.get("preset"))
    packed = isinstance(run.spec, VectorSpec) and run.spec.packed
    if preset == AS_GIVEN and not packed:
        raise InputError(
            f"--preset: expected --packed-bits with {AS_GIVEN}, got numbers; leave the preset out"
        )
    if packed and given.get("preset") in (None, AS_GIVEN) and "n_bits" not in given:
        for name, option in (("seed", "--seed"), ("decoder", "--no-decoder")):
            if name in given:
                raise InputError(
                    f"{option}: expected none with the preset {AS_GIVEN}, which learns nothing; "
                    "leave it out"
                )
        return None
    return TrainingOptions(**given, device=run.device)


def _require_as_made(indexer: Indexer | Rehearsal, given: Mapping[str, Any], run: Run) -> None:
    """Raise `InputError` if an option differs from that with which the collection was made.

    `given`: the options of the model that the command line has, by name.
    """
    from indexer.training.options import Multiples

    made_with = {**indexer.description["training"]["options"], **indexer.description["features"]}
    # older models record none, or fewer
    made_with["multiples"] = asdict(Multiples(**made_with.get("multiples", {})))
    wanted = dict(given)
    made_with.setdefault("decoder", False)  # older models have none
    made_with["invariant"] = tuple(made_with.get("invariant") or ())
    made_with.setdefault("label", None)
    if isinstance(run.spec, VectorSpec):
        made_with["packed-bits"] = made_with.get("packed", False)
        wanted |= {"packed-bits": True} if run.spec.packed else {"metric": run.spec.metric}
    if isinstance(run.spec, SequenceSpec):
        made_with["steps"] = made_with["unit"]
        is_said = not run.spec.unit or run.spec.longest != SequenceSpec().longest
        longest = run.spec.longest if is_said else None
        wanted |= {"steps": run.spec.unit or None, "longest": longest}
    if None not in (indexer.keeps_features, run.store_features):  # there may be no item yet
        made_with["store-features"] = bool(indexer.keeps_features)
        wanted["store-features"] = run.store_features
    if None not in (indexer.keeps_texts, run.store_text) and kind_of(run.kind).stores_texts:
        made_with["store-text"] = bool(indexer.keeps_texts)
        wanted["store-text"] = run.store_text
    made_with["passages"], wanted["passages"] = indexer.made_with_passages, run.passages
    if None not in (indexer.keeps_images, run.store_images) and kind_of(run.kind).stores_images:
        made_with["store-images"] = bool(indexer.keeps_images)
        wanted["store-images"] = run.store_images
    for name, value in wanted.items():
        value = asdict(value) if isinstance(value, Multiples) else value
        if value is not None and made_with[name] != value:
            raise InputError(f"{run.to} {_differing(name, made_with[name], value)} needs --retrain")


def _differing(name: str, made: Any, wanted: Any) -> str:
    """What a collection was made with, and the option of another value that was given."""
    match name:
        case "n_bits":
            return f"has {made}-bit codes; --bits {wanted}"
        case "store-features":
            stored, option = ("stores", "no-store") if made else ("does not store", "store")
            return f"{stored} features; --{option}-features"
        case "store-text":
            stored, option = ("stores", "no-store") if made else ("does not store", "store")
            return f"{stored} texts; --{option}-text"
        case "passages":
            holds = f"has passages of {made} words" if made else "has whole texts"
            return f"{holds}; --passages {wanted}"
        case "store-images":
            stored, option = ("stores", "no-store") if made else ("does not store", "store")
            return f"{stored} images; --{option}-images"
        case "packed-bits":
            return "was made without --packed-bits; --packed-bits"
        case "invariant":
            ignored = ",".join(made) or "none"
            return f"was made with --invariant {ignored}; --invariant {','.join(wanted) or 'none'}"
        case "decoder":
            return "was made with a decoder; --no-decoder"
        case "label":
            learned = f"the labels {made!r}" if made else "no labels"
            return f"was made with {learned}; --label {wanted!r}"
        case "rounds" | "multiples":
            return f"was made with {name} {made}; a --recipe with {name} {wanted}"
        case _:
            return f"was made with --{name} {made}; --{name} {wanted}"
