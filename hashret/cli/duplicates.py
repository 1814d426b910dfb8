"""The verb `hashret duplicates`: which items are copies, and which to keep. It writes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashret.cli.group import shown
from hashret.cli.output import collection_argument, commit_option, counted, opened
from hashret.cli.reasons import none_because

if TYPE_CHECKING:
    from hashret.insight.duplicates import Copy, Duplicates, Keep

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


@click.command()
@collection_argument
@click.option(
    "--radius",
    type=click.IntRange(min=0),
    metavar="R",
    help="Compare only items whose codes differ in at most R bits.  [default: all; of more than "
    "50,000 items an eighth of the bits]",
)
@click.option(
    "--keep",
    type=click.Choice(["largest", "first", "newest"]),
    default="largest",
    show_default=True,
    help="Which of a group to keep: the one of most pixels, words or bytes, the one stored first, "
    "or the one modified last.",
)
@click.option(
    "--where", metavar="CONDITION", help="Only items whose metadata match, as in 'year >= 2020'."
)
@click.option("--mirrored", is_flag=True, help="Find mirrored pictures too.")
@click.option("--rotated", is_flag=True, help="Find pictures turned by a quarter or a half too.")
@click.option(
    "--list",
    "only_ids",
    is_flag=True,
    help="Write only the ids that are not to be kept, one a line.",
)
@click.option(
    "--html",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="Write a page that shows each group side by side.",
)
@click.option("--json", "as_json", is_flag=True, help="Write one JSON object a line, for a group.")
@commit_option
def duplicates(
    collection: Path,
    radius: int | None,
    keep: Keep,
    where: str | None,
    mirrored: bool,
    rotated: bool,
    only_ids: bool,
    html: Path | None,
    as_json: bool,
    commit: int | None,
) -> None:
    """Show the items of COLLECTION that are copies of one another, and which of them to keep.

    Near codes are confirmed: images by how they look, texts by their words, vectors by their
    numbers. Nothing is removed.
    """
    from hashret.insight.duplicates import duplicates as find

    if as_json and only_ids:
        raise click.UsageError("--list and --json: choose one")
    if html is not None:
        from hashret.cli.duplicates_page import require_place_for_page

        require_place_for_page(html)
    with opened(collection, commit) as snapshot:
        how = {"mirrored": mirrored, "rotated": rotated}
        found = find(snapshot, radius=radius, keep=keep, where=where, **how)
        if html is not None:
            from hashret.cli.duplicates_page import write_page

            write_page(html, snapshot, found, shown(collection.name))
        for group in found:
            if as_json:
                items = [one.to_json() for one in group]
                click.echo(json.dumps({"keep": group[0].id, "items": items}))
            elif only_ids:
                click.echo("".join(f"{shown(one.id)}\n" for one in group[1:]), nl=False)
            else:
                _show(group)
        because = none_because(snapshot, where)
    if where is not None and not found.n_items:
        click.echo(f"no item satisfies the condition{shown(because)}", err=True)
    _close(found)


def _show(group: list[Copy]) -> None:
    click.echo(f"keep  {'':4}  {'':5}  {shown(group[0].id)}")
    for one in group[1:]:
        bits = "-" if one.distance < 0 else one.distance
        click.echo(f"copy  {bits:>4}  {one.similarity:5.3f}  {shown(one.id)}")


def _close(found: Duplicates) -> None:
    """Say on standard error how many groups there are and what removing the copies would free."""
    groups, copies = counted(len(found), "group"), counted(found.n_copies, "item")
    of = f"of {counted(found.n_items, 'item')}" + (
        "" if found.radius is None else f", of codes within {found.radius} bits"
    )
    click.echo(f"{groups} of copies {of}; {copies} not to be kept{_freed(found)}", err=True)
    if found.note:
        click.echo(f"note: {found.note}", err=True)


def _freed(found: Duplicates) -> str:
    if found.n_copies == found.n_unknown:
        return ""
    size, unit = float(found.freed), 0
    while size >= 1000 and unit + 1 < len(_UNITS):
        size, unit = size / 1000, unit + 1
    number = f"{size:.0f}" if unit == 0 or size >= 100 else f"{size:.1f}"
    but = f" ({found.n_unknown:,} of them of unknown size)" if found.n_unknown else ""
    return f", {number} {_UNITS[unit]}{but}"
