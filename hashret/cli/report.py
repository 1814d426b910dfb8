"""The verb `hashret report`: all that is to be seen in a collection, on one page."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import click
import numpy as np

from hashret.cli.map import name_of
from hashret.cli.output import (
    collection_argument,
    commit_option,
    opened,
    output_option,
    seed_option,
)
from hashret.errors import InputError
from hashret.insight.code_map import values_of
from hashret.insight.report import MARK, report_page
from hashret.outside.outputs import require_output, write_output

_WHAT = "the report"


@click.command()
@collection_argument
@output_option("The file to write, an .html.")
@click.option("--field", metavar="FIELD", help="Metadata field by which the map is coloured.")
@seed_option
@commit_option
def report(
    collection: Path, output: Path, field: str | None, seed: int, commit: int | None
) -> None:
    """Write a page on COLLECTION: map, bits, buckets, distances, training, and if all is well.

    It says which --radius the distances suggest. The page is one file without a script, which works
    offline. The map needs the extra `map`. A file that is already there is replaced only if it is
    an earlier report.
    """
    if output.suffix.lower() not in (".html", ".htm"):
        raise InputError(
            f"{output}: expected a file name with .html, got {output.name!r}; a report is a page"
        )
    require_output(output, _WHAT, MARK)
    with opened(collection, commit) as standing:
        if field is not None:
            values_of(standing, field, np.empty(0, np.int64))  # a wrong name is said at once
        with click.progressbar(length=100, file=sys.stderr) as progress:
            content = report_page(
                standing,
                name_of(collection),
                field=field,
                seed=seed,
                n_threads=os.cpu_count() or 1,
                on_done=lambda done: progress.update(int(100 * done) - progress.pos),
            )
    write_output(output, _WHAT, content, MARK)
