"""The verb `hashret outliers`: which items are unlike the others, and what in them is odd."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashret.cli.group import shown
from hashret.cli.output import (
    NumberRange,
    collection_argument,
    commit_option,
    json_option,
    opened,
    where_option,
)
from hashret.cli.reasons import none_because
from hashret.errors import InputError
from hashret.items import Item
from indexer.cli.console import say
from indexer.cli.reading import with_stdin

if TYPE_CHECKING:
    from hashret.outliers.find import Odd, Outlier, Outliers
    from indexer.corpus import Skipped

_ODD = 3  # odd parts in the line of an outlier
_LONGEST = 24  # characters of a word that are shown
_FARTHEST = 1000.0  # an error that is shown as it is; where usual items are copies, it has no bound

SHARE = NumberRange(0, 1, min_open=True)


@click.command()
@collection_argument
@click.option(
    "--file",
    "files",
    type=click.Path(path_type=Path),
    multiple=True,
    metavar="SOURCE",
    help="Ask about new items, of any source that `index` accepts, - for standard input; may be "
    "repeated.  [default: the stored items]",
)
@click.option(
    "--p",
    "p",
    type=SHARE,
    default=0.01,
    show_default=True,
    metavar="P",
    help="Show the items with a p-value of at most P.",
)
@click.option(
    "--fdr",
    type=SHARE,
    metavar="SHARE",
    help="In place of --p: show as many as can be if at most this share of them may be false.",
)
@click.option(
    "-k",
    "k",
    type=click.IntRange(min=1),
    default=20,
    show_default=True,
    metavar="K",
    help="Show at most K.",
)
@where_option
@click.option(
    "--against",
    metavar="CONDITION",
    help="What is usual: only items whose metadata match.  [default: all stored items]",
)
@json_option
@commit_option
def outliers(
    collection: Path,
    files: tuple[Path, ...],
    p: float,
    fdr: float | None,
    k: int,
    where: str | None,
    against: str | None,
    as_json: bool,
    commit: int | None,
) -> None:
    """Show the items that are unlike the usual ones of COLLECTION, the most unlike first.

    An item is compared with the ten that are nearest to it. Its p-value is the share of usual items
    that are at least as far from theirs. Nothing is written.
    """
    given = click.get_current_context().get_parameter_source
    if fdr is not None and given("p") is click.core.ParameterSource.COMMANDLINE:
        raise click.UsageError("--p and --fdr: choose one")
    if files and where is not None:
        raise click.UsageError("--where: expected none with --file; leave it out")
    skipped: list[Skipped] = []
    with opened(collection, commit) as snapshot:
        items = _read(files, snapshot.kind, skipped) if files else None
        found = snapshot.outliers(items, p=p, fdr=fdr, k=k, where=where, against=against)
        previews = {} if files else {one.id: snapshot.get(one.id).preview for one in found}
        uncoded = len(snapshot) - len(snapshot.codes)
        because = none_because(snapshot, where)
    refused = [(one.id, one.reason) for one in skipped] + [tuple(one) for one in found.skipped]
    if as_json:
        told = found.to_json()
        told["skipped"] = [{"id": one, "reason": reason} for one, reason in refused]
        for one in told["outliers"]:
            one["preview"] = previews.get(one["id"], "")
        click.echo(json.dumps(told))
        return
    for item in found:
        click.echo(line_of(item, previews.get(item.id, "")))
    for item_id, reason in refused:
        say(f"skipped {item_id}: {reason}")
    if where is not None and not found.n_items:
        say(f"no item satisfies the condition{because}")
    _close(found, fdr or p, is_share=fdr is not None)
    if found.n_unseen:
        say(f"not compared, since nothing is kept to compare them by: {found.n_unseen:,}")
    if uncoded and not files and where is None:
        say(f"not compared, for want of a code: {uncoded:,}, in which the model knows nothing")


def _read(files: Iterable[Path], kind: str, skipped: list[Skipped]) -> Iterator[Item]:
    """The items of the sources; what is skipped there is added to `skipped`."""
    from indexer import corpus

    sources, how = with_stdin(files, corpus.Reading())
    try:
        found = corpus.read(sources, kind, how)
    except InputError as error:  # the source's form is checked before its first item is read
        raise InputError(f"--file {error}") from error
    return _items(found, skipped)


def _items(found: Iterable[Item | Skipped], skipped: list[Skipped]) -> Iterator[Item]:
    for one in found:
        if isinstance(one, Item):
            yield one
        else:
            skipped.append(one)


def line_of(item: Outlier, preview: str = "") -> str:
    """An outlier in one line: p-value, error, id, what is odd."""
    odd = ", ".join(map(_odd, item.odd[:_ODD]))
    told = f"odd: {odd}" if odd else preview
    far = f"{item.error:.2f}x" if item.error < _FARTHEST else f">{_FARTHEST:.0f}x"
    return shown(f"p {item.p_value:<7.2g} {far:>7}  {item.id}  {told}").rstrip()


def _odd(one: Odd) -> str:
    name = str(one.part)
    if hasattr(one.part, "word"):
        name = f'"{name if len(name) <= _LONGEST else name[: _LONGEST - 1] + "…"}"'
    return f"{name} ({one.share:.0%})" if one.share >= 0.01 else name


def _close(found: Outliers, limit: float, *, is_share: bool) -> None:
    """Say on standard error how many there are, and how many there would be by chance."""
    many = "1 outlier" if found.n_below == 1 else f"{found.n_below:,} outliers"
    items = "1 item" if found.n_items == 1 else f"{found.n_items:,} items"
    rule = (
        f"at most {limit:.3g} of them expected to be false"
        if is_share
        else f"p at most {limit:.3g}: of usual ones about {limit * found.n_items:,.1f} would be"
    )
    more = (
        f"; the first {len(found)} are shown, -k shows more" if len(found) < found.n_below else ""
    )
    how = f"compared with {found.n_usual:,} usual ones"
    if found.by == "decoder":
        how = f"by the decoder, compared with its errors on {found.n_usual:,} held-out ones"
    say(f"{many} among {items}, {how} ({rule}){more}")
    if not is_share and limit < found.least_p:
        say(
            f"note: beside {found.n_usual:,} usual items no new item has a p-value below "
            f"{found.least_p:.2g}; ask with --p {found.least_p:.2g} or more, or index more items"
        )
