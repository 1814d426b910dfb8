"""The verb `hashret map`: a picture in which items of near codes lie together."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import numpy as np

from hashret.cli.output import (
    collection_argument,
    commit_option,
    opened,
    output_option,
    seed_option,
)
from hashret.errors import InputError
from hashret.insight.code_map import LAID_OUT, SHOWN, lay_out, values_of
from hashret.insight.map_page import MARK, map_page
from hashret.insight.map_picture import map_drawing, view_of
from hashret.outside.outputs import require_output, write_output

_SUFFIXES = (".html", ".png", ".svg")
_WHAT = "the map"


@click.command("map")
@collection_argument
@output_option(
    "The file to write; its suffix is the format: .html (a page to zoom and search in), .png "
    "or .svg."
)
@click.option("--field", metavar="FIELD", help="Metadata field by which items are coloured.")
@click.option(
    "--n",
    "n_laid_out",
    type=click.IntRange(min=1),
    metavar="N",
    default=LAID_OUT,
    show_default=True,
    help="Lay out at most so many items; others are put beside one whose code is near.",
)
@click.option(
    "--show",
    "n_shown",
    type=click.IntRange(min=1),
    metavar="N",
    default=SHOWN,
    show_default=True,
    help="Show at most so many items, a sample.",
)
@seed_option
@commit_option
def map_collection(
    collection: Path,
    output: Path,
    field: str | None,
    n_laid_out: int,
    n_shown: int,
    seed: int,
    commit: int | None,
) -> None:
    """Draw a map of COLLECTION: items of near codes lie together.

    Places are found by t-SNE (extra `map`). A page is one file that works offline; it shows ids and
    beginnings of texts to whoever has it. A file that is already there is replaced only if it is an
    earlier map.
    """
    suffix = output.suffix.lower()
    if suffix not in _SUFFIXES:
        raise InputError(
            f"{output}: expected a file name with {', '.join(_SUFFIXES)}, got {output.name!r}; the "
            "suffix is the format"
        )
    require_output(output, _WHAT, MARK)
    with opened(collection, commit) as standing:
        if field is not None:
            values_of(standing, field, np.empty(0, np.int64))  # a wrong name is said at once
        with click.progressbar(length=100, file=sys.stderr) as progress:
            code_map = lay_out(
                standing,
                n_laid_out=n_laid_out,
                n_shown=n_shown,
                seed=seed,
                n_threads=os.cpu_count() or 1,
                on_done=lambda done: progress.update(int(100 * done) - progress.pos),
            )
        view = view_of(standing, code_map, field, name_of(collection))
    content = map_page(view) if suffix == ".html" else map_drawing(view).file(suffix, MARK)
    write_output(output, _WHAT, content, MARK)
    click.echo(view.facts)


def name_of(collection: Path) -> str:
    """The name of a collection: that of its folder without `.hashret`."""
    return collection.resolve().name.removesuffix(".hashret")
