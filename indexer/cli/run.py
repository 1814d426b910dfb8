"""A run of `hashret index`: train where needed, add, prune, commit; or what that would do."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hashret.errors import EmptyCorpusError, InputError
from hashret.items import Item
from hashret.specs import VectorSpec
from indexer.cli.console import progress_bars, say, show_counts, show_times, show_training

if TYPE_CHECKING:
    from indexer.corpus import Skipped
    from indexer.ingest.counts import Tally
    from indexer.ingest.dry_run import Rehearsal
    from indexer.training.options import TrainingOptions
    from indexer.training.report import TrainingReport
    from indexer.writer import Indexer


@dataclass(frozen=True, slots=True)
class Run:
    """One run of `hashret index`, as the command line asked for it."""

    read: Callable[[], Iterator[Item | Skipped]]
    to: Path
    kind: str
    model: dict[str, Any]  # what was said about the model; None: nothing
    spec: VectorSpec | None = None  # what was said about vectors
    catalog: str | None = None
    device: str = "auto"
    store_features: bool | None = None
    retrain: bool = False
    prune: bool = False
    wait: float = 0.0
    workers: int | None = None
    quiet: bool = False


def run_index(run: Run, on_skipped: Callable[[Skipped], None] | None = None) -> Tally:
    """Do what the command line asked for, and say what was done."""
    from indexer.writer import Indexer

    with (
        progress_bars(run.quiet) as on_progress,
        Indexer(
            run.to,
            run.kind,
            catalog=run.catalog,
            wait_seconds=run.wait,
            store_features=run.store_features,
            workers=run.workers,
            resume=True,
            on_progress=on_progress,
            on_skipped=on_skipped,
            on_note=say,
        ) as indexer,
    ):
        try:
            report = _fit(indexer, run)
        except EmptyCorpusError:
            _count_unusable(run, on_skipped)
            raise
        indexer.add(run.read(), total=report.n_items if report else None)
        _require_usable(indexer.tally)
        if run.prune:
            indexer.prune()
        commit = indexer.commit()
    if not run.quiet:
        if report is not None:
            show_training(report)
        show_times(indexer.stopwatch.seconds)
    elif report is not None:
        for warning in report.warnings:
            say(f"warning: {warning}")
    show_counts(indexer.tally)
    pruned = f", {indexer.tally.removed} pruned" if run.prune else ""
    say(f"{run.to}: commit {commit.commit}, {commit.n_items} items{pruned}")
    return indexer.tally


def rehearse(run: Run, on_skipped: Callable[[Skipped], None] | None) -> None:
    """Say what `run_index` would do, and write nothing."""
    from indexer.ingest.dry_run import Rehearsal

    with Rehearsal(
        run.to, run.kind, catalog=run.catalog, workers=run.workers, on_skipped=on_skipped
    ) as rehearsal:
        _fit(rehearsal, run)
        for warning in rehearsal.warnings:
            say(f"warning: {warning}")
        rehearsal.add(run.read())
        _require_usable(rehearsal.tally, "would be ")
        if run.prune:
            rehearsal.prune()
        show_counts(rehearsal.tally, "would be ")
        rehearsal.commit()
    if run.prune:
        say(f"{run.to}: {rehearsal.tally.removed} would be pruned")


def _count_unusable(run: Run, on_skipped: Callable[[Skipped], None] | None) -> None:
    """Say of sources from which nothing could be learned what they hold, and why it is no use.

    Raises `EmptyCorpusError` where not one item can be used.
    """
    from indexer.ingest.dry_run import Rehearsal

    with Rehearsal(
        run.to, run.kind, catalog=run.catalog, workers=run.workers, on_skipped=on_skipped
    ) as rehearsal:
        _fit(rehearsal, run)
        rehearsal.add(run.read())
        _require_usable(rehearsal.tally)


def _require_usable(tally: Tally, tense: str = "") -> None:
    """Raise `EmptyCorpusError` if nothing came in, or only what was skipped, which is shown."""
    if not tally.seen:
        raise EmptyCorpusError(
            "sources: expected at least one item, got none; check the paths and --kind"
        )
    if tally.n_skipped == tally.seen:
        show_counts(tally, tense)
        raise EmptyCorpusError(
            f"sources: expected at least one item that can be used, got {tally.n_skipped} that "
            "cannot; the reasons stand above"
        )


def _fit(indexer: Indexer | Rehearsal, run: Run) -> TrainingReport | None:
    """Train where there is no model or a new one is wanted; else the asked one must be there."""
    asked = {name: value for name, value in run.model.items() if value is not None}
    if indexer.coder is not None and not run.retrain:
        _require_as_made(indexer, asked, run)
        return None
    options = _options(run, asked)
    if run.device == "cuda":
        from indexer.training.optimise import choose_device

        choose_device(run.device)
    items = run.read()
    if indexer.coder is not None and not run.prune:
        items = indexer.requiring_all(items)
    return indexer.fit(items, options, spec=run.spec)


def _options(run: Run, asked: dict[str, Any]) -> TrainingOptions | None:
    """How to train as asked; None: as is best for the items, where nothing is to be learned."""
    from indexer.training.options import AS_GIVEN, TrainingOptions
    from indexer.training.presets import preset_for

    # what can't be must not cost the reading of the sources
    preset = preset_for(run.kind, asked.get("preset"))
    packed = run.spec is not None and run.spec.packed
    if preset == AS_GIVEN and not packed:
        raise InputError(
            f"--preset: expected --packed-bits with {AS_GIVEN}, got numbers; leave the preset out"
        )
    if packed and asked.get("preset") in (None, AS_GIVEN) and "n_bits" not in asked:
        if "seed" in asked:
            raise InputError(
                f"--seed: expected none with the preset {AS_GIVEN}, which learns nothing; leave it "
                "out"
            )
        return None
    return TrainingOptions(**asked, device=run.device)


def _require_as_made(indexer: Indexer | Rehearsal, asked: Mapping[str, Any], run: Run) -> None:
    """Raise `InputError` for an option that says otherwise than what the collection was made with.

    `asked`: what was said about the model.
    """
    from indexer.training.options import Multiples

    made_with = {**indexer.description["training"]["options"], **indexer.description["features"]}
    made_with.setdefault("multiples", asdict(Multiples()))  # models of before there were any
    wanted = dict(asked)
    if run.spec is not None:
        made_with["packed-bits"] = made_with.get("packed", False)
        wanted |= {"packed-bits": True} if run.spec.packed else {"metric": run.spec.metric}
    if None not in (indexer.keeps_features, run.store_features):  # there may be no item yet
        features = {True: "items with features", False: "items without features"}
        made_with["store-features"] = features[bool(indexer.keeps_features)]
        wanted["store-features"] = features[bool(run.store_features)]
    for name, value in wanted.items():
        value = asdict(value) if isinstance(value, Multiples) else value
        if value is not None and made_with[name] != value:
            option = "recipe" if name in ("rounds", "multiples") else name.removeprefix("n_")
            raise InputError(
                f"--{option}: expected {made_with[name]} as {run.to} was made "
                f"with, got {value}; pass --retrain to learn a new model"
            )
