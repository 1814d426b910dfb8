"""The verb `hashret compress`: files become codes, which `hashret decode --codes` turns back."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from hashret.cli.group import shown
from hashret.cli.output import collection_argument, opened
from hashret.errors import InputError
from indexer.cli.console import say
from indexer.cli.reading import with_stdin

if TYPE_CHECKING:
    import numpy as np

    from hashret.codes import Codes
    from hashret.collection import Collection
    from hashret.items import Item

_BATCH = 1024  # items that are encoded at a time
_SHOWN = 3  # items left out whose reasons are shown


@click.command()
@collection_argument
@click.argument("sources", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "-o",
    "--output",
    required=True,
    type=click.Path(path_type=Path),
    metavar="FILE.codes",
    help="The file to write: an .npz with `codes`, `ids` and, as JSON, which model made them.",
)
def compress(collection: Path, sources: tuple[Path, ...], output: Path) -> None:
    """Turn SOURCES into codes of the model of COLLECTION, and write these into one file.

    SOURCES are those that `hashret index` accepts; nothing is added to the collection. It says how
    many bytes an item takes, and how much of it is lost. `hashret decode COLLECTION --codes FILE`
    turns the codes back, with the same collection or a copy of it.
    """
    from hashret.cli.decoding.codes_file import CodesFile, require_codes_place, write_codes
    from hashret.codes import Codes

    require_codes_place(output)
    packed = _Packed()
    with opened(collection) as snapshot:
        model = snapshot.snapshot.require_model().sha256
        for items in _batches(sources, snapshot.kind, packed):
            packed.add(snapshot, items)
    for item_id, reason in packed.left_out[:_SHOWN]:
        say(f"left out {shown(item_id)}: {reason}")
    if len(packed.left_out) > _SHOWN:
        say(f"left out {len(packed.left_out) - _SHOWN} more")
    if not packed.ids:
        raise InputError("sources: expected an item that can be used, got none; check the paths")
    codes = Codes.concatenate(packed.codes)
    size = write_codes(output, CodesFile(codes, packed.ids, model))
    each = f"{codes.n_bits // 8} bytes each"
    click.echo(f"{len(codes):,} items, {each}; {size:,} bytes with their ids")
    if packed.lost is not None:
        click.echo(packed.lost)


@dataclass(slots=True)
class _Packed:
    """What was compressed so far."""

    ids: list[str] = field(default_factory=list)
    codes: list[Codes] = field(default_factory=list)
    left_out: list[tuple[str, str]] = field(default_factory=list)
    errors: list[np.ndarray] = field(default_factory=list)
    usual: list[np.ndarray] = field(default_factory=list)

    def add(self, collection: Collection, items: list[Item]) -> None:
        """Encode items; those that can't be used are left out with the reason."""
        from hashret.errors import CollectionError, PayloadError
        from hashret.sparse import take_rows

        coder, prepared, ids = collection.coder, [], []
        for item in items:
            try:
                prepared.append(coder.prepare(item.payload))
                ids.append(item.id)
            except (PayloadError, OSError) as error:
                self.left_out.append((item.id, str(error)))
        features, known = coder.features(prepared)
        rows = known.nonzero()[0]
        self.left_out += [(ids[i], "the model knows nothing in it") for i in (~known).nonzero()[0]]
        self.ids += [ids[i] for i in rows]
        features = take_rows(features, rows)
        codes = coder.encoder.encode(features)
        self.codes.append(codes)
        try:
            decoder = collection.decoder
        except CollectionError:  # none: what is lost is not known
            return
        self.errors.append(decoder.errors(codes, features))
        self.usual.append(decoder.usual_errors(features))

    @property
    def lost(self) -> str | None:
        """How much of the items the codes lose, in a sentence; None without a decoder."""
        import numpy as np

        if not self.errors:
            return None
        lost, usual = (float(np.concatenate(e).mean()) for e in (self.errors, self.usual))
        if usual <= 0.0:
            return "nothing is lost"
        return (
            f"lost: {lost / usual:.0%} of what tells an item from the usual one (error {lost:.4g}, "
            f"of the usual item {usual:.4g})"
        )


def _batches(sources: tuple[Path, ...], kind: str, packed: _Packed) -> Iterator[list[Item]]:
    """The items of the sources, a thousand at a time; what can't be read is left out."""
    from hashret._backports import chunks
    from indexer import corpus

    paths, how = with_stdin(sources, corpus.Reading())

    def items() -> Iterator[Any]:
        for one in corpus.read(paths, kind, how):
            if isinstance(one, corpus.Skipped):
                packed.left_out.append((one.id, one.reason))
            else:
                yield one

    yield from chunks(items(), _BATCH)
