"""Options that several verbs have, and how hits are shown.

Results go to standard output, everything else to standard error. Heavy packages are imported only
when they are needed: a text query loads neither torch nor Faiss.
"""

from __future__ import annotations

import json
import math
import os
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from hashret.as_json import approximation_json, hit_json
from hashret.cli.group import shown
from hashret.kinds import kind_of

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.items import Hit, Hits


#: The option by which codes alone decide, for each order that is taken unasked.
_OTHERWISE = {"words and codes": "--codes-only", "codes and features": "--rerank 0"}

collection_argument = click.argument("collection", type=click.Path(path_type=Path))
json_lines_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object a line."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")


commit_option = click.option(
    "--commit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Read the collection as it was at commit N, until a `compact` deletes that.  [default: "
    "the last]",
)


@contextmanager
def opened(path: Path, commit: int | None = None) -> Iterator[Collection]:
    """Yield the collection at `path`, at a commit of it, and close it afterwards."""
    from hashret.collection import Collection

    with Collection.open(path, commit=commit) as collection:
        yield collection


where_option = click.option(
    "--where",
    metavar="CONDITION",
    help='Only items whose metadata match, as in "year >= 2020".',
)


seed_option = click.option(
    "--seed",
    type=click.IntRange(0, 2**32 - 1),
    metavar="N",
    default=0,
    show_default=True,
    help="Seed of what is drawn at random: the same seed gives the same result.",
)


class NumberRange(click.FloatRange):
    """The numbers within bounds; NaN is none of them, though it is neither below nor above one."""

    def convert(
        self, value: Any, param: click.Parameter | None, ctx: click.Context | None
    ) -> float:
        """The number; BadParameter if it is NaN, or out of bounds."""
        number = float(super().convert(value, param, ctx))
        if math.isnan(number):
            self.fail(f"expected a number, got {value}", param, ctx)
        return number


def output_option(help_text: str) -> Callable[[Any], Any]:
    """The option -o of a verb that writes one file."""
    path = click.Path(path_type=Path)
    return click.option("-o", "--output", type=path, required=True, metavar="FILE", help=help_text)


wait_option = click.option(
    "--wait",
    type=NumberRange(min=0),
    default=0.0,
    metavar="SECONDS",
    help="How long to wait while another process writes to the collection.  [default: 0]",
)


def counted(n: int, what: str) -> str:
    """How many there are of what is named in the singular: "1 item", "1,234 items"."""
    return f"{n:,} {what}{'s' * (n != 1)}"


def label_json(hits: Hits) -> dict[str, Any]:
    """What is said of all hits of a query, as JSON: how they were ordered, and how well."""
    said: dict[str, Any] = {} if hits.by == "codes" else {"by": hits.by}
    if hits.approximation:
        said["approximate"] = approximation_json(hits.approximation)
    return said


class Column(NamedTuple):
    """A column of hits: its title, and what stands in it for each hit."""

    title: str
    cells: list[str]


def agreement_columns(hits: Sequence[Hit], n_bits: int) -> list[Column]:
    """In how many bits each hit differs, as 3/64, and how many in 100 agree, rounded down.

    Both are "-" of a hit that was found by words alone.
    """
    differ = [f"{hit.distance}/{n_bits}" if hit.distance >= 0 else "-" for hit in hits]
    agree = [
        f"{100 * (n_bits - hit.distance) // n_bits}%" if hit.distance >= 0 else "-" for hit in hits
    ]
    return [Column("differ", differ), Column("agree", agree)]


def order_column(collection: Collection, hits: Hits, *, by_score: bool) -> Column | None:
    """The score by which the hits are in order; None where these are their distances.

    Of images whose copies come first it says which are copies, if one is.
    """
    if any(hit.fused is not None for hit in hits):
        fused = [f"{hit.fused or 0.0:.3f}" for hit in hits]
        return Column(hits.by.replace(" and ", "+"), fused)
    if hits.by == "words":
        return Column("words", [f"{hit.words or 0.0:.2f}" for hit in hits])
    if by_score:
        return Column("expected", [f"{100 * hit.score:.1f}%" for hit in hits])
    likeness = [hit.similarity for hit in hits if hit.similarity is not None]
    if not likeness:
        return None
    if hits.by == "codes":
        near = collection.copy_distance or 0.0
        copies = ["copy" if -one <= near else "" for one in likeness]
        return Column("copy", copies) if any(copies) else None
    if _compares_by_cosine(collection):
        return Column("alike", [f"{one:.3f}" for one in likeness])
    return Column("apart", [f"{-one:.3f}" for one in likeness])


def _compares_by_cosine(collection: Collection) -> bool:
    """Whether `Hit.similarity` is a cosine, and not minus a distance."""
    if kind_of(collection.kind).has_looks:
        return False
    return getattr(collection.snapshot.spec("features"), "metric", "cosine") == "cosine"


def show_hits(
    collection: Collection,
    hits: Hits,
    asked: Any = None,
    *,
    as_json: bool = False,
    with_text: bool = False,
    by_score: bool = False,
) -> None:
    """Write the hits to standard output: for people on a terminal, else a line each.

    `asked` is the payload of the question, whose words are marked; None for a stored item. The
    lines have tabs between id, differ, agree, the score of the order, and text. `by_score` says
    that hits are in order of their scores.
    """
    if as_json:
        _write_json(collection, hits, asked, with_text)
        return
    if hits.approximation:
        click.echo(str(hits.approximation), err=True)
    if hits.by in _OTHERWISE and len(hits):
        click.echo(f"by {hits.by} ({_OTHERWISE[hits.by]}: by codes alone)", err=True)
    if not len(hits):
        return
    facts = agreement_columns(hits, collection.n_bits)
    order = order_column(collection, hits, by_score=by_score)
    if is_terminal():
        from hashret.cli.terminal import write_table  # rich takes time that a pipe need not wait

        write_table(collection, hits, asked, [*([order] if order else []), *facts])
        return
    from hashret.search.snippets import place_of  # what a question as JSON need not load

    said = facts if order is None else [*facts, order]
    click.echo("\t".join(["id", *(column.title for column in said), "text"]))
    parts = collection.snippets(hits, asked)
    for hit, part, *cells in zip(hits, parts, *(column.cells for column in said), strict=True):
        text = shown(place_of(hit.metadata) + part.text)
        click.echo("\t".join([shown(hit.id), *cells, text]))


def _write_json(collection: Collection, hits: Hits, asked: Any, with_text: bool) -> None:
    label = label_json(hits)
    parts = collection.snippets(hits, asked)
    for hit, part in zip(hits, parts, strict=True):
        line = hit_json(hit, with_text=with_text) | {"preview": hit.preview}
        if hit.preview:
            line["snippet"] = part.to_json()
        click.echo(json.dumps(line | label))


def is_terminal() -> bool:
    """Whether a person reads standard output: on a terminal, or as FORCE_COLOR says."""
    return sys.stdout.isatty() or bool(os.environ.get("FORCE_COLOR"))
