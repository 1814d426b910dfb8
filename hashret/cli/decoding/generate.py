"""The verb `hashret generate`: items that nobody has, decoded from new codes."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.decoding.decode import told_json_option, told_option
from hashret.cli.output import collection_argument, commit_option, counted, opened, seed_option

if TYPE_CHECKING:
    from hashret.cli.decoding.told import Told
    from hashret.collection import Collection


@click.command()
@collection_argument
@click.option(
    "-n",
    "n",
    type=click.IntRange(1, 10_000),
    metavar="N",
    help="How many.  [default: 16; with --between all on the way, a bit each]",
)
@click.option("--near", metavar="ID", help="Begin at this item, and go one bit away each time.")
@click.option("--between", nargs=2, metavar="ID ID", help="Go from one item to the other.")
@click.option(
    "--sample",
    is_flag=True,
    help="Draw around what each code says, as far from it as items are.  [default: what it says]",
)
@seed_option
@told_option
@told_json_option
@commit_option
def generate(
    collection: Path,
    n: int | None,
    near: str | None,
    between: tuple[str, str] | None,
    sample: bool,
    seed: int,
    output: Path | None,
    as_json: bool,
    commit: int | None,
) -> None:
    """Make up items like those of COLLECTION: codes are drawn or walked to, and decoded.

    Codes are drawn from how bits go together in the stored ones. Standard error says how near the
    nearest stored code is.
    """
    if near is not None and between:
        raise click.UsageError("--near and --between: choose one")
    if output is not None and as_json:
        raise click.UsageError("--json: expected none with -o, whose suffix is the format")
    with opened(collection, commit) as snapshot:
        from hashret.cli.decoding import told  # when it is needed: Pillow and NumPy take a moment
        from hashret.snapshot.decoding import form_of

        if output is not None:
            told.require_output(output, form_of(snapshot.snapshot))
        found = snapshot.generate(n, near=near, between=between or None, seed=seed, sample=sample)
        new = _told(snapshot, found.codes, found.said, between or (near,))
    if output is not None:
        told.write_told(output, new)
    elif as_json:
        for line in told.json_lines(new):
            click.echo(line)
    else:
        told.show(new)
    _say_how_near(new)


def _told(collection: Collection, codes: Any, said: Any, ends: tuple[str | None, ...]) -> Told:
    """What is generated, with the nearest stored item of each code and its distance in bits."""
    from hashret.cli.decoding.told import Told
    from hashret.snapshot.decoding import form_of

    nearest = [hits[0] for hits in collection.query(codes, 1)]
    facts = [{"nearest": {"id": hit.id, "distance": hit.distance}} for hit in nearest]
    walked = ends[0] is not None
    names = [str(i) for i in range(len(codes))]
    if walked:
        names[0] = str(ends[0])
        if len(ends) == 2:
            names[-1] = str(ends[1])
    title = f"{len(codes)} codes {'walked to' if walked else 'drawn'}, decoded"
    return Told(codes, names, said, form_of(collection.snapshot), title, facts)


def _say_how_near(told: Told) -> None:
    distances = [fact["nearest"]["distance"] for fact in told.facts or ()]
    stored = sum(distance == 0 for distance in distances)
    middle = sorted(distances)[len(distances) // 2]
    if len(distances) == 1:
        far = f"the nearest stored one is {middle} of {told.codes.n_bits} bits away"
    else:
        far = (
            f"{stored} of them are stored; the nearest stored one is up to {max(distances)} of "
            f"{told.codes.n_bits} bits away, {middle} in the median"
        )
    click.echo(f"{counted(len(distances), 'code')}: {far}", err=True)
