"""Options shared by the verbs that train (index, tune), and the check of their output files."""

from __future__ import annotations

import csv
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from hashret.cli.files import read_text
from hashret.kinds import KINDS, kind_of
from hashret.specs import SequenceSpec, VectorSpec
from hashret.specs.encoders import INVARIANCES
from hashret.specs.features import MOST_STEPS, UNITS
from hashret.store.outputs import no_place, require_outside, require_place
from indexer.training.options import TrainingOptions
from indexer.training.presets import PRESETS, preset_for, require_used

if TYPE_CHECKING:
    from indexer.corpus import Reading
    from indexer.training import Watcher

#: Bytes. So much of a file is inspected before it is replaced: more than any line of a report.
_HEAD = 1 << 20

#: The seeds that torch accepts: integers from 0 to 2**63 - 1.
SEED = click.IntRange(0, 2**63 - 1)


def code_length(given: str) -> int:
    """The bits of a code, as --bits takes them; BadParameter for what no learned code has."""
    if given not in map(str, range(8, 513, 8)):
        raise click.BadParameter(f"expected 8 to 512 in steps of 8, got {given}")
    return int(given)


def _names(
    ctx: click.Context, parameter: click.Parameter, given: tuple[str, ...]
) -> tuple[str, ...]:
    """The names in lists with commas; one that holds a comma stands in double quotes."""
    lists = [next(csv.reader([one], skipinitialspace=True), []) or [""] for one in given]
    names = [name.strip() for one in lists for name in one]
    if not all(names) or len(set(names)) < len(names):
        raise click.BadParameter(f"expected different names, got {','.join(given)!r}")
    return tuple(names)


def _invariances(
    ctx: click.Context, parameter: click.Parameter, given: str | None
) -> tuple[str, ...] | None:
    if given is None:
        return None
    names = [name.strip() for name in given.split(",")]
    if names == ["none"]:
        return ()
    if not set(names) <= set(INVARIANCES) or len(set(names)) < len(names):
        raise click.BadParameter(f"expected {', '.join(INVARIANCES)} or none, got {given!r}")
    return tuple(name for name in INVARIANCES if name in names)


bits_option = click.option(
    "--bits",
    type=code_length,
    metavar="8..512",
    help="Bits in a code, a multiple of 8.  [default: 64; with --packed-bits, all of them]",
)
preset_option = click.option(
    "--preset",
    metavar="NAME",
    help="How to learn, as `hashret presets` lists.  [default: "
    + ", ".join(f"{next(iter(names))} for {kind}s" for kind, names in PRESETS.items() if names)
    + "; with --packed-bits identity, which learns nothing]",
)
invariant_option = click.option(
    "--invariant",
    callback=_invariances,
    metavar="mirror,rotation",
    help="Give an image and its mirror image, or the image turned by quarters, the same code; "
    "none stands for neither.  [default: as the model before, else none]",
)
decoder_option = click.option(
    "--no-decoder",
    "decoder",
    flag_value=False,
    type=bool,
    default=None,
    help="Learn no decoder, with which `decode`, `generate` and others show what a code says.",
)
quick_option = click.option(
    "--quick",
    "preset",
    flag_value="quick",
    help="Learn from texts in a third of the time, for slightly worse codes: --preset quick.",
)
label_option = click.option(
    "--label",
    metavar="FIELD",
    help="Learn from labels too: items with the same value of this metadata field get like codes, "
    "also where only some have one.  [default: no label is looked at]",
)
log_dir_option = click.option(
    "--log-dir",
    type=click.Path(path_type=Path),
    metavar="DIR",
    help="Write how the training goes into this folder, for TensorBoard.  [default: nowhere]",
)
recipe_option = click.option(
    "--recipe",
    type=click.Path(path_type=Path),
    help="Train with the settings in this file, which `hashret tune --write` made.",
)
metric_option = click.option(
    "--metric",
    type=click.Choice(list(dict.fromkeys(m for kind in KINDS.values() for m in kind.metrics))),
    help="Which vectors count as near: cosine (their length is ignored) or euclidean.  [default: "
    "cosine]",
)
packed_option = click.option(
    "--packed-bits",
    "packed",
    is_flag=True,
    help="Vectors are packed binary embeddings: each uint8 or int8 holds 8 bits.",
)
steps_option = click.option(
    "--steps",
    "unit",
    type=click.Choice(UNITS),
    help="What the steps of sequences are: numbers; tokens (of a string: cut at white space); or "
    "the characters of a string.  [default: what most items are]",
)
longest_option = click.option(
    "--longest",
    type=click.IntRange(1, MOST_STEPS),
    metavar="N",
    help="Steps of a sequence that count; of longer ones the first so many.  [default: 512]",
)
device_option = click.option(
    "--device",
    type=click.Choice(["auto", "cpu", "cuda"]),
    default="auto",
    show_default=True,
    help="Where training runs; auto takes a GPU if there is one.",
)

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


def recipe_of(path: Path, kind: str, preset: str | None) -> dict[str, Any]:
    """The settings of a recipe; UsageError if it is for another preset than --preset names."""
    from indexer.tuning.recipes import read_recipe

    found = read_recipe(read_text(path, "a recipe of `hashret tune --write`"), kind)
    if preset not in (None, found["preset"]):
        raise click.UsageError(
            f"--preset: expected {found['preset']} as {path} says, got {preset}; leave it out"
        )
    return found


def required_invariant(
    kind: str, invariant: tuple[str, ...] | None, preset: str | None
) -> tuple[str, ...] | None:
    """`invariant` itself. Raises UsageError if the preset for items of this kind takes none."""
    if invariant:
        options = TrainingOptions(invariant=invariant, preset=preset_for(kind, preset))
        try:
            require_used(kind, options)
        except ValueError as error:
            raise click.UsageError(f"--{error}") from error
    return invariant


def sequence_spec(kind: str, unit: str | None, longest: int | None) -> SequenceSpec | None:
    """The features of sequences that --steps or --longest choose; None if neither is given.

    Raises `click.UsageError` for items of another `kind`, and for numbers that can't be.
    """
    if unit is None and longest is None:
        return None
    if not kind_of(kind).of_steps:
        given = "--steps" if unit else "--longest"
        raise click.UsageError(
            f"{given}: expected items of kind sequence, got {kind}; leave it out"
        )
    spec = SequenceSpec(unit or "")
    return spec if longest is None else replace(spec, longest=longest)


def required_label(kind: str, label: str | None, preset: str | None) -> str | None:
    """`label` itself. Raises UsageError if the preset for items of this kind learns from none."""
    if label is not None:
        try:
            require_used(kind, TrainingOptions(label=label, preset=preset_for(kind, preset)))
        except ValueError as error:
            raise click.UsageError(f"--{error}") from error
    return label


@contextmanager
def watchers_of(log_dir: Path | None) -> Iterator[list[Watcher]]:
    """Who watches a training: TensorBoard's events are written to `log_dir`, if that is given.

    Raises `InputError` for a folder within a collection, or that can't be written to.
    """
    if log_dir is None:
        yield []
        return
    require_outside(log_dir / "events", "the events of TensorBoard")
    from indexer.training.watching.tensorboard import TensorBoard  # it loads torch

    with closing(TensorBoard(log_dir)) as watcher:
        yield [watcher]


def vector_spec(kind: str, metric: str | None, packed: bool) -> VectorSpec | None:
    """The vector features that --metric or --packed-bits choose; None if neither is given.

    Raises `click.UsageError` for items of another `kind`, and if both are given.
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
    """Raise `InputError` if writing `what` to `path` would overwrite or disturb other files.

    `path` must not be inside a collection (`to` or another), nor one of the `inputs`, nor a file
    that the `sources` of `kind` would be read from. A file that is already there must begin as the
    pattern `former` says: it is then an earlier output of the same sort.
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
    require_place(path, what, lambda stream: former.match(_beginning(stream)) is not None)


def _beginning(stream: IO[bytes]) -> str:
    return stream.read(_HEAD).decode("utf-8", "replace")


def _collection_around(path: Path, to: Path | None) -> Path | None:
    """The collection whose folder contains `path`, `to` among them; None if there is none."""
    from indexer.corpus import files

    place = Path(os.path.realpath(path))
    if to is not None and (place == Path(os.path.realpath(to)) or files.is_below(path, to)):
        return to
    return next(filter(files.is_collection, place.parents), None)
