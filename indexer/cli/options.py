"""What more than one verb has which trains: options, and where it may write what they name."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.files import no_place, require_place
from hashret.kinds import KINDS, kind_of
from hashret.specs import VectorSpec

if TYPE_CHECKING:
    from indexer.corpus import Reading

#: What torch takes for a seed.
SEED = click.IntRange(0, 2**63 - 1)

metric_option = click.option(
    "--metric",
    type=click.Choice(list(dict.fromkeys(m for kind in KINDS.values() for m in kind.metrics))),
    help="What makes vectors near.  [default: cosine]",
)
packed_option = click.option(
    "--packed-bits",
    "packed",
    is_flag=True,
    help="Vectors are bits, 8 in each uint8 or int8 (binary embeddings).",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where training runs.",
)

_READING = (
    click.option(
        "--encoding",
        metavar="NAME",
        help="Of texts and tables that are not UTF-8 and don't say.  [default: guessed]",
    ),
    click.option(
        "--text-field",
        metavar="NAME",
        help="The column or key of tables with the text.  [default: text]",
    ),
    click.option(
        "--id-prefix",
        metavar="TEXT",
        default="",
        help="Put before every id; {name} in it is the source's name, {path} its path.",
    ),
    click.option("--follow-links", is_flag=True, help="Follow links in folders."),
)


def reading_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """The options that say how sources are read; `reading_of` takes their values."""
    for option in reversed(_READING):
        verb = option(verb)
    return verb


def reading_of(said: dict[str, Any], ids: tuple[Path, ...] = ()) -> Reading:
    """What the options of `reading_options` say, which are taken out of `said`."""
    from indexer.corpus import Reading
    from indexer.corpus.decoding import known

    encoding = said.pop("encoding")
    return Reading(
        ids,
        None if encoding is None else known(encoding),
        said.pop("text_field"),
        said.pop("id_prefix"),
        said.pop("follow_links"),
    )


def vector_spec(kind: str, metric: str | None, packed: bool) -> VectorSpec | None:
    """What --metric and --packed-bits say of vectors; None: nothing.

    Raises `click.UsageError` for items of another `kind`, and for both at once.
    """
    given = "--metric" if metric else "--packed-bits" if packed else None
    if given is None:
        return None
    if not kind_of(kind).metrics:
        raise click.UsageError(f"{given}: expected items of kind vector, got {kind}; leave it out")
    if metric and packed:
        raise click.UsageError(
            "--metric: expected none with --packed-bits, whose distance is Hamming's; leave it out"
        )
    return VectorSpec(metric=metric) if metric else VectorSpec(packed=True)


def require_output(
    path: Path,
    what: str,
    former: re.Pattern[str],
    sources: Sequence[Path],
    kind: str,
    *,
    to: Path | None = None,
    inputs: Iterable[Path | None] = (),
) -> None:
    """Raise `InputError` where writing `what` at `path` would lose or disturb other files.

    That is: in a collection, such as `to`; as one of the `inputs`, or what `sources` of `kind` are
    or would be read from; in place of any file that does not begin as a `former` one.
    """
    from indexer.corpus import Source

    try:
        for source in sources:
            if Source(source, kind).would_read(path):
                raise no_place(path, what, f"what would be read with the source {source}")
        for one in inputs:
            if one is not None and path.exists() and one.exists() and path.samefile(one):
                raise no_place(path, what, f"the file {one}, which is read")
        if (folder := _collection_around(path, to)) is not None:
            raise no_place(path, what, f"a place in the collection {folder}")
    except OSError as error:
        raise no_place(path, what, error.strerror) from error
    require_place(path, what, former)


def _collection_around(path: Path, to: Path | None) -> Path | None:
    """The collection that has `path` in it: that which is to be made at `to`, or any."""
    from indexer.corpus import files

    place = Path(os.path.realpath(path))
    if to is not None and (place == Path(os.path.realpath(to)) or files.is_below(path, to)):
        return to
    return next(filter(files.is_collection, place.parents), None)
