"""`hashret index`: learn a model where there is none, and write what is new or changed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli import main, wait_option
from hashret.cli_files import read_text, written
from hashret.errors import EmptyCorpusError, InputError
from hashret.items import Item
from hashret.specs import VectorSpec
from indexer.console import progress_bars, say, show_counts, show_times, show_training
from indexer.presets import PRESETS_OF

if TYPE_CHECKING:
    from indexer.corpus import Skipped
    from indexer.dry_run import Rehearsal
    from indexer.reports import TrainingReport
    from indexer.tally import Tally
    from indexer.writer import Indexer


def _bits(ctx: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    if value is not None and (not 8 <= value <= 512 or value % 8):
        raise click.BadParameter(f"expected 8 to 512 in steps of 8, got {value}")
    return value


@dataclass(frozen=True, slots=True)
class Run:
    """One run of `hashret index`, as the command line asked for it."""

    read: Callable[[], Iterator[Item | Skipped]]
    to: Path
    kind: str
    model: dict[str, Any]  # what was said about the model; None: nothing
    metric: str | None = None
    catalog: str | None = None
    device: str = "auto"
    store_features: bool | None = None
    retrain: bool = False
    prune: bool = False
    wait: float = 0.0
    workers: int | None = None
    quiet: bool = False


@main.command(short_help="Learn codes for files and write them into a collection.")
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", required=True, type=click.Path(path_type=Path), help="The collection.")
@click.option(
    "--kind",
    type=click.Choice(["text", "image", "vector"]),
    help="What the items are.  [default: as found]",
)
@click.option(
    "--bits",
    type=int,
    callback=_bits,
    metavar="8..512",
    help="Length of a code.  [default: 64]",
)
@click.option(
    "--preset",
    help="How the model is built and trained: "
    + ", ".join(f"of {kind}s {' or '.join(names)}" for kind, names in PRESETS_OF.items())
    + ".  [default: the first]",
)
@click.option(
    "--recipe", type=click.Path(path_type=Path), help="Train as `hashret tune --write` chose."
)
@click.option(
    "--metric",
    type=click.Choice(["cosine", "euclidean"]),
    help="What makes vectors near.  [default: cosine]",
)
@click.option(
    "--seed",
    type=click.IntRange(0, 2**63 - 1),  # what torch takes
    help="Same seed, same machine: same codes.  [default: 0]",
)
@click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where training runs.",
)
@click.option("--ids", type=click.Path(path_type=Path), help="Ids of an array's rows, one a line.")
@click.option(
    "--catalog",
    metavar="URL",
    help="Keep the catalog on PostgreSQL: postgresql+psycopg://USER@HOST/DATABASE.",
)
@click.option("--prune", is_flag=True, help="Remove items that the sources no longer have.")
@click.option(
    "--store-features/--no-store-features",
    default=None,
    help="Keep input features, for --rerank.  [default: of texts]",
)
@click.option("--retrain", is_flag=True, help="Learn a new model and encode everything again.")
@click.option("--dry-run", is_flag=True, help="Read everything, write nothing, say what would be.")
@click.option("--report", type=click.Path(path_type=Path), help="Write every skipped item here.")
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    help="Processes that read and encode.  [default: leaves a core free]",
)
@wait_option
@click.option("-q", "--quiet", is_flag=True, help="Only the closing line and what was skipped.")
def index(
    sources: tuple[Path, ...],
    ids: Path | None,
    dry_run: bool,
    report: Path | None,
    to: Path,
    kind: str | None,
    bits: int | None,
    preset: str | None,
    recipe: Path | None,
    seed: int | None,
    workers: int | None,
    catalog: str | None,
    **rest: Any,
) -> None:
    """Index SOURCES (folders, .jsonl, .csv, .npy, .npz, single files) into a collection.

    Trains a model if the collection has none, then adds new items, replaces changed ones and
    skips unchanged ones. An item that can't be used is skipped and its reason reported.
    """
    from indexer import corpus
    from indexer.prepare import default_workers

    chosen = _kind(sources, kind, to, catalog)
    if rest["metric"] and chosen != "vector":
        raise click.UsageError(
            f"--metric: expected items of kind vector, got {chosen}; leave it out"
        )

    def read() -> Iterator[Item | Skipped]:
        return corpus.read(sources, chosen, ids=ids, workers=workers or default_workers())

    model = {"n_bits": bits, "preset": preset, "seed": seed}
    if recipe is not None:
        model |= _recipe(recipe, chosen, preset)
    run = Run(read, to, chosen, model, catalog=catalog, workers=workers, **rest)
    with _skip_report(report) as on_skipped:
        if dry_run:
            _rehearse(run, on_skipped)
            return
        tally = run_index(run, on_skipped)
    if tally.replaced:
        _say_if_numbered(sources, ids, tally.replaced)


def _recipe(path: Path, kind: str, preset: str | None) -> dict[str, Any]:
    """What a recipe says about the model, which may not be another preset than that asked for."""
    from indexer.tuning.recipes import read_recipe

    found = read_recipe(read_text(path, "a recipe of `hashret tune --write`"), kind)
    if preset not in (None, found["preset"]):
        raise click.UsageError(
            f"--preset: expected {found['preset']} as {path} says, got {preset}; leave it out"
        )
    return found


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
        report = _fit(indexer, run)
        indexer.add(run.read(), total=report.n_items if report else None)
        _require_some(indexer.tally)
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


def _rehearse(run: Run, on_skipped: Callable[[Skipped], None] | None) -> None:
    from indexer.dry_run import Rehearsal

    with Rehearsal(
        run.to, run.kind, catalog=run.catalog, workers=run.workers, on_skipped=on_skipped
    ) as rehearsal:
        _fit(rehearsal, run)
        rehearsal.add(run.read())
        _require_some(rehearsal.tally)
        if run.prune:
            rehearsal.prune()
        show_counts(rehearsal.tally, "would be ")
        rehearsal.commit()
    if run.prune:
        say(f"{run.to}: {rehearsal.tally.removed} would be pruned")


def _require_some(tally: Tally) -> None:
    if not tally.seen:
        raise EmptyCorpusError(
            "sources: expected at least one item, got none; check the paths and --kind"
        )


def _fit(indexer: Indexer | Rehearsal, run: Run) -> TrainingReport | None:
    """Train where there is no model or a new one is wanted; else the asked one must be there."""
    from indexer.presets import preset_for
    from indexer.reports import TrainingOptions

    asked = {name: value for name, value in run.model.items() if value is not None}
    if indexer.coder is not None and not run.retrain:
        _require_as_made(indexer, asked, run)
        return None
    options = TrainingOptions(**asked, device=run.device)
    preset_for(run.kind, options.preset)  # what can't be must not cost the reading of the sources
    if run.device == "cuda":
        from indexer.optimise import choose_device

        choose_device(run.device)
    items = run.read()
    if indexer.coder is not None and not run.prune:
        items = indexer.requiring_all(items)
    return indexer.fit(items, options, spec=VectorSpec(metric=run.metric) if run.metric else None)


def _require_as_made(indexer: Indexer | Rehearsal, asked: Mapping[str, Any], run: Run) -> None:
    """Raise `InputError` for an option that says otherwise than what the collection was made with.

    `asked`: what was said about the model.
    """
    from indexer.reports import Multiples

    made_with = {**indexer.description["training"]["options"], **indexer.description["features"]}
    made_with.setdefault("multiples", asdict(Multiples()))  # models of before there were any
    wanted = {**asked, "metric": run.metric}
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


def _say_if_numbered(sources: tuple[Path, ...], ids: Path | None, replaced: int) -> None:
    from indexer.corpus import vectors

    for path in sources:
        if ids is None and vectors.are_numbered(path):
            say(
                f"note: the rows of {path} have only their numbers as ids, and {replaced} items "
                "were replaced by such; pass --ids if they are other items"
            )
            return


def _kind(sources: tuple[Path, ...], kind: str | None, to: Path, catalog: str | None) -> str:
    """What the items are: as said, as the collection has them, or as found."""
    from indexer import corpus
    from indexer.held import another_kind

    held = _kind_of(to, catalog)
    if held is None:
        return kind or corpus.infer_kind(sources)
    if kind not in (None, held):
        raise another_kind("--kind", held, to, str(kind))
    for source in (corpus.Source(path, held) for path in sources):
        if not source.may_fit:
            raise another_kind(str(source.path), held, to, source.form)
    return held


def _kind_of(to: Path, address: str | None) -> str | None:
    """The kind of the collection at `to`, None where there is none yet."""
    from hashret.store.catalog import Catalog
    from hashret.store.layout import Layout

    if not Layout.exists(to):
        return None
    with Catalog.open(Layout.find(to), address=address) as catalog:
        return catalog.kind


@contextmanager
def _skip_report(path: Path | None) -> Iterator[Callable[[Skipped], None] | None]:
    """A function that writes skipped items to `path` as JSON lines; None for no path."""
    if path is None:
        yield None
        return
    with written(path, "the report") as report:

        def write(skipped: Skipped) -> None:
            fields = {"id": skipped.id, "reason": skipped.reason, "class": skipped.error_class}
            report.write(json.dumps(fields) + "\n")

        yield write
