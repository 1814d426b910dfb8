"""The verb `hashret export`: the items and codes of a collection in one file."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashret.cli.group import shown
from hashret.cli.output import collection_argument, commit_option, opened, output_option
from hashret.cli.reasons import none_because

if TYPE_CHECKING:
    from hashret.outside.exports import ExportOrder


@click.command()
@collection_argument
@output_option("The file to write; its suffix is the format: .parquet, .jsonl or .npz.")
@click.option(
    "--order",
    type=click.Choice(["rows", "ids"]),
    default="rows",
    show_default=True,
    help="Order of the items: rows, in which they are stored, or ids.",
)
@click.option(
    "--where",
    metavar="CONDITION",
    help='Export only items whose metadata match, as in "year >= 2020".',
)
@commit_option
def export(
    collection: Path, output: Path, order: ExportOrder, where: str | None, commit: int | None
) -> None:
    """Write the items of COLLECTION into one file: ids, codes, metadata, texts and previews.

    An .npz has no texts and no previews. A file that is already there is replaced only if it is an
    earlier export.
    """
    with opened(collection, commit) as snapshot:
        count = snapshot.export(output, order=order, where=where)
        because = "" if count else none_because(snapshot, where)
    click.echo(f"exported {count}")
    if because:
        click.echo(f"no item satisfies the condition{shown(because)}", err=True)
