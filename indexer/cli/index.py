"""The verb `hashret index`: its options, and the run that they describe."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.files import written
from hashret.cli.output import wait_option
from hashret.kinds import KINDS, kind_of
from indexer.cli.console import say, show_columns, show_guesses, verbose_option
from indexer.cli.kinds import preset_of, require_mixable, shares
from indexer.cli.learning import (
    SEED,
    Learning,
    device_option,
    learning_options,
    log_dir_option,
    longest_option,
    metric_option,
    packed_option,
    sequence_spec,
    steps_option,
    vector_spec,
)
from indexer.cli.outliers.flagged import first_new_row, flag_option, show_flagged
from indexer.cli.outputs import require_output
from indexer.cli.reading import reading_of, reading_options, with_stdin
from indexer.cli.run import Run, rehearse, run_index

if TYPE_CHECKING:
    from indexer.corpus import Reading, Skipped

_REPORT = "the report"
_TEXT = r'"(?:[^"\\]|\\.)*"'
#: How a report begins.
_LINE = re.compile(rf'\{{"id": {_TEXT}, "reason": {_TEXT}, "class": {_TEXT}\}}\r?\n')


@click.command()
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to",
    required=True,
    type=click.Path(path_type=Path),
    help="The collection, a folder: made if it is not there, added to if it is.",
)
@click.option(
    "--images-to",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="For folders of texts and images: texts go into --to, images into this collection.",
)
@click.option(
    "--kind",
    type=click.Choice(list(KINDS)),
    help="What the items are.  [default: guessed from the files]",
)
@learning_options
@metric_option
@packed_option
@steps_option
@longest_option
@click.option(
    "--seed",
    type=SEED,
    metavar="N",
    help="Seed of the training: on one machine, the same seed gives the same codes.  [default: 0]",
)
@device_option
@log_dir_option
@click.option(
    "--ids",
    type=click.Path(path_type=Path),
    multiple=True,
    help="File with the ids of an array's rows, one a line; give one file for all arrays, or one "
    "for each.",
)
@reading_options
@click.option(
    "--catalog",
    metavar="URL",
    help="Keep the catalog on a PostgreSQL server instead of in the folder: "
    "postgresql+psycopg://USER@HOST/DATABASE.",
)
@click.option("--prune", is_flag=True, help="Remove items that are no longer in SOURCES.")
@click.option(
    "--store-features/--no-store-features",
    default=None,
    help="Keep what each code was made from, which `query --rerank-by features` compares.  "
    "[default: yes, but no for vectors]",
)
@click.option(
    "--store-text/--no-store-text",
    default=None,
    help="Keep the texts themselves: for questions by words, for `get`, and so that `retrain` "
    "needs no source.  [default: yes]",
)
@click.option(
    "--passages",
    type=click.IntRange(min=0),
    metavar="WORDS",
    help="Split long texts into passages of about so many words, each an item of its own; 0 keeps "
    "texts whole.  [default: as the collection does; 0 for a new one]",
)
@click.option(
    "--store-images/--no-store-images",
    default=None,
    help="Keep images, as small as the model sees them, so that `retrain` needs no source.  "
    "[default: no]",
)
@click.option(
    "--thumbnails/--no-thumbnails",
    "store_thumbnails",
    default=None,
    help="Keep a thumbnail of each image, about 3 kB, which the page shows.  [default: as the "
    "collection did last, else yes]",
)
@flag_option
@click.option("--retrain", is_flag=True, help="Learn a new model and encode everything again.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Read everything but write nothing; report what would change.",
)
@click.option(
    "--report",
    type=click.Path(path_type=Path),
    help="Write every skipped item and its reason to this file, as JSON lines.",
)
@click.option(
    "--workers",
    type=click.IntRange(min=1),
    metavar="N",
    help="Processes that read and encode.  [default: one fewer than the cores]",
)
@wait_option
@verbose_option
@click.option(
    "-q", "--quiet", is_flag=True, help="Show only warnings, skipped items and the closing line."
)
def index(
    sources: tuple[Path, ...],
    ids: tuple[Path, ...],
    dry_run: bool,
    report: Path | None,
    to: Path,
    images_to: Path | None,
    kind: str | None,
    seed: int | None,
    workers: int | None,
    catalog: str | None,
    log_dir: Path | None,
    metric: str | None,
    packed: bool,
    unit: str | None,
    longest: int | None,
    flag_outliers: float | None,
    **rest: Any,
) -> None:
    """Learn codes for SOURCES and write them into a collection.

    SOURCES are folders, archives, tables, arrays or single files; - is a table on standard input.
    The first run trains a model on these items. Later runs add new items, replace changed ones and
    skip the rest. An item that can't be used is left out, and the reason is shown.
    """
    from indexer.ingest.prepare import default_workers

    if dry_run and flag_outliers is not None:
        raise click.UsageError("--flag-outliers: expected none with --dry-run; leave one out")
    learning = Learning.taken(rest)
    sources, how = with_stdin(sources, reading_of(rest, ids))
    how = replace(how, as_tokens=unit not in (None, "numbers"))
    if images_to is not None:
        single = {"metric": metric, "packed-bits": packed, "steps": unit, "longest": longest}
        require_mixable({"ids": ids, "recipe": learning.recipe} | single)
    found = shares(sources, kind, to, images_to, catalog, how)
    if rest["passages"] and not any(kind_of(share.kind).stores_texts for share in found):
        raise click.UsageError(
            f"--passages: expected items of kind text, got {found[0].kind}; leave it out"
        )
    runs = []
    for share in found:
        wanted = replace(learning, preset=preset_of(learning.preset, share))
        if share.beside and not kind_of(share.kind).decodes_files:
            wanted = replace(wanted, invariant=None)  # it is said of the images beside
        model = wanted.options(share.kind) | {"seed": seed}
        spec = vector_spec(share.kind, metric, packed) or sequence_spec(share.kind, unit, longest)
        read = partial(share.read, workers or default_workers())
        said = rest | {"catalog": catalog, "workers": workers, "by_ending": share.are_files}
        said["folders"] = share.folders
        said["log_dir"] = log_dir / share.kind if log_dir and len(found) > 1 else log_dir
        if not kind_of(share.kind).stores_texts:
            said["passages"] = None
        runs.append(Run(read, share.to, share.kind, model, spec, **said))
        if report is not None:
            read_too = (*ids, learning.recipe)
            require_output(
                report, _REPORT, _LINE, sources, share.kind, to=share.to, inputs=read_too
            )
    with _skip_report(report) as on_skipped:
        for share, run in zip(found, runs, strict=True):
            if dry_run:
                rehearse(run, on_skipped)
                show_guesses(share.how.guesses)
                show_columns(share.how)
                continue
            first_row = 0 if flag_outliers is None else first_new_row(run)
            tally = run_index(run, on_skipped)
            if flag_outliers is not None:
                show_flagged(run, flag_outliers, first_row)
            show_guesses(share.how.guesses)
            show_columns(share.how)
            if tally.replaced and not kind_of(share.kind).of_steps:
                _say_if_numbered(sources, how, tally.replaced)


def _say_if_numbered(sources: tuple[Path, ...], how: Reading, replaced: int) -> None:
    from indexer.corpus.arrays import vectors

    for path in sources:
        if not how.ids and vectors.are_numbered(path):
            say(
                f"note: the ids in {path} are only row numbers, and {replaced} stored items with "
                "the same ids were replaced; if these are different items, pass --ids or "
                "--id-prefix"
            )
            return


@contextmanager
def _skip_report(path: Path | None) -> Iterator[Callable[[Skipped], None] | None]:
    """Yield a function that writes skipped items to `path` as JSON lines; None without a path.

    If the run fails, the report has the items that were skipped up to then.
    """
    if path is None:
        yield None
        return
    with written(path, _REPORT, even_after_error=True) as report:

        def write(skipped: Skipped) -> None:
            fields = {"id": skipped.id, "reason": skipped.reason, "class": skipped.error_class}
            report.write(json.dumps(fields) + "\n")

        yield write
