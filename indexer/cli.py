"""The writing verbs: index, remove, demo; with the reading verbs of `hashret.cli_*` one command."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret import cli_query, cli_stored  # noqa: F401  mount their verbs
from hashret.cli import collection_argument, main, opened, show_hits
from hashret.cli_files import read_text, written
from hashret.errors import EmptyCorpusError, InputError
from hashret.items import Item
from hashret.specs import VectorSpec
from hashret.terminal import shown
from indexer import cli_compact, cli_evaluate, cli_tune  # noqa: F401  mount their verbs
from indexer.console import progress_bars, say, show_counts, show_times, show_training

if TYPE_CHECKING:
    from indexer.corpus import Skipped
    from indexer.writer import Indexer

_DEMO_QUERIES = (
    "read a file line by line",
    "send an e-mail message over SMTP",
    "wait until all threads have finished",
)
_DEMO_SHORTLIST = 100

__all__ = ["main"]


def _read_document(path: Path) -> str:
    from indexer.corpus.documents import read_text
    from indexer.corpus.skipped import Refused

    try:
        return read_text(path, follow=True)[0]
    except Refused as refused:
        raise InputError(f"{path}: {refused}") from refused


def _read_vector(path: Path) -> Any:
    from indexer.corpus.arrays import read_vector

    return read_vector(path)


cli_query.READERS.update(text=_read_document, vector=_read_vector)


def _bits(ctx: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    if value is not None and (not 8 <= value <= 512 or value % 8):
        raise click.BadParameter(f"expected 8 to 512 in steps of 8, got {value}")
    return value


@dataclass(frozen=True, slots=True)
class _Run:
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


@main.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", required=True, type=click.Path(path_type=Path), help="The collection.")
@click.option("--kind", type=click.Choice(["text", "image", "vector"]), help="[default: as found]")
@click.option(
    "--bits",
    type=int,
    callback=_bits,
    metavar="8..512",
    help="Length of a code.  [default: 64]",
)
@click.option("--preset", help="How the model is built and trained.  [default: the kind's]")
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
@click.option("--device", type=click.Choice(["auto", "cpu", "cuda"]), default="auto")
@click.option("--ids", type=click.Path(path_type=Path), help="Ids of the vectors, one a line.")
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
@click.option("--wait", type=click.FloatRange(min=0), default=0.0, help="Seconds for a writer.")
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
    """Index SOURCES (folders, .jsonl, .jsonl.gz, .csv, .npy, .npz) into a collection.

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

    with _skip_report(report) as on_skipped:
        if dry_run:
            from indexer.dry_run import rehearse
            from indexer.tally import Tally

            tally = Tally(on_skipped=on_skipped)
            show_counts(rehearse(read(), to, chosen, tally, catalog), "would be ")
        else:
            model = {"n_bits": bits, "preset": preset, "seed": seed}
            if recipe is not None:
                model |= _recipe(recipe, chosen, preset)
            run = _Run(read, to, chosen, model, catalog=catalog, workers=workers, **rest)
            _index(run, on_skipped)


def _recipe(path: Path, kind: str, preset: str | None) -> dict[str, Any]:
    """What a recipe says about the model, which may not be another preset than that asked for."""
    from indexer.tuning.recipes import read_recipe

    found = read_recipe(read_text(path, "a recipe of `hashret tune --write`"), kind)
    if preset not in (None, found["preset"]):
        raise click.UsageError(
            f"--preset: expected {found['preset']} as {path} says, got {preset}; leave it out"
        )
    return found


def _index(run: _Run, on_skipped: Callable[[Skipped], None] | None = None) -> None:
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
        if not indexer.tally.seen:
            raise EmptyCorpusError(
                "sources: expected at least one item, got none; check the paths and --kind"
            )
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


def _fit(indexer: Indexer, run: _Run) -> Any:
    """Train where there is no model or a new one is wanted; else the asked one must be there."""
    from indexer.training import Multiples, TrainingOptions

    asked = {name: value for name, value in run.model.items() if value is not None}
    if indexer.coder is None or run.retrain:
        spec = VectorSpec(metric=run.metric) if run.metric else None
        return indexer.fit(run.read(), TrainingOptions(**asked, device=run.device), spec=spec)
    made_with = {**indexer.description["training"]["options"], **indexer.description["features"]}
    asked |= {"metric": run.metric} if run.metric else {}
    made_with.setdefault("multiples", asdict(Multiples()))  # models of before there were any
    for name, value in asked.items():
        value = asdict(value) if isinstance(value, Multiples) else value
        if made_with[name] != value:
            option = "recipe" if name in ("rounds", "multiples") else name.removeprefix("n_")
            raise InputError(
                f"--{option}: expected {made_with[name]} as {run.to} was made "
                f"with, got {value}; pass --retrain to learn a new model"
            )
    return None


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


@main.command()
@collection_argument
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--wait", type=click.FloatRange(min=0), default=0.0, help="Seconds for a writer.")
def remove(collection: Path, ids: tuple[str, ...], wait: float) -> None:
    """Remove the items of these IDs from COLLECTION: all of them, or none if one is unknown."""
    from hashret.store.layout import Layout
    from indexer.writer import Indexer

    Layout.find(collection)  # never create one just to remove from it
    with Indexer(collection, wait_seconds=wait) as indexer:
        removed = indexer.remove(ids)
        commit = indexer.commit()
    click.echo(f"removed {removed}")
    say(f"{collection}: commit {commit.commit}, {commit.n_items} items")


@main.command()
@collection_argument
@click.option("--apply", "act", is_flag=True, help="Do it; without, only say what would be done.")
@click.option("--wait", type=click.FloatRange(min=0), default=0.0, help="Seconds for a writer.")
def repair(collection: Path, act: bool, wait: float) -> None:
    """Say how a damaged COLLECTION would be repaired and which items are lost; --apply does it."""
    from hashret.store import repair as repairing
    from hashret.store.layout import Layout

    layout = Layout.find(collection)
    made = repairing.apply(layout, wait) if act else repairing.plan(layout)
    if made.findings.is_sound:
        click.echo("sound: nothing to repair")
        return
    for damage in made.findings.damages:
        click.echo(f"damaged {damage.path}")
    if made.fall_back_to is not None:
        click.echo(f"back to commit {made.fall_back_to}, the last one with a sound model")
    if made.salvaged is not None:
        found = made.salvaged
        items = f"{len(found.live)} items"
        click.echo(f"new catalog of commit {found.commit} as far as it can be read: {items}")
    for path in made.moved:
        aside = f"{repairing.DAMAGED}/{path.relative_to(layout.root)}"
        click.echo(f"{'moved' if act else 'would move'} {path.relative_to(layout.root)} to {aside}")
    for name in made.without_features:
        click.echo(f"without features from now on (no --rerank): segment {name}")
    for item_id in made.lost_ids:
        click.echo(f"lost {shown(item_id)}")
    if not act:
        say("nothing was changed; repeat with --apply to do it")


@main.command()
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default="demo.hashret",
    show_default=True,
    help="The collection to make.",
)
@click.option("--wait", type=click.FloatRange(min=0), default=0.0, help="Seconds for a writer.")
def demo(to: Path, wait: float) -> None:
    """Index the docstrings of Python's standard library and answer three questions."""
    from indexer.stdlib_docstrings import read_docstrings

    say(f"indexing the docstrings of this Python's standard library into {to} ...")
    _index(_Run(read_docstrings, to, "text", {}, wait=wait))
    with opened(to) as snapshot:
        for text in _DEMO_QUERIES:
            click.echo(f'\n$ hashret query {to} "{text}" -k 5 --rerank {_DEMO_SHORTLIST}')
            show_hits(snapshot.query(text, k=5, rerank=_DEMO_SHORTLIST), as_json=False)
