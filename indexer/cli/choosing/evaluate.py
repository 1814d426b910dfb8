"""The verb `hashret evaluate`: it measures how well codes find what is relevant."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import click

from hashret.cli.files import lines_of
from hashret.cli.output import collection_argument, json_option, opened
from hashret.errors import InputError
from hashret.items import Item
from indexer.cli.choosing.plot import require_plot, write_plot
from indexer.cli.console import say
from indexer.cli.reading import with_stdin
from indexer.corpus import Skipped


def _gains(
    ctx: click.Context, parameter: click.Parameter, value: str | None
) -> dict[int, int] | None:
    if value is None:
        return None
    try:
        pairs = [part.split("=") for part in value.split(",")]
        return {int(grade): int(gain) for grade, gain in pairs}
    except ValueError:
        raise click.BadParameter(f"expected GRADE=GAIN,..., got {value!r}") from None


@click.command()
@collection_argument
@click.option(
    "--queries",
    type=click.Path(path_type=Path),
    help="Queries to evaluate: any source that `index` accepts, or - for standard input.  "
    "[default: every item]",
)
@click.option(
    "--label",
    metavar="FIELD",
    help="Metadata field: items with the query's value count as relevant.",
)
@click.option(
    "--qrels",
    type=click.Path(path_type=Path),
    help="File of relevance judgements, one a line: query, item, grade.",
)
@click.option(
    "--gains",
    callback=_gains,
    metavar="GRADE=GAIN,...",
    help="Gain of each grade of --qrels, for nDCG.  [default: the grade itself]",
)
@click.option(
    "-k",
    "k",
    type=click.IntRange(1, 1 << 30),
    default=100,
    show_default=True,
    metavar="K",
    help="With --label: measure the first K hits of each query.",
)
@click.option(
    "--radius",
    type=click.IntRange(min=0),
    default=2,
    show_default=True,
    metavar="BITS",
    help="With --label: measure precision among all hits within so many bits, inclusive.",
)
@click.option(
    "--rerank",
    "shortlists",
    type=click.IntRange(min=1),
    multiple=True,
    metavar="N",
    help="With --qrels: also measure `query --rerank N --rerank-by features`; may be repeated."
    "  [default: 100]",
)
@click.option(
    "--plot",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="With --label: draw precision by rank and by radius into FILE, an .svg or .png.",
)
@json_option
def evaluate(
    collection: Path,
    queries: Path | None,
    label: str | None,
    qrels: Path | None,
    gains: dict[int, int] | None,
    k: int,
    radius: int,
    shortlists: tuple[int, ...],
    plot: Path | None,
    as_json: bool,
) -> None:
    """Measure how well the codes of COLLECTION find relevant items.

    Give either --label or --qrels. With --label, an item is relevant if it has the query's value
    of that metadata field; without --queries, every item is a query for the others. With --qrels,
    a file says which items are relevant to each of the --queries.
    """
    from indexer import evaluation

    if (label is None) == (qrels is None):
        raise click.UsageError("expected exactly one of --label and --qrels")
    given = click.get_current_context().get_parameter_source
    other = ("gains", "shortlists") if label is not None else ("k", "radius", "plot")
    for name in other:
        if given(name) is click.core.ParameterSource.COMMANDLINE:
            flag = {"k": "-k", "shortlists": "--rerank"}.get(name, f"--{name}")
            raise click.UsageError(
                f"{flag} goes with {'--qrels' if label is not None else '--label'} only"
            )
    if qrels is not None and queries is None:
        raise click.UsageError("--qrels needs the queries that were judged; add --queries SOURCE")
    if plot is not None:
        require_plot(plot)
    with opened(collection) as snapshot:
        items = _read(queries, snapshot.kind) if queries is not None else None
        if label is not None:
            labelled = evaluation.evaluate(
                snapshot, items, label, k=k, radius=radius, with_curves=plot is not None
            )
            _show(labelled.to_json(), as_json)
            if plot is not None and labelled.curves is not None:
                write_plot(plot, labelled.curves)
            return
        lines = lines_of(Path(str(qrels)), "judgements (--qrels)")
        judgements = evaluation.read_judgements(lines, gains)
        judged = evaluation.evaluate_judged(
            snapshot, items or iter(()), judgements, shortlists=shortlists or (100,)
        )
        _show(judged.to_json(), as_json)


def _read(source: Path, kind: str) -> Iterator[Item | Skipped]:
    from indexer import corpus

    sources, how = with_stdin([source], corpus.Reading())
    try:
        return corpus.read(sources, kind, how)
    except InputError as error:  # the source's form is checked before its first item is read
        raise InputError(f"--queries {error}") from error


def _show(found: Mapping[str, Any], as_json: bool) -> None:
    if as_json:
        click.echo(json.dumps(found))
        return
    for skipped in found["skipped"]:
        say(f"skipped query {skipped['id']}: {skipped['reason']}")
    if found.get("note"):
        say(f"note: {found['note']}")
    click.echo(f"{found['n_queries']} queries, {found['n_items']} items\n")
    _table("order", found["orders"])
    if found.get("float_neighbours"):
        click.echo()
        _table("nearest 10 by features found among", found["float_neighbours"])
    if found.get("unknown"):
        click.echo(f"\n{found['unknown']} judged items are not in the collection")
    if "codes" in found:
        click.echo("\ncodes")
        for name, value in found["codes"].items():
            shown = f"{value:.3f}" if isinstance(value, float) else value
            click.echo(f"  {name.replace('_', ' '):18} {shown}")


def _table(title: str, rows: Mapping[str, Mapping[str, float]]) -> None:
    columns = list(dict.fromkeys(name for row in rows.values() for name in row))
    widest = max(len(title), *(len(name) for name in rows))
    click.echo("  ".join([f"{title:{widest}}", *(f"{name:>9}" for name in columns)]))
    for name, row in rows.items():
        shown = [f"{row[column]:.3f}" if column in row else "" for column in columns]
        cells = [
            cell.rjust(max(9, len(column))) for cell, column in zip(shown, columns, strict=True)
        ]
        click.echo("  ".join([f"{name:{widest}}", *cells]).rstrip())
