"""What every verb shares: options, and how hits are shown.

Results go to standard output, everything else to standard error. Nothing heavy is imported
before it is needed: a query for text loads neither torch nor Faiss.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.group import shown

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.items import Approximation, Hit, Hits


collection_argument = click.argument("collection", type=click.Path(path_type=Path))
json_lines_option = click.option("--json", "as_json", is_flag=True, help="One JSON object a line.")
json_option = click.option("--json", "as_json", is_flag=True, help="One JSON object.")


@contextmanager
def opened(path: Path) -> Iterator[Collection]:
    """The collection at `path`, closed afterwards."""
    from hashret.collection import Collection

    with Collection.open(path) as collection:
        yield collection


where_option = click.option(
    "--where", metavar="CONDITION", help='Only items whose metadata are so: "year >= 2020".'
)


def none_because(collection: Collection, where: str | None) -> str:
    """Why there is nothing among what `where` selects, in parentheses; "" if that is not said."""
    from hashret.where.explain import reason

    if where is None or len(collection.positions_where(where)):
        return ""
    why = reason(where, lambda other: len(collection.positions_where(other)) > 0)
    return f" ({why})" if why else ""


wait_option = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default="0",
    metavar="SECONDS",
    help="Seconds to wait while another writer holds the collection.",
)


def hit_json(hit: Hit) -> dict[str, Any]:
    """A hit under its stable keys: id, distance (bits), score, code (hex), metadata.

    And similarity, where a shortlist was ordered by it.
    """
    fields = {
        "id": hit.id,
        "distance": hit.distance,
        "score": round(hit.score, 6),
        "code": hit.code,
        "metadata": dict(hit.metadata),
    }
    if hit.similarity is not None:
        fields["similarity"] = round(hit.similarity, 6)
    return fields


def approximation_json(approximation: Approximation) -> dict[str, Any]:
    """What an approximate answer is worth, under its stable keys."""
    return {
        "index": approximation.index,
        **approximation.parameters,
        "recall": approximation.recall,
        "k": approximation.k,
        "n_queries": approximation.n_queries,
    }


def show_hits(hits: Hits | Sequence[Hit], as_json: bool, because: str = "") -> None:
    """The hits on standard output, a line each; why there are none on standard error.

    `because`: what is to be said of that besides.
    """
    note = getattr(hits, "note", "")
    approximation = getattr(hits, "approximation", None)
    if as_json:
        label = {"approximate": approximation_json(approximation)} if approximation else {}
        for hit in hits:
            click.echo(json.dumps(hit_json(hit) | label))
    elif len(hits):
        if approximation:
            click.echo(str(approximation))
        width = shutil.get_terminal_size((100, 24)).columns
        ids = [shown(hit.id) for hit in hits]
        widest = min(40, max(map(len, ids)))
        again = hits[0].similarity is not None
        click.echo(f"{'alike  ' * again}{'bits':>4}  {'score':>5}  {'id':{widest}}")
        for hit, name in zip(hits, ids, strict=True):
            alike = f"{hit.similarity:5.3f}  " if hit.similarity is not None else ""
            line = (
                f"{alike}{hit.distance:4}  {hit.score:5.3f}  {name:{widest}}  {shown(hit.preview)}"
            )
            click.echo(line.rstrip() if len(line) <= width else line[: width - 1] + "…")
    if not len(hits):
        click.echo(f"no hits: {note or 'no item is that near'}{shown(because)}", err=True)
