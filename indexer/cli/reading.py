"""How the sources of a verb are read: the options that say it, and standard input among them."""

from __future__ import annotations

import csv
import sys
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from indexer.corpus import Reading


def _names(
    ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """The names in lists with commas; one that holds a comma stands in double quotes."""
    lists = [next(csv.reader([one], skipinitialspace=True), []) or [""] for one in given]
    names = [name.strip() for one in lists for name in one]
    if not all(names) or len(set(names)) < len(names):
        raise click.BadParameter(f"expected different names, got {','.join(given)!r}")
    return tuple(names)


_READING: tuple[Callable[..., Any], ...] = (
    click.option(
        "--encoding",
        metavar="NAME",
        help="Encoding of files that are not UTF-8 and do not declare one.  [default: guessed]",
    ),
    click.option(
        "--text-field",
        "text_fields",
        metavar="NAME,...",
        multiple=True,
        callback=_names,
        help="Columns of a table that make up the text, as title,body; a name with a comma stands "
        "in double quotes.  [default: text]",
    ),
    click.option(
        "--id-field",
        metavar="NAME",
        help="Column of a table that holds the id.  [default: id, if there is one]",
    ),
    click.option(
        "--series-id",
        metavar="NAME",
        help="Column of a table that says which sequence a row is a step of.  [default: each row "
        "is an item]",
    ),
    click.option(
        "--values",
        metavar="NAME,...",
        multiple=True,
        callback=_names,
        help="With --series-id: columns with the values of a step, as x,y,z.  [default: the only "
        "other column]",
    ),
    click.option(
        "--table", metavar="NAME", help="Table of an SQLite database.  [default: its only one]"
    ),
    click.option(
        "--infer-types",
        is_flag=True,
        help="In CSV and TSV, give columns of numbers, dates, and true and false these types.  "
        "[default: every value is a string]",
    ),
    click.option(
        "--id-prefix",
        metavar="TEXT",
        default="",
        help="Put TEXT before every id; {name} in it stands for the source's name, {path} for its "
        "path.",
    ),
    click.option(
        "--follow-links",
        is_flag=True,
        help="Follow symbolic links inside folders.  [default: skip them]",
    ),
    click.option(
        "--exclude",
        metavar="PATTERN",
        multiple=True,
        help="Leave out files that match a pattern, written as in .gitignore; may be repeated.",
    ),
    click.option(
        "--include",
        metavar="PATTERN",
        multiple=True,
        help="Read only files that match a pattern; may be repeated.  [default: all]",
    ),
    click.option(
        "--hidden",
        is_flag=True,
        help="Read files and folders whose names begin with a dot, but never .git.",
    ),
    click.option(
        "--ignore-files/--no-ignore-files",
        default=True,
        help="Leave out what .gitignore and .hashretignore files in folders say.  [default: yes]",
    ),
    click.option(
        "--min-words",
        type=click.IntRange(min=0),
        default=0,
        metavar="N",
        help="Leave out texts of fewer words.  [default: 0]",
    ),
    click.option(
        "--dedup",
        is_flag=True,
        help="Leave out copies: of items with the same content only the first is kept.",
    ),
)


def reading_options(verb: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options that say how sources are read to a verb; `reading_of` takes their values."""
    for option in reversed(_READING):
        verb = option(verb)
    return verb


def reading_of(said: dict[str, Any], ids: tuple[Path, ...] = ()) -> Reading:
    """How sources are read, by the values of `reading_options`, which are removed from `said`."""
    from indexer.corpus import Reading
    from indexer.corpus.decoding import known

    encoding = said.pop("encoding")
    names = ["text_fields", "id_prefix", "follow_links", "exclude", "include", "hidden"]
    names += ["ignore_files", "min_words", "dedup", "id_field", "table", "infer_types"]
    names += ["series_id", "values"]
    given = {name: said.pop(name) for name in names}
    return Reading(ids, None if encoding is None else known(encoding), **given)


def with_stdin(sources: Iterable[Path], how: Reading) -> tuple[tuple[Path, ...], Reading]:
    """The sources, and how they are read, with standard input copied to a file.

    It is a source if ``-`` is among them. The copy is there until the command ends. Raises
    UsageError if it is named twice.
    """
    from indexer.corpus import standard_input

    named, sources = Path(standard_input.NAME), tuple(sources)
    if named not in sources:
        return sources, how
    if sources.count(named) > 1:
        raise click.UsageError("-: expected standard input once among the sources; name it once")
    copying = standard_input.copied(sys.stdin.buffer)
    copy = click.get_current_context().with_resource(copying)
    return tuple(copy if one == named else one for one in sources), replace(how, stdin=copy)
