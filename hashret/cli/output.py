"""Options that several verbs have, and how hits are shown.

Results go to standard output, everything else to standard error. Heavy packages are imported only
when they are needed: a text query loads neither torch nor Faiss.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.as_json import approximation_json, hit_json
from hashret.cli.group import shown

if TYPE_CHECKING:
    from hashret.collection import Collection
    from hashret.items import Hit, Hits


#: The option by which codes alone decide, for each order that is taken unasked.
_OTHERWISE = {"words and codes": "--codes-only", "codes and features": "--rerank 0"}
_MAX_SECTION = 40  # characters of a heading that stand before a preview

collection_argument = click.argument("collection", type=click.Path(path_type=Path))
json_lines_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object a line."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Write one JSON object.")


commit_option = click.option(
    "--commit",
    type=click.IntRange(min=1),
    metavar="N",
    help="Read commit N, as long as no compaction has deleted it.  [default: the last]",
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
    help='Search only items whose metadata match, as in "year >= 2020".',
)


def none_because(collection: Collection, where: str | None) -> str:
    """Why no item satisfies the condition `where`, in parentheses; "" if some do, or none knows."""
    from hashret.where.explain import kinds_by_asking, reason

    if where is None or len(collection.positions_where(where)):
        return ""

    def some(other: str) -> bool:
        return len(collection.positions_where(other)) > 0

    why = reason(where, lambda field: kinds_by_asking(field, some))
    return f" ({why})" if why else ""


wait_option = click.option(
    "--wait",
    type=click.FloatRange(min=0),
    default=0.0,
    show_default="0",
    metavar="SECONDS",
    help="How long to wait if another process is writing to the collection.",
)


def place_of(metadata: Mapping[str, Any]) -> str:
    """Where in its document a passage begins, in brackets; "" where that is not known."""
    if "passage" not in metadata:
        return ""
    page, section = metadata.get("page"), metadata.get("section")
    parts = [f"p. {page}"] if page else []
    if section:
        parts.append(section if len(section) <= _MAX_SECTION else section[: _MAX_SECTION - 1] + "…")
    return f"[{', '.join(parts)}] " if parts else ""


def label_json(hits: Hits) -> dict[str, Any]:
    """What is said of all hits of a query, as JSON: how they were ordered, and how well."""
    said: dict[str, Any] = {} if hits.by == "codes" else {"by": hits.by}
    if hits.approximation:
        said["approximate"] = approximation_json(hits.approximation)
    return said


def _first_columns(hit: Hit) -> tuple[str, str]:
    """The head and the value of the columns for what decided the order beside the code."""
    if hit.words is not None:
        return f"{'words':>5}  ", f"{hit.words:5.2f}  "
    if hit.similarity is not None:
        return "alike  ", f"{hit.similarity:5.3f}  "
    return "", ""


def show_hits(
    hits: Hits | Sequence[Hit],
    as_json: bool,
    why_none: str = "no hits",
    *,
    with_text: bool = False,
) -> None:
    """Write the hits to standard output, a line each; `why_none` to standard error if none."""
    from hashret.items import Hits

    if as_json:
        label = label_json(hits) if isinstance(hits, Hits) else {}
        for hit in hits:
            click.echo(json.dumps(hit_json(hit, with_text=with_text) | label))
    elif len(hits):
        if isinstance(hits, Hits):
            if hits.approximation:
                click.echo(str(hits.approximation))
            if hits.by in _OTHERWISE:
                click.echo(f"by {hits.by} ({_OTHERWISE[hits.by]}: by codes alone)")
        width = shutil.get_terminal_size((100, 24)).columns
        ids = [shown(hit.id) for hit in hits]
        widest = min(40, max(map(len, ids)))
        click.echo(f"{_first_columns(hits[0])[0]}{'bits':>4}  {'score':>5}  {'id':{widest}}")
        for hit, name in zip(hits, ids, strict=True):
            by_codes = f"{hit.distance:4}  {hit.score:5.3f}" if hit.distance >= 0 else "   -      -"
            preview = shown(place_of(hit.metadata) + hit.preview)
            line = f"{_first_columns(hit)[1]}{by_codes}  {name:{widest}}  {preview}"
            click.echo(line.rstrip() if len(line) <= width else line[: width - 1] + "…")
    if not len(hits):
        click.echo(shown(why_none), err=True)
