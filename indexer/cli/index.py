"""The verb `hashret index`: its options, and what they say of a run."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.files import read_text, written
from hashret.cli.output import wait_option
from hashret.items import Item
from hashret.kinds import KINDS
from indexer.cli.console import say, show_guesses
from indexer.cli.options import (
    SEED,
    device_option,
    metric_option,
    packed_option,
    reading_of,
    reading_options,
    require_output,
    vector_spec,
)
from indexer.cli.run import Run, rehearse, run_index
from indexer.training.presets import PRESETS

if TYPE_CHECKING:
    from indexer.corpus import Reading, Skipped

_REPORT = "the report"
_TEXT = r'"(?:[^"\\]|\\.)*"'
#: How a report begins.
_LINE = re.compile(rf'\{{"id": {_TEXT}, "reason": {_TEXT}, "class": {_TEXT}\}}\r?\n')


def _bits(ctx: click.Context, parameter: click.Parameter, value: int | None) -> int | None:
    if value is not None and (not 8 <= value <= 512 or value % 8):
        raise click.BadParameter(f"expected 8 to 512 in steps of 8, got {value}")
    return value


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--to", required=True, type=click.Path(path_type=Path), help="The collection.")
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    help="What the items are.  [default: as found]",
)
@click.option(
    "--bits",
    type=int,
    callback=_bits,
    metavar="8..512",
    help="Length of a code.  [default: 64; as many as there are of --packed-bits]",
)
@click.option(
    "--preset",
    help="How the model is built and trained: "
    + ", ".join(f"of {kind}s {' or '.join(names)}" for kind, names in PRESETS.items())
    + ".  [default: the first; of --packed-bits, identity]",
)
@click.option(
    "--recipe", type=click.Path(path_type=Path), help="Train as `hashret tune --write` chose."
)
@metric_option
@packed_option
@click.option(
    "--seed",
    type=SEED,
    help="Same seed, same machine: same codes.  [default: 0]",
)
@device_option
@click.option(
    "--ids",
    type=click.Path(path_type=Path),
    multiple=True,
    help="Ids of an array's rows, one a line; given once for all arrays, or once for each.",
)
@reading_options
@click.option(
    "--catalog",
    metavar="URL",
    help="Keep the catalog on PostgreSQL: postgresql+psycopg://USER@HOST/DATABASE.",
)
@click.option("--prune", is_flag=True, help="Remove items that the sources no longer have.")
@click.option(
    "--store-features/--no-store-features",
    default=None,
    help="Keep input features, for --rerank.  [default: of texts and images]",
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
    ids: tuple[Path, ...],
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
    metric: str | None,
    packed: bool,
    **rest: Any,
) -> None:
    """Index SOURCES (folders, .jsonl, .csv, .npy, .npz, single files) into a collection.

    Trains a model if the collection has none, then adds new items, replaces changed ones and
    skips unchanged ones. An item that can't be used is skipped and its reason reported.
    """
    from indexer import corpus
    from indexer.ingest.prepare import default_workers

    how = reading_of(rest, ids)
    chosen = _kind(sources, kind, to, catalog, how)
    spec = vector_spec(chosen, metric, packed)

    def read() -> Iterator[Item | Skipped]:
        return corpus.read(sources, chosen, how, workers=workers or default_workers())

    model = {"n_bits": bits, "preset": preset, "seed": seed}
    if recipe is not None:
        model |= _recipe(recipe, chosen, preset)
    run = Run(read, to, chosen, model, spec, catalog=catalog, workers=workers, **rest)
    if report is not None:
        read_too = (*ids, recipe)
        require_output(report, _REPORT, _LINE, sources, chosen, to=to, inputs=read_too)
    with _skip_report(report) as on_skipped:
        if dry_run:
            rehearse(run, on_skipped)
            show_guesses(how.guesses)
            return
        tally = run_index(run, on_skipped)
    show_guesses(how.guesses)
    if tally.replaced:
        _say_if_numbered(sources, how, tally.replaced)


def _recipe(path: Path, kind: str, preset: str | None) -> dict[str, Any]:
    """What a recipe says about the model, which may not be another preset than that asked for."""
    from indexer.tuning.recipes import read_recipe

    found = read_recipe(read_text(path, "a recipe of `hashret tune --write`"), kind)
    if preset not in (None, found["preset"]):
        raise click.UsageError(
            f"--preset: expected {found['preset']} as {path} says, got {preset}; leave it out"
        )
    return found


def _say_if_numbered(sources: tuple[Path, ...], how: Reading, replaced: int) -> None:
    from indexer.corpus import vectors

    for path in sources:
        if not how.ids and vectors.are_numbered(path):
            say(
                f"note: the rows of {path} have only their numbers as ids, and {replaced} items "
                "were replaced by such; pass --ids or --id-prefix if they are other items"
            )
            return


def _kind(
    sources: tuple[Path, ...], kind: str | None, to: Path, catalog: str | None, how: Reading
) -> str:
    """What the items are: as said, as the collection has them, or as found."""
    from indexer import corpus
    from indexer.ingest.writer_session import another_kind

    held = _kind_of(to, catalog)
    if held is None:
        return kind or corpus.infer_kind(sources, how)
    if kind not in (None, held):
        raise another_kind("--kind", held, to, str(kind))
    for source in (corpus.Source(path, held) for path in sources):
        if not source.may_fit:
            raise another_kind(str(source.path), held, to, source.form)
    return held


def _kind_of(to: Path, address: str | None) -> str | None:
    """The kind of the collection at `to`, None where there is none yet."""
    from hashret.store.catalog.catalog import Catalog
    from hashret.store.layout import Layout

    catalog = Catalog.open_if_made(Layout.require_place(to), address=address)
    if catalog is None:
        return None
    with catalog:
        return catalog.kind


@contextmanager
def _skip_report(path: Path | None) -> Iterator[Callable[[Skipped], None] | None]:
    """A function that writes skipped items to `path` as JSON lines; None for no path.

    A run that fails leaves a report of what it had skipped by then.
    """
    if path is None:
        yield None
        return
    with written(path, _REPORT, even_after_error=True) as report:

        def write(skipped: Skipped) -> None:
            fields = {"id": skipped.id, "reason": skipped.reason, "class": skipped.error_class}
            report.write(json.dumps(fields) + "\n")

        yield write
