"""The verb `hashret decode`: what a code says, whether an item has it or not."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from hashret.cli.output import collection_argument, commit_option, opened
from hashret.errors import InputError

if TYPE_CHECKING:
    from hashret.cli.decoding.told import Told
    from hashret.codes import Codes
    from hashret.collection import Collection

told_option = click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="The file to write; its suffix is the format: .png or .svg (images; several are a contact "
    "sheet), .npy (pixels, vectors), .jsonl (words, vectors, series).",
)
told_json_option = click.option(
    "--json", "as_json", is_flag=True, help="Write one JSON object a code."
)


@click.command()
@collection_argument
@click.option("--id", "ids", metavar="ID", multiple=True, help="The code of a stored item.")
@click.option("--code", "given", metavar="HEX", multiple=True, help="A code, in hexadecimal.")
@click.option(
    "--codes",
    "file",
    type=click.Path(path_type=Path),
    metavar="FILE",
    help="All codes of a file that `hashret compress` wrote.",
)
@told_option
@told_json_option
@commit_option
def decode(
    collection: Path,
    ids: tuple[str, ...],
    given: tuple[str, ...],
    file: Path | None,
    output: Path | None,
    as_json: bool,
    commit: int | None,
) -> None:
    """Say what codes of COLLECTION stand for: words and their weights, an image, a vector.

    It is what the model's decoder makes of the bits alone, so it shows what a code keeps of an item
    and what it loses. Of a text, words come first of which it says more than is usual.
    """
    if (bool(ids), bool(given), file is not None).count(True) != 1:
        raise click.UsageError("expected one of --id, --code and --codes")
    if output is not None and as_json:
        raise click.UsageError("--json: expected none with -o, whose suffix is the format")
    with opened(collection, commit) as snapshot:
        from hashret.cli.decoding import told  # when it is needed: Pillow and NumPy take a moment
        from hashret.snapshot.decoding import form_of

        if output is not None:
            told.require_output(output, form_of(snapshot.snapshot))
        found = _told(snapshot, ids, given, file)
    if output is not None:
        told.write_told(output, found)
    elif as_json:
        for line in told.json_lines(found):
            click.echo(line)
    else:
        told.show(found)


def _told(
    collection: Collection, ids: tuple[str, ...], given: tuple[str, ...], file: Path | None
) -> Told:
    """What the codes say that the command line names."""
    from hashret.cli.decoding.codes_file import read_codes
    from hashret.cli.decoding.told import Told
    from hashret.codes import Codes
    from hashret.snapshot.decoding import form_of

    snapshot = collection.snapshot
    decoder = snapshot.decoder
    names: list[str] = list(ids)
    if file is not None:
        read = read_codes(file)
        if read.model != snapshot.require_model().sha256:
            raise InputError(
                f"{file}: expected codes of this collection's model, got those of another; decode "
                "them with the collection that they were made with"
            )
        codes, names = read.codes, read.ids
    elif given:
        codes = Codes.concatenate([_code(one, decoder.n_bits) for one in given])
        names = list(given)
    else:
        codes = Codes.concatenate([snapshot.code_of(one) for one in ids])
    facts = None if given else [{"id": name} for name in names]
    said, title = collection.decode(codes), f"what {len(codes)} codes say"
    return Told(codes, names, said, form_of(collection.snapshot), title, facts)


def _code(text: str, n_bits: int) -> Codes:
    """The code that hexadecimal digits stand for. Raises UsageError for others, or too few."""
    from hashret.codes import Codes

    expected = f"--code: expected {n_bits // 4} hexadecimal digits for {n_bits} bits, got"
    try:
        code = Codes.from_hex(text)
    except ValueError:
        raise click.UsageError(f"{expected} {text!r:.80}") from None
    if code.n_bits != n_bits:
        raise click.UsageError(f"{expected} {len(text)}")
    return code
